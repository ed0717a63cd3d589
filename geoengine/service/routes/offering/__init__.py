"""What people hold: coupons, orders, passes."""
