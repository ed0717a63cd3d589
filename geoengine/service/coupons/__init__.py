"""Codes from the moment a message leaves to the till, and back."""
