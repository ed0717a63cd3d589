"""What happens to the shared state: processes, servers and networks that fail under load."""
