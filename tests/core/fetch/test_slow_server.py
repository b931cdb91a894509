"""A source that is silent or too slow gives its place to the next one; a slow good one is left to finish."""

import contextlib
import socket
import threading
import time
from dataclasses import replace

import pytest
from artifact_world import DEB, HEADER, POOL, digest
from faultserver import RawServer, after_request, body, serving, status
from hypothesis import given
from hypothesis import strategies as st

from ebpfbuild.errors import FetchError, HurriedError, StoppedError
from ebpfbuild.fetch.network import Network
from ebpfbuild.fetch.transfer import Rate
from ebpfbuild.fetch.store import Store
from slow import slow_after

WINDOW = 0.5  # seconds for the 15 of a build
SCALED = Network(sleep=lambda seconds: None, window=WINDOW, budget=3 * WINDOW, tick=0.02)
SLACK = 3.0  # seconds that this machine may need for anything
HEAD = b"HTTP/1.1 200 OK\r\n"

pytestmark = pytest.mark.usefixtures("no_proxy")


def network(**changes) -> Network:
    """The scaled network, which knows of no host yet."""
    return replace(SCALED, down={}, **changes)


@pytest.fixture
def serve():
    """Starts a RawServer whose answer gets (server, connection)."""
    with contextlib.ExitStack() as stack:

        def start(answer) -> RawServer:
            server = RawServer(lambda connection: answer(server, connection))
            stack.callback(server.close)
            return server

        yield start


def silent(server, connection):
    server.over.wait(30)


def trickling(before: bytes, endless: bytes):
    """Sends some bytes, then one at a time."""

    def answer(server, connection):
        after_request(before)(connection)
        server.trickle(endless, 0.02, connection)

    return answer


def flood(server, connection):
    while not server.over.is_set():
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


HANGS = {
    "nothing": silent,
    "status": trickling(b"", HEAD),
    "headers": trickling(HEAD, b"x: " + b"y" * 10),
    "no end of headers": trickling(HEAD + b"a: b\r\n", b"c: d\r\n" * 90 + b"x"),
    "continue": flood,
    "body": trickling(HEAD + b"\r\n", b"x"),
    "chunk": trickling(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 10),
    "burst": trickling(HEAD + b"\r\n" + b"x" * 20000, b"x"),
    "redirect": None,
    "tls": silent,
    "name": None,
}


@pytest.mark.parametrize("others", slow_after(1, [1, 0]))
@pytest.mark.parametrize("kind", HANGS)
def test_a_server_that_hangs_gives_its_place_away(serve, tmp_path, kind, others, monkeypatch):
    server = serve(HANGS[kind] or silent)
    url = server.url.replace("http:", "https:") if kind == "tls" else server.url
    if kind == "redirect":
        first = serve(
            lambda _, connection: after_request(f"HTTP/1.1 302 x\r\nLocation: {server.url}\r\n\r\n".encode())(
                connection
            )
        )
        url = first.url
    if kind == "name":
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: server.over.wait(30))
        url = "http://h.example/file"
    net = network()
    with Store(tmp_path).incoming() as incoming:
        began = time.monotonic()
        with pytest.raises(FetchError) as caught:
            net.fetch(url, incoming, 1 << 20, others=others)
        windows = (1 if others else 2) + (kind == "burst")
        assert time.monotonic() - began < windows * WINDOW + SLACK
        if kind == "continue" and caught.value.what.startswith("the connection broke off"):
            return  # newer Pythons end it themselves, after a hundred of them
        assert caught.value.what.startswith(("no answer in time", "is too slow: "))
        assert server.connections <= (1 if others else 2)
        before = server.connections
        with pytest.raises(FetchError, match="a moment ago"):  # the next artifact doesn't wait for it
            net.fetch(url, incoming, 1 << 20, others=others)
        assert server.connections == before


def test_a_slow_good_source_is_left_to_finish(serve, tmp_path):
    def answer(server, connection):
        after_request(HEAD + b"Content-Length: 4800\r\n\r\n")(connection)
        for _ in range(24):  # 2 kB a second: twice what it must bring, as this machine may be busy
            time.sleep(0.1)
            connection.sendall(b"x" * 200)

    with Store(tmp_path).incoming() as incoming:
        network().fetch(serve(answer).url, incoming, 1 << 20, others=1)
        assert incoming.size == 4800


@given(st.lists(st.tuples(st.floats(0.001, 5), st.integers(0, 20000)), min_size=1, max_size=60))
def test_the_pace_is_that_of_the_last_window(steps):
    """No source is given up that brings twice what it must in each window, and none is kept that brings nothing."""
    rate, now, done = Rate(15.0, 1000.0, 0.0), 0.0, 0
    arrivals = [(0.0, 0)]
    for pause, size in steps:
        now, done = now + pause, done + size
        arrivals.append((now, done))
        slow = rate.too_slow(now, done)
        # The marks are up to a fiftieth of a window apart, and a mark taken earlier makes the window longer.
        old = max((total for when, total in arrivals if when <= now - 15.0 - 5.0), default=0)
        recent = max((total for when, total in arrivals if when <= now - 15.0), default=None)
        if recent is not None and done - old < 15000:
            assert slow
        if now < 15 or recent is not None and done - recent >= 15000:
            assert not slow


def test_a_retry_after_doesn_t_hold_up_who_has_others(tmp_path):
    slept = []
    with serving() as server, Store(tmp_path).incoming() as incoming:
        url = server.say(status(429, Retry_After="30"))
        with pytest.raises(HurriedError, match="HTTP 429 Too Many Requests, and asks to wait 30 s"):
            network(sleep=slept.append).fetch(url, incoming, 1 << 20, others=1)
        assert len(server.seen) == 1 and not slept


def test_few_tries_while_others_are_left(tmp_path):
    with serving() as server, Store(tmp_path).incoming() as incoming:
        url = server.say(status(503))
        with pytest.raises(HurriedError, match="HTTP 503 Service Unavailable, 3 tries"):
            network().fetch(url, incoming, 1 << 20, others=1)
        assert len(server.seen) == 3


def test_an_interrupt_ends_it(serve, tmp_path):
    over = threading.Event()
    threading.Timer(0.3, over.set).start()
    with Store(tmp_path).incoming() as incoming, pytest.raises(StoppedError):
        began = time.monotonic()
        network(window=30.0, stopped=over.is_set).fetch(serve(silent).url, incoming, 1 << 20)
    assert time.monotonic() - began < 0.3 + SLACK
    with serving() as server, Store(tmp_path).incoming() as incoming, pytest.raises(StoppedError):
        net = network(window=30.0, stopped=over.is_set, sleep=None)
        net.fetch(server.say(status(503, Retry_After="20")), incoming, 1 << 20)


def test_all_dead_but_the_last_is_had_within_four_windows(serve, world):
    """A mirror, an origin and two archives that are silent, trickle or don't answer: a minute, with a window of 15 s."""
    mirror, origin, one, two = (serve(HANGS[kind]) for kind in ("nothing", "body", "headers", "chunk"))
    world.pins(f"http://{world.server.host}/vmlinux.h", origin.url)
    lines = [
        f"deb http://127.0.0.1:{port}/debian trixie main\n" for port in (one.port, two.port, world.server.server_port)
    ]
    (world.machine / "etc/apt/sources.list").write_text("".join(lines))
    options = {"mirror": f"http://127.0.0.1:{mirror.port}", "network": network()}
    began = time.monotonic()
    got = world.header(**options)
    assert got.alternate and time.monotonic() - began < 4 * WINDOW + SLACK
    began = time.monotonic()
    (world.cache / "sha256" / digest(DEB)).unlink()
    world.tree(**options)  # all those hosts are known by now
    assert time.monotonic() - began < WINDOW + SLACK
    assert mirror.connections == one.connections == two.connections == 1


def test_who_was_given_up_early_is_asked_again_when_all_others_fail(world):
    world.down(f"/debian/{POOL}")
    world.server.say(*[status(503)] * 5, body(HEADER), path="/vmlinux.h")
    assert not world.header(network=network()).alternate
    assert world.server.seen.count("/vmlinux.h") == 6
