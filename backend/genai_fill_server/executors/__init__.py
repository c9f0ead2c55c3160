"""Where work runs: worker processes on this machine."""
