"""Verbs that serve."""
