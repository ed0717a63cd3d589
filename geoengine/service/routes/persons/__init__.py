"""People: their facts, their consents, their leaving."""
