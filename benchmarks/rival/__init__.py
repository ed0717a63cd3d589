"""Another engine beside ours, over the same workload: how it is spoken to and what it must say."""
