"""The model store: which models there are, fetching, adding, checking and removing them."""
