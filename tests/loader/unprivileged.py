"""Tests as another user."""

import contextlib
import os

import pytest

NOBODY = 65534


@contextlib.contextmanager
def as_nobody():
    """Has this process no capabilities for a while."""
    if os.geteuid():
        pytest.skip("setting another user wants root")
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
