"""Benchmark of the clean-plate engine against what else can be done without a model."""
