"""How much at once: gates, lanes, a day's money."""
