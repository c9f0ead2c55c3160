"""Where work runs: child processes on this machine, one a device."""
