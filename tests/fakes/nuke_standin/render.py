"""nuke.execute and what belongs to it."""

EXPORTS = {}
