"""Holds what runs in a guest: its init, the traffic, the loading of programs. It imports nothing of the core."""
