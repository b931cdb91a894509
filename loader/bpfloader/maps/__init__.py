"""Maps, a class for each kind."""
