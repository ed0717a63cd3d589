"""People's passes: what is on each, which phones have it, and how they ask for it."""
