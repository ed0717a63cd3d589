"""Verbs about what marketers write: is it right, what will it do, how does it look."""
