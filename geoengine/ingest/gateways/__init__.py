"""Beacon gateways that already exist: what each of them sends, one file a family."""
