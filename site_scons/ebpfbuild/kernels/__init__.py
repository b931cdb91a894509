"""Checks objects against kernels without booting them: fields, attach targets, helpers, maps, instructions."""
