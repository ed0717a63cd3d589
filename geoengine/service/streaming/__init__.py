"""The stream of a phone: pings in, events out, over one WebSocket."""
