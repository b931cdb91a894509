"""Compiles one object with clang, and holds what clang read against what the graph knows."""
