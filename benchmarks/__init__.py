"""Benchmarks: what is measured, by a command each, and what was measured last."""
