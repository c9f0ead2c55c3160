"""The backend: fills run here, outside Nuke."""
