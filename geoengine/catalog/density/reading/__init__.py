"""Official files as they are published, read and checked."""
