"""Ring and perf buffers: records from the kernel, and to it."""
