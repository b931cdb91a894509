"""A folder from which a machine without a network builds: pinned artifacts by digest, wheels, a manifest."""
