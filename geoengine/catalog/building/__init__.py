"""Items into a Book: checked, completed, compiled."""
