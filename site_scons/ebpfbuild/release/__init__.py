"""Writes a release's papers: digests, provenance and bill of materials, in a package and beside it."""
