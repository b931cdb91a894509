"""Says what an object file holds, without a kernel."""
