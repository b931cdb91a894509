"""Fixtures of tests that fetch from a server on loopback."""

import urllib.request
from pathlib import Path

import pytest
from artifact_world import World
from faultserver import serving

CA_FOLDER = Path(__file__).resolve().parents[1] / "testdata" / "company-ca"


@pytest.fixture
def no_proxy(monkeypatch) -> None:
    """No proxy of this machine stands between a test and loopback."""
    for name in urllib.request.getproxies_environment():
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_proxy".upper(), raising=False)


@pytest.fixture
def server(no_proxy):
    """A server on loopback that answers as it is told."""
    with serving() as running:
        yield running


@pytest.fixture
def tls_server(no_proxy, monkeypatch):
    """A server that speaks TLS, by a certificate of a CA that the environment names."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_DIR", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(*CA_FOLDER.glob("*.0")))
    with serving() as running:
        running.encrypt(CA_FOLDER / "server.pem")
        yield running


@pytest.fixture
def world(tmp_path, server) -> World:
    """A project with pins, whose artifacts `server` has."""
    return World(tmp_path, server)


@pytest.fixture
def pauses() -> list[float]:
    """The pauses that a fetch makes: noted, not slept."""
    return []
