"""Reports what an object or a wheel holds, and which kernel it needs."""
