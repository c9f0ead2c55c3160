"""The only importer of Qt."""
