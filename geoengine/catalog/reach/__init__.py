"""How far five minutes go: on the real streets where they were asked, else a circle."""
