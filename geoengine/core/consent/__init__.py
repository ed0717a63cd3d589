"""What people agreed to and took back, who they are, and for how long it is kept."""
