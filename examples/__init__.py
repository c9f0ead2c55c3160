"""What can be run from a checkout: the demo, pictures for the docs."""
