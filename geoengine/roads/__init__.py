"""Asking a road network how far minutes go, when the catalogue is made and never later."""
