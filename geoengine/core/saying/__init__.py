"""What a message says: its text, its button, its length."""
