"""The engines; the only importer of torch, diffusers, OpenCV and numba."""
