"""Real Redis and Valkey servers for tests: on loopback, in temporary directories, ended."""
