"""Benchmarks: figures, each with the reference that it is held against in the same run."""
