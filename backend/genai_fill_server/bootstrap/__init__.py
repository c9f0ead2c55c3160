"""The composition root: settings, logs, and the wiring of the server and worker processes.

Nothing is imported here, so that each process loads only what its own module needs.
"""
