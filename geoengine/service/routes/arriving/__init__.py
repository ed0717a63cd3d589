"""What phones and gateways post, and what they ask for."""
