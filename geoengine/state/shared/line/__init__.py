"""The line to the servers: which there are, who serves what, and what a refusal means."""
