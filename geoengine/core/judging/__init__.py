"""The questions a transition is asked before anything is said."""
