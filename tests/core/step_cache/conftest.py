"""A server for caches, and caches on it."""


import pytest
from bazel_server import bazel_server
from cache_lab import INPUTS, MADE, NAMES

from ebpfbuild.step_cache.cache import StepCache
from ebpfbuild.step_cache.server import ServerPlace


@pytest.fixture
def server(no_proxy):
    with bazel_server() as running:
        yield running


@pytest.fixture
def opened(server):
    """A function: a URL, the server's unless given -> a StepCache on it, and what it says."""

    def make(url="", seconds=5.0):
        said = []
        return StepCache(ServerPlace(url or server.url, None), said.append, seconds=seconds), said

    return make


@pytest.fixture
def kept(opened):
    """The server has a result."""
    cache, said = opened()
    cache.keep({INPUTS: NAMES}, MADE)
    assert said == []


@pytest.fixture
def apart(monkeypatch):
    """No result holds its files, as was so before they did, and is for large ones."""
    monkeypatch.setattr(ServerPlace, "inlines", 0)
