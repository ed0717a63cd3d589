"""Clients and gateways that already exist: on whose word they speak, and what becomes of it."""
