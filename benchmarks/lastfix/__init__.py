"""Ways to keep the last fix of a device where processes share it, for one benchmark to compare."""
