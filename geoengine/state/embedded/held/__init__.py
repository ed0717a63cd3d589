"""What the embedded state holds in memory: records, last fixes, stays, the outbox, deadlines."""
