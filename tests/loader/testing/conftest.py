"""The plugin's fixture, for these tests."""

from bpfloader.testing import bpf_testbed  # noqa: F401
