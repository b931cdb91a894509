"""Brings pinned artifacts: from the store, a mirror, the origin or an alternate, and verifies them."""
