"""Decides whether a step's outputs are still what its inputs give."""
