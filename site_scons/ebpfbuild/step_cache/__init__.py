"""Shares what steps make between checkouts and machines, by the digest of all that a step depends on."""
