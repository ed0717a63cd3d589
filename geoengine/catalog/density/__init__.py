"""Official density data: converted once, kept compactly, looked up by position."""
