"""Runs the programs of a build's steps where nothing is but what the step declares: Linux namespaces and chroot(2)."""
