"""Asks the kernel itself: bpf(2), perf_event_open(2), its version, its configuration, this process's privileges."""
