"""What somebody holds: coupons, and orders that lie ready."""
