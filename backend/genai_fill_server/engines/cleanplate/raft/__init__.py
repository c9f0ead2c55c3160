"""RAFT: learned dense flow, for who has its weights (Z. Teed & J. Deng, ECCV 2020)."""
