"""A cache behind Bazel's remote cache protocol, on a server that checks what bazel-remote does, and on one that lies."""

import contextlib
import gzip
import shutil
import socket
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from backports import zstd
from bazel_server import bazel_server
from cache_lab import INPUTS, KEY, MADE, NAMES, passes, result, sha256

from ebpfbuild.errors import FetchError
from ebpfbuild.step_cache.action_result import decoded
from ebpfbuild.step_cache.cache import StepCache
from ebpfbuild.step_cache.opening import open_cache
from ebpfbuild.step_cache.server import ServerPlace

TESTDATA = Path(__file__).resolve().parents[2] / "testdata"
CA_FOLDER = TESTDATA / "company-ca"
(CA,) = CA_FOLDER.glob("*.0")
SELF_SIGNED = TESTDATA / "self-signed.pem"
OBJECT = sha256(MADE.files["object.o"])
SECRET = "s3cr3t"
SECONDS = 0.4  # that these tests wait for a server


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


def test_a_hit_is_one_request_and_each_file_lies_under_its_digest_as_well(server, opened):
    cache, said = opened()
    cache.keep({INPUTS: NAMES}, MADE)
    assert server.seen == [("PUT", "cas"), ("PUT", "cas"), ("PUT", "ac")]
    assert cache.find(INPUTS, NAMES, passes) == MADE and said == []
    assert server.seen[3:] == [("GET", "ac")]


def inlined(**contents):
    """The ActionResult of MADE with its files' contents, or others."""
    held = {name.partition(".")[0]: {"contents": data} for name, data in MADE.files.items()}
    return result(**held | {name: {"contents": data} for name, data in contents.items()})


def test_a_result_whose_files_a_server_or_an_older_version_left_out_is_found(server, opened, apart):
    cache, said = opened()
    cache.keep({INPUTS: NAMES}, MADE)
    without = server.entries["ac", KEY]
    server.entries["ac", KEY] = inlined()
    assert cache.find(INPUTS, NAMES, passes) == MADE
    server.entries["ac", KEY] = inlined(object=b"")  # one of the two
    assert cache.find(INPUTS, NAMES, passes) == MADE and said == []
    assert decoded(without).stderr == decoded(inlined()).stderr  # the same seal: an older version finds it, too


@pytest.mark.parametrize("size, requests", [((1 << 17) - 4, 1), (1 << 17, 2)])
def test_a_large_file_is_in_no_result(server, opened, size, requests):
    made = replace(MADE, files={**MADE.files, "object.o": b"\x7fELF" + bytes(size)})
    cache, said = opened()
    cache.keep({INPUTS: NAMES}, made)
    server.seen.clear()
    assert cache.find(INPUTS, NAMES, passes) == made and len(server.seen) == requests


def test_a_result_that_would_be_too_large_holds_no_file(server, opened, monkeypatch):
    monkeypatch.setattr("ebpfbuild.step_cache.cache.MAX_RESULT_SIZE", 2000)
    cache, said = opened()
    cache.keep({INPUTS: NAMES}, MADE)
    assert len(server.entries["ac", KEY]) < 2000 and cache.find(INPUTS, NAMES, passes) == MADE and said == []


def test_a_result_holds_its_files_when_those_are_evicted(server, opened, kept):
    for digest in server.of("cas"):
        server.entries.pop(("cas", digest))
    cache, said = opened()
    assert cache.find(INPUTS, NAMES, passes) == MADE and said == []


@pytest.mark.parametrize("offers_zstd", [True, False])
def test_what_one_build_keeps_another_finds(server, opened, apart, offers_zstd):
    server.offers_zstd = offers_zstd
    cache, said = opened()
    assert cache.find(INPUTS, NAMES, passes) is None
    cache.keep({INPUTS: NAMES}, MADE)
    assert server.seen == [("GET", "ac"), ("PUT", "cas"), ("PUT", "cas"), ("PUT", "ac")]  # files before what names them
    assert server.of("ac") == [KEY]
    assert opened(f"{server.url}/instance/name")[0].find(INPUTS, NAMES, passes) == MADE
    assert cache.find(INPUTS, NAMES, passes) == MADE and said == []
    assert server.connections == 2  # one for each, which stays open


@pytest.mark.parametrize("size", [0, 1, 1 << 16, 5_000_000])
def test_files_of_any_size_come_through_zstd(server, opened, apart, size):
    made = replace(MADE, files={"object.o": b"\x7fELF" + bytes(size) + b"end"})
    cache, said = opened()
    cache.keep({INPUTS: ["object.o"]}, made)
    assert cache.find(INPUTS, ["object.o"], passes) == made and said == []


def test_a_file_that_was_evicted_under_its_result_is_a_miss_without_a_word(server, opened, apart, kept):
    server.entries.pop(("cas", OBJECT))
    cache, said = opened()
    assert cache.find(INPUTS, NAMES, passes) is None  # bazel-remote's 404 for the result
    server.lie = lambda request, kind, digest: kind == "ac" and (request.reply(200, result()) or True)
    assert cache.find(INPUTS, NAMES, passes) is None  # and where nobody looks, the file's
    assert said == [] and cache.rejected == 0
    server.lie = None
    cache.keep({INPUTS: NAMES}, MADE)
    assert cache.find(INPUTS, NAMES, passes) == MADE


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


def test_a_connection_that_the_server_closed_meanwhile_is_made_anew(server, opened, kept):
    def last_words(request, kind, digest):
        request.close_connection = True
        return False

    server.lie = last_words
    cache, said = opened()
    for _ in range(4):
        assert cache.find(INPUTS, NAMES, passes) == MADE
    assert said == []


@pytest.mark.slow
def test_three_builds_of_eight_threads_share_one_server(server, opened, monkeypatch):
    monkeypatch.setattr("ebpfbuild.step_cache.cache.LOSS", 60)  # server and builds have one interpreter
    caches = [opened() for _ in range(3)]

    def build(cache):
        for number in range(12):
            if cache.find(str(number), NAMES, passes) is None:
                cache.keep({str(number): NAMES}, MADE)

    threads = [threading.Thread(target=build, args=[cache]) for cache, _ in caches for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert [said for _, said in caches] == [[]] * 3
    assert len(server.of("ac")) == 12
    assert opened()[0].find("7", NAMES, passes) == MADE


def test_a_proxy_is_asked_for_the_server_and_logs_in_by_its_own_words(server, monkeypatch, tmp_path):
    logins = set()
    server.lie = lambda request, kind, digest: logins.add(request.headers.get("Proxy-Authorization"))
    monkeypatch.setenv("http_proxy", server.url.replace("//", "//me:p%40ss@"))
    said = []
    cache = open_cache("http://cache.invalid/instance", tmp_path, {}, said.append, False)
    assert cache.find(INPUTS, NAMES, passes) is None
    cache.keep({INPUTS: NAMES}, MADE)
    assert cache.find(INPUTS, NAMES, passes) == MADE and said == []
    assert logins == {"Basic bWU6cEBzcw=="}
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    cache = open_cache("http://cache.invalid", tmp_path, {}, said.append, False)
    assert cache.find(INPUTS, NAMES, passes) is None
    assert len(said) == 1 and "since the proxy http://127.0.0.1:1 (http_proxy) can't be reached or refuses" in said[0]


@pytest.fixture
def logged_in(server, tmp_path):
    """A function: environment -> a StepCache on the server, and what it says."""

    def make(**environ):
        said = []
        return open_cache(server.url, tmp_path, {"HOME": str(tmp_path), **environ}, said.append, False), said

    return make


def works(cache):
    assert cache.find("nothing", NAMES, passes) is None
    cache.keep({INPUTS: NAMES}, MADE)
    return cache.find(INPUTS, NAMES, passes) == MADE


def test_a_netrc_or_a_header_from_a_file_logs_in(server, logged_in, tmp_path):
    server.login = "Basic bWU6czNjcjN0"
    cache, said = logged_in()
    assert not works(cache)
    asked = "HTTP 401: wants a password: write `machine 127.0.0.1 login USER password PASSWORD` into ~/.netrc, "
    assert said == [f"CACHE: {server.url} isn't used any more in this build, since {asked}or name a file with its header in EBPF_STEP_CACHE_HEADER"]
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login me password {SECRET}\n")
    cache, said = logged_in()
    assert works(cache) and said == []
    server.login = f"Bearer {SECRET}"
    cache, said = logged_in()
    assert not works(cache) and f"refuses the login in {tmp_path}/.netrc" in said[0] and SECRET not in said[0]
    (tmp_path / "token").write_text(f"Authorization: Bearer {SECRET}\n")
    cache, said = logged_in(EBPF_STEP_CACHE_HEADER="token")
    assert works(cache) and said == []


def test_certificates_of_both_sides(server, logged_in, tmp_path, monkeypatch):
    for name in ("SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(CA))
    server.encrypt(CA_FOLDER / "server.pem", clients=SELF_SIGNED)
    cache, said = logged_in()
    assert not works(cache) and len(said) == 1
    cache, said = logged_in(EBPF_STEP_CACHE_CERT=str(SELF_SIGNED))
    assert works(cache) and said == []
    for name, text in (("none.pem", "no certificate"), ("key.pem", "-----BEGIN CERTIFICATE-----\n")):
        (tmp_path / name).write_text(text)
        cache, said = logged_in(EBPF_STEP_CACHE_CERT=name)
        assert not works(cache) and f"{tmp_path}/{name} is no certificate to log in with" in said[0]
    cache, said = logged_in(EBPF_STEP_CACHE_CERT="gone.pem")
    assert not works(cache) and "gone.pem is no certificate to log in with (No such file or directory)" in said[0]
    monkeypatch.setenv("SSL_CERT_FILE", str(SELF_SIGNED))
    cache, said = logged_in(EBPF_STEP_CACHE_CERT=str(SELF_SIGNED))
    assert not works(cache) and "no trusted TLS connection" in said[0]


@pytest.mark.parametrize(
    "named, what",
    [
        ("ftp://cache", "CACHE=ftp://cache: neither a folder nor an http(s) URL; write https://host/path or a folder"),
        ("grpc://cache:9092", "CACHE=grpc://cache:9092: neither a folder nor an http(s) URL; "),
        ("http://", "CACHE=http://: neither a folder nor an http(s) URL; "),
        ("ftp://me:s3cr3t@cache", "CACHE: neither a folder nor an http(s) URL; "),
        ("ftp://me:s3cr3t", "CACHE: neither a folder nor an http(s) URL; "),
        ("ftp://cache/?key=s3cr3t", "CACHE: neither a folder nor an http(s) URL; "),
        ("http://cache/?key=s3cr3t", "CACHE: is no URL to look below; "),
        ("http://me:s3cr3t@cache", "CACHE: holds a user name or password; write them into ~/.netrc, or name a file with the header of a login in EBPF_STEP_CACHE_HEADER"),
    ],
)
def test_what_names_no_cache_is_an_error_without_secrets(named, what, tmp_path):
    with pytest.raises(FetchError) as caught:
        open_cache(named, tmp_path, {}, [].append, False)
    assert str(caught.value).startswith(what) and SECRET not in str(caught.value)


@pytest.mark.parametrize("named", ["shared", "./shared", "file://{}/shared", "{}/shared"])
def test_a_folder_is_named_from_the_root(named, tmp_path):
    cache = open_cache(named.format(tmp_path), tmp_path, {}, [].append, False)
    cache.keep({INPUTS: NAMES}, MADE)
    assert (tmp_path / "shared" / "ac" / KEY).is_file()


NGINX = """
daemon off;
error_log stderr;
pid {folder}/pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 64m;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/cache;
        location / {{ dav_methods PUT; create_full_put_path on; }}
    }}
}}
"""


@pytest.fixture
def nginx(tmp_path, no_proxy):
    """The URL of an nginx with WebDAV, and the folder that it serves."""
    binary = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if binary is None:
        pytest.skip("nginx is not installed (Debian: nginx-light)")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "cache").mkdir()
    tmp_path.chmod(0o755)
    (tmp_path / "conf").write_text(NGINX.format(folder=tmp_path, port=port))
    user = ["-g", "user root;"] if Path(tmp_path).owner() == "root" else []
    with subprocess.Popen([binary, "-c", str(tmp_path / "conf"), *user], stderr=subprocess.PIPE) as process:
        try:
            until = time.monotonic() + 10
            while time.monotonic() < until:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    assert process.poll() is None, process.stderr.read()
                    time.sleep(0.02)
            yield f"http://127.0.0.1:{port}", tmp_path / "cache"
        finally:
            process.terminate()


def test_nginx_with_webdav_serves_a_cache_and_what_is_spoilt_there_is_replaced(nginx, opened, monkeypatch):
    url, folder = nginx
    cache, said = opened(url)
    assert cache.find(INPUTS, NAMES, passes) is None
    cache.keep({INPUTS: NAMES}, MADE)
    assert cache.find(INPUTS, NAMES, passes) == MADE and said == []
    monkeypatch.setattr(ServerPlace, "inlines", 0)
    cache.keep({INPUTS: NAMES}, MADE)
    (folder / "cas" / OBJECT).write_bytes(b"x" * 2000)
    assert cache.find(INPUTS, NAMES, passes) is None and cache.rejected == 1
    cache.keep({INPUTS: NAMES}, MADE)
    assert cache.find(INPUTS, NAMES, passes) == MADE
    reader = StepCache(ServerPlace(url, None), said.append, read_only=True)
    assert reader.find(INPUTS, NAMES, passes) == MADE
