"""The people, boxes and systems that load the service, less the load generator that drives them."""
