"""How a message ended: judged, written, counted, told."""
