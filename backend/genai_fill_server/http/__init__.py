"""The wire; the only importer of the web framework."""
