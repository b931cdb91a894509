"""Programs, a class for each kind, and how each is attached."""
