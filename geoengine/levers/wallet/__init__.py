"""Passes in people's wallets: Apple's files, which we sign and serve, and Google's objects."""
