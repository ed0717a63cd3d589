"""Compiled catalogues on disk: made in a process of their own, used again while nothing changed."""
