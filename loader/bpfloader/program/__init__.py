"""Programs: a class for each kind, with its ways to attach."""
