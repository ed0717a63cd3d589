"""What this process serves of the partitions: its leases, and what falls due in them."""
