"""The state contract, on every back end."""
