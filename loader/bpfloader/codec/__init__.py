"""Turns bytes into Python values and back, as C lays them out."""
