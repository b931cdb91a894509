"""Reads what a build packed: manifests, wheels, tars."""
