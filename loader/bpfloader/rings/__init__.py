"""Reads ring and perf buffers, and writes user ring buffers."""
