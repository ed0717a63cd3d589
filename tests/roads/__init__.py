"""Asking road networks: a town drawn here, a real Valhalla over it, and servers with manners."""
