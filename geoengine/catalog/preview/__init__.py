"""The zones to look at: a page that needs no network, and a picture for documents."""
