"""What the retailer's systems are told: events, and which of them goes where."""
