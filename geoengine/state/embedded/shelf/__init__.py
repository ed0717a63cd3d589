"""Where the embedded state puts what must not be lost: a file, or memory only."""
