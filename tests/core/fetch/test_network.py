"""One URL into the store: what is told, and what counts of the environment. tests/faults has a network's faults."""

import errno
import hashlib
import os
import socket
import time
from email.utils import formatdate

import pytest
from faultserver import Piecewise, body, status
from hypothesis import given
from hypothesis import strategies as st

from ebpfbuild.errors import FetchError, MismatchError, PinError, ShortageError
from ebpfbuild.fetch.http_failures import retry_after
from ebpfbuild.fetch.network import Network
from ebpfbuild.fetch.store import Store
from ebpfbuild.fetch.verify import Wanted, verify, wrong_body

DATA = b"struct task_struct {};\n" * 5000
DIGEST = hashlib.sha256(DATA).hexdigest()
WHERE = "toolchain.toml:7: vmlinux.x86_64.sha256"
WANTED = Wanted("vmlinux.h for x86_64 (Linux 6.19)", "vmlinux.h", WHERE, DIGEST, len(DATA))

pytestmark = pytest.mark.usefixtures("no_proxy")


@pytest.fixture
def fetch(tmp_path, pauses):
    """Fetches a URL, verifies it and gives the bytes kept; pauses are noted, not slept."""
    store = Store(tmp_path / "cache")

    def run(url: str, wanted: Wanted = WANTED, **patience) -> bytes:
        network = patience.pop("network", None) or Network(sleep=pauses.append, chance=lambda: 1.0, **patience)
        with store.incoming() as incoming:
            network.fetch(url, incoming, wanted.limit, wanted.size)
            verify(incoming, wanted, url)
            return incoming.keep().read_bytes()

    yield run
    left = [path.name for path in store.blobs.glob("*") if path.name != DIGEST]
    assert not left, "only whole and verified files stay in the store"


def test_the_bytes_arrive(server, fetch, pauses):
    assert fetch(server.say(body(DATA))) == DATA
    assert len(server.seen) == 1 and not pauses
    assert server.headers[0]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("code, fix", [(errno.EMFILE, "ulimit -n"), (errno.ENOMEM, "more memory"), (errno.EIO, "dmesg says")])
def test_what_this_machine_lacks_is_no_fault_of_the_server_s(server, fetch, pauses, monkeypatch, code, fix):
    def refused(made, address):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(socket.socket, "connect", refused)
    with pytest.raises(ShortageError) as caught:
        fetch(url := server.say(body(DATA)))
    assert str(caught.value).startswith(f"{url}: {os.strerror(code)}; ") and fix in str(caught.value) and not pauses


def test_progress_goes_up_to_the_size(server, tmp_path):
    seen = []
    with Store(tmp_path).incoming() as incoming:
        Network().fetch(server.say(body(DATA)), incoming, 1 << 20, None, lambda *state: seen.append(state))
    assert seen[-1] == (len(DATA), len(DATA)) and seen == sorted(seen)


def test_progress_goes_on_where_a_body_broke_off(server, tmp_path, pauses):
    seen = []
    with Store(tmp_path).incoming() as incoming:
        url = server.say(Piecewise(DATA, len(DATA) // 3))
        Network(sleep=pauses.append).fetch(url, incoming, 1 << 20, None, lambda *state: seen.append(state))
    assert {total for _, total in seen} == {len(DATA)} and seen == sorted(set(seen))


def test_retry_after_as_a_date_or_nonsense():
    assert 50 < retry_after(formatdate(time.time() + 60, usegmt=True)) <= 61
    assert retry_after(formatdate(time.time() - 60, usegmt=True)) == 0
    assert [retry_after(text) for text in ("", "soon", "-5", "²")] == [0, 0, 0, 0]


def mismatch(fetch, url: str, wanted: Wanted = WANTED) -> MismatchError:
    with pytest.raises(MismatchError) as caught:
        fetch(url, wanted)
    return caught.value


@pytest.mark.parametrize("wrong, more", [(b"X" + DATA[1:], ""), (DATA + b"x", " and more that were not read")])
def test_a_mismatch_tells_all(server, fetch, tmp_path, wrong, more):
    url = server.say(body(wrong))
    error = mismatch(fetch, url)
    got = hashlib.sha256(wrong).hexdigest()
    assert error.details == (
        f"from      {url}",
        f"expected  sha256 {DIGEST}, {len(DATA)} bytes",
        f"got       sha256 {got}, {len(wrong)} bytes{more}",
        f"kept      {tmp_path / 'cache/rejected' / f'vmlinux.h-{got[:12]}'}",
    )


def test_an_unresolved_symlink_is_named_with_the_url_to_pin(server, fetch):
    error = mismatch(fetch, server.say(body(b"vmlinux_6.19.h"), path="/include/x86/vmlinux.h"))
    assert error.fix == f"pin the file that it points to: {server.url('/include/x86/vmlinux_6.19.h')}"


def test_a_wrong_size_with_the_right_digest_names_the_size(server, fetch):
    wanted = Wanted(WANTED.title, "vmlinux.h", WANTED.where, DIGEST, len(DATA) + 5)
    error = mismatch(fetch, server.say(body(DATA)), wanted)
    assert error.fix == f"write size = {len(DATA)}"


def test_a_pin_without_digest_prints_the_lines_to_paste_and_uses_nothing(server, fetch):
    wanted = Wanted(WANTED.title, "vmlinux.h", "toolchain.toml:4: vmlinux.x86_64")
    with pytest.raises(PinError) as caught:
        fetch(server.say(body(DATA)), wanted)
    assert caught.value.details == (f'sha256 = "{DIGEST}"', f"size = {len(DATA)}")
    mismatch(fetch, server.say(body(b"<html></html>"), path="/page"), wanted)


def test_a_redirect_from_https_to_http_is_refused():
    from ebpfbuild.fetch.http_get import _may_redirect

    assert not _may_redirect("https://a.example/x", "http://a.example/x")
    assert _may_redirect("https://a.example/x", "https://b.example/x")


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@pytest.mark.parametrize("host, reason", [
    ("127.0.0.1:{port}", "the connection is refused"), ("no-such-host.invalid", "the host name can't be resolved")])
def test_a_host_that_is_not_there_costs_two_tries_and_the_next_artifact_none(request, fetch, pauses, host, reason):
    if host.endswith(".invalid"):
        request.getfixturevalue("online")
    network = Network(sleep=pauses.append, chance=lambda: 1.0)
    url = f"http://{host.format(port=closed_port())}"
    with pytest.raises(FetchError) as caught:
        fetch(f"{url}/a", network=network)
    assert caught.value.what == f"{reason}, 2 tries" and pauses == [0.1]
    with pytest.raises(FetchError) as caught:
        fetch(f"{url}/b", network=network)
    assert caught.value.what == f"{reason} (a moment ago)" and pauses == [0.1]


def test_no_password_leaves_the_machine(server, fetch, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server.say(body(DATA), path="/there")
    fetch(server.say(status(302, Location="/there")))
    assert len(server.headers) == 2
    assert not any("Authorization" in headers for headers in server.headers)


def test_the_proxy_of_the_environment_is_used(server, fetch, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url(""))
    server.say(body(DATA), path="http://origin.example/file")
    assert fetch("http://origin.example/file") == DATA


def test_a_proxy_that_is_not_there_is_named(fetch, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(FetchError, match=r"the proxy http://127.0.0.1:\d+ \(http_proxy\) can't be reached or refuses; no_proxy names .*, 2 tries"):
        fetch("http://origin.example/file")


@given(st.binary(max_size=300))
def test_any_body_has_a_name_or_none(data):
    assert isinstance(wrong_body(data, len(data)), str)


def test_what_is_odd_and_what_is_not():
    assert wrong_body(b"", 0) == "an empty file"
    assert not wrong_body(b"#ifndef __VMLINUX_H__\n", 22)
    assert not wrong_body(b"word", 4)
    assert "symlink" in wrong_body(b"../x86/vmlinux.h\n", 17)
