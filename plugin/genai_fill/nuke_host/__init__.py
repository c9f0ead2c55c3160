"""The only importer of nuke."""
