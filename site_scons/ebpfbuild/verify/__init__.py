"""Checks a release on another machine: its wheel, its papers, its pins, its signature."""
