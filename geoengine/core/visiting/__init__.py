"""Visits: how they open, what time does to them, and which stays prove one."""
