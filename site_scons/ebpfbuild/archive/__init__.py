"""Reads files out of tar archives, .debs and .rpms, and whatever they are compressed with, in memory."""
