"""What computes a clean plate's pixels: OpenCV and numba on the CPU, torch on a GPU."""
