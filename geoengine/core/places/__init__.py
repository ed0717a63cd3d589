"""Where it counts: zones, their policies, and what a phone should watch of them."""
