"""Reads packages of objects: manifests, wheels, tars."""
