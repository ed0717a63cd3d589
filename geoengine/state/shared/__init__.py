"""The parts of the state that many processes share: the link to Redis or Valkey, its functions."""
