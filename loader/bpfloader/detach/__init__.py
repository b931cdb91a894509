"""Attachments that outlast a process: what is at interfaces and pinned, whose it is, and its removal."""
