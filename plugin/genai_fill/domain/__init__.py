"""Pure rules of the node: ranges, takes, versions, output paths."""
