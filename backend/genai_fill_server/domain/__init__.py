"""Pure rules in numpy: windows, mattes, composites, job states."""
