"""Look: which fixes of a batch count, what each says of a zone, and whom to look at closer."""
