"""Verbs that ask what happened and look after it."""
