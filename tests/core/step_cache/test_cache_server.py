"""A cache behind Bazel's remote cache protocol, on a server that checks what bazel-remote does."""

import shutil
import socket
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from cache_lab import INPUTS, KEY, MADE, NAMES, inlined, passes, result, sha256

from ebpfbuild.step_cache.action_result import decoded
from ebpfbuild.step_cache.cache import StepCache
from ebpfbuild.step_cache.server import ServerPlace

OBJECT = sha256(MADE.files["object.o"])


def test_a_hit_is_one_request_and_each_file_lies_under_its_digest_as_well(server, opened):
    cache, said = opened()
    cache.keep({INPUTS: NAMES}, MADE)
    assert server.seen == [("PUT", "cas"), ("PUT", "cas"), ("PUT", "ac")]
    assert cache.find(INPUTS, NAMES, passes) == MADE and said == []
    assert server.seen[3:] == [("GET", "ac")]


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
