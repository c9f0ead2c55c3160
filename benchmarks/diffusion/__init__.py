"""What our whole way of a frame costs beside the bare call of a diffusion pipeline."""
