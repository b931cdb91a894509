"""Puts programs, skeletons and the loader into a wheel, a tar or a folder."""
