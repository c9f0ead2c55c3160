"""Names that scripts and start-up share. Imported at every start of Nuke: nothing else in here."""

GIZMO = "GenAIFill"
"""The class that ``nuke.createNode`` makes the node from: ``gizmos/GenAIFill.gizmo``."""
