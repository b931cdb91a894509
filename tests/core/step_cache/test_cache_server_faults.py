"""A cache on a server that lies, is slow, full, silent or gone: a miss, told in one line."""

import contextlib
import gzip
import socket
import threading
import time

import pytest
from backports import zstd
from cache_lab import INPUTS, MADE, NAMES, inlined, passes, result, sha256

OBJECT = sha256(MADE.files["object.o"])
SECONDS = 0.4  # that these tests wait for a server


def answering(data, status=200, **headers):
    return lambda request, kind, digest: request.reply(status, data, **headers) or True


def of_files(answer):
    return lambda request, kind, digest: kind == "cas" and request.command == "GET" and answer(request, kind, digest)


def dropped(request, kind, digest):
    request.close_connection = True
    return True


def half(request, kind, digest):
    request.send_response(200)
    request.send_header("Content-Length", "2000")
    request.end_headers()
    request.wfile.write(b"x" * 1000)
    request.close_connection = True
    return True


def silent(request, kind, digest):
    request.server.over.wait(10)
    request.close_connection = True
    return True


def trickle(request, kind, digest):
    request.send_response(200)
    request.send_header("Content-Length", "2000")
    request.end_headers()
    try:
        while not request.server.over.wait(0.02):
            request.wfile.write(b"x")
    except OSError:
        request.close_connection = True
    return True


WRONG = {
    "no ActionResult": (answering(b"<html>sign in here</html>"), "is no message"),
    "a result of other inputs": (answering(result(stdout_raw=b"{}")), "is a result of other inputs"),
    "a path out of it": (answering(result(object={"path": "../x"})), "names other files"),
    "gigabytes of result": (answering(bytes(2 << 20)), "is larger than the 1048576 bytes"),
    "other bytes": (of_files(answering(b"x" * 2000)), "holds other bytes than its name says"),
    "fewer bytes": (of_files(answering(b"x")), "holds other bytes than its name says"),
    "more bytes": (of_files(answering(b"x" * 9000)), "is larger than the 2000 bytes"),
    "a file in it of other bytes": (answering(inlined(object=b"x" * 2000)), "holds other bytes than its name says"),
    "a file in it cut short": (answering(inlined(object=MADE.files["object.o"][:999])), "holds other bytes than its name says"),
    "a file in it that is another": (answering(inlined(object=MADE.files["vmlinux.h"])), "holds other bytes than its name says"),
    "a file in it out of it": (answering(result(object={"path": "../x", "contents": MADE.files["object.o"]})), "names other files"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_entry_is_told_once_and_replaced(server, opened, apart, kept, what):
    server.lie, why = WRONG[what]
    cache, said = opened()
    assert [cache.find(INPUTS, NAMES, passes) for _ in range(3)] == [None] * 3
    assert len(said) == 1 and why in said[0] and said[0].startswith(f"CACHE: {server.url}/") and "it is passed over" in said[0]
    assert cache.rejected == 3
    server.lie = None
    cache.keep({INPUTS: NAMES}, MADE)
    assert cache.find(INPUTS, NAMES, passes) == MADE


BROKEN = {
    "HTTP 500": (answering(b"", 500), "HTTP 500"),
    "HTTP 302": (answering(b"", 302, Location="https://example.invalid/"), "HTTP 302"),
    "HTTP 400": (answering(b"no", 400), "HTTP 400"),
    "no answer": (dropped, "the connection broke off"),
    "half an answer": (half, "the connection broke off"),
    "silence": (silent, "it didn't answer within 0.4 s"),
    "a trickle": (trickle, "it didn't answer within 0.4 s"),
    "half of a file": (of_files(half), "the connection broke off"),
    "a file that trickles": (of_files(trickle), "it didn't answer within 0.4 s"),
    "gzip": (of_files(answering(gzip.compress(b"x"), Content_Encoding="gzip")), "sends the encoding 'gzip', which was not asked for"),
    "no zstd": (of_files(answering(b"x" * 90, Content_Encoding="zstd")), "the answer can't be understood (ZstdError)"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_server_that_fails_is_a_miss_asked_no_more_and_told_in_one_line(server, opened, apart, kept, what):
    server.lie, why = BROKEN[what]
    cache, said = opened(seconds=SECONDS if "within" in why else 30)
    began = time.monotonic()
    for _ in range(20):
        assert cache.find(INPUTS, NAMES, passes) is None
        cache.keep({INPUTS: NAMES}, MADE)
    assert time.monotonic() - began < 10 * SECONDS  # and not 20 times
    assert said == [f"CACHE: {server.url} isn't used any more in this build, since {why}"]


@pytest.mark.parametrize("stream", [zstd.compress(b""), b"\x50\x2a\x4d\x18\4\0\0\0skip"], ids=["empty frames", "skippable frames"])
def test_zstd_that_goes_on_and_stands_for_nothing_is_read_no_further(server, opened, apart, kept, stream):
    sent = []

    def endless(request, kind, digest):
        request.send_response(200)
        request.send_header("Content-Encoding", "zstd")
        request.end_headers()
        request.close_connection = True
        with contextlib.suppress(OSError):
            while sum(sent) < 64 << 20:
                request.wfile.write(stream * 5000)
                sent.append(len(stream) * 5000)
        return True

    server.lie = of_files(endless)
    cache, said = opened()
    assert cache.find(INPUTS, NAMES, passes) is None and len(said) == 1
    assert sum(sent) < 16 << 20  # what the socket's buffers hold, and not all


def test_a_server_that_is_not_there_costs_a_moment(opened):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    cache, said = opened(f"http://127.0.0.1:{port}")
    assert cache.find(INPUTS, NAMES, passes) is None
    assert said == [f"CACHE: http://127.0.0.1:{port} isn't used any more in this build, since the connection is refused"]


def test_a_server_that_accepts_and_says_nothing_costs_its_time_out_once_for_all_threads(opened):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        cache, said = opened(f"http://127.0.0.1:{listening.getsockname()[1]}", SECONDS)
        began = time.monotonic()
        threads = [threading.Thread(target=lambda: [cache.find(INPUTS, NAMES, passes) for _ in range(20)]) for _ in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert time.monotonic() - began < 10 * SECONDS
        assert len(said) == 1


@pytest.fixture
def slow(server, apart, kept):
    """The server takes 0.2 s for each answer."""
    server.lie = lambda request, kind, digest: time.sleep(0.2)


@pytest.mark.parametrize("found", [True, False])
def test_a_server_that_is_slow_each_time_is_given_up(opened, slow, monkeypatch, found):
    monkeypatch.setattr("ebpfbuild.step_cache.cache.LOSS", 0.5)
    cache, said = opened()
    began = time.monotonic()
    for number in range(50):
        if not cache.find(INPUTS if found else str(number), NAMES, passes):
            cache.keep({str(number): NAMES}, MADE, seconds=0.1)
    assert 0.5 < time.monotonic() - began < 6
    assert len(said) == 1 and "since it is too slow: it has cost " in said[0]


def test_one_that_gives_more_than_it_costs_is_asked_again_and_again(opened, slow, monkeypatch):
    monkeypatch.setattr("ebpfbuild.step_cache.cache.LOSS", 0.5)
    cache, said = opened()
    for number in range(4):
        assert cache.find(str(number), NAMES, passes) is None
        cache.keep({str(number): NAMES}, MADE, seconds=4)  # a machine so busy that a compile takes that long
    assert said == []


@pytest.mark.parametrize("status", [507, 413])
def test_a_full_server_takes_nothing_and_still_gives(server, opened, kept, status):
    server.room = 0
    if status == 413:
        server.lie = lambda request, kind, digest: request.command == "PUT" and answering(b"", 413)(request, kind, digest)
    cache, said = opened()
    for number in range(5):
        cache.keep({str(number): NAMES}, MADE)
    assert said == [f"CACHE: {server.url} takes nothing in this build, since it is full (HTTP {status})"]
    assert cache.find(INPUTS, NAMES, passes) == MADE
    assert server.seen.count(("PUT", "cas")) == 3  # those of `kept`, and one


@pytest.mark.parametrize("status", [404, 405, 409, 501])
@pytest.mark.parametrize("taken", [0, 1])
def test_a_server_that_lets_nobody_write_is_read(server, opened, kept, status, taken):
    """And the notice says "nothing more" only of one that took something in this build."""
    cache, said = opened()
    for number in range(taken):
        cache.keep({str(number): NAMES}, MADE)
    server.lie = lambda request, kind, digest: request.command == "PUT" and answering(b"", status)(request, kind, digest)
    cache.keep({"more": NAMES}, MADE)
    assert cache.find(INPUTS, NAMES, passes) == MADE
    takes = "takes nothing more" if taken else "takes nothing"
    why = f"PUT is refused (HTTP {status}); check the path, and dav_methods of nginx"
    assert said == [f"CACHE: {server.url} {takes} in this build, since {why}"]


def test_a_server_that_breaks_off_what_is_put_there_is_read(server, opened, kept):
    server.lie = lambda request, kind, digest: request.command == "PUT" and dropped(request, kind, digest)
    cache, said = opened()
    for number in range(3):
        cache.keep({str(number): NAMES}, MADE)
    assert cache.find(INPUTS, NAMES, passes) == MADE
    assert said == [f"CACHE: {server.url} takes nothing in this build, since the connection broke off"]
