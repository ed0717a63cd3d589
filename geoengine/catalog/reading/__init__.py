"""Files into items: YAML with positions, bulk rows, and where everything stands."""
