"""Power cuts, kills and failing disks."""
