"""The verbs: run a fill, cancel, resume; and the ports they need."""
