"""What becomes of a committed message: prepared, asked once more, sent, settled."""
