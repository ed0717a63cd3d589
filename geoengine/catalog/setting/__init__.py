"""City, suburb or countryside: who lives around a store, as the best source at hand has it."""
