"""Functions of stripped files: by debug files of the same build alone, by mini-debuginfo, and never by another's."""

import lzma
import os
import shutil
import struct
import subprocess
import sys
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO

import bpfloader
import pytest
from bpfloader.symbols import debug_files, debuginfod as debuginfod_client, user
from bpfloader.symbols.binary import Binary
from bpfloader.symbols.debug_files import mini_debug_info
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

NAME = "cluster::front::create(int)"
PROGRAM = """
#include <stdio.h>
#if VERSION
void longer(void) { puts("version 2"); }
#endif

__attribute__((noinline)) int _ZN7cluster5front6createEi(int number) { return printf("%d", number); }
int main(void)
{
	printf("%p\\n", (void *)_ZN7cluster5front6createEi);
	fflush(stdout);
	while (getchar() != EOF)
		_ZN7cluster5front6createEi(VERSION);
	return 0;
}
"""


@pytest.fixture(scope="module", params=["sha1", "none"])
def built(cc, request, tmp_path_factory):
    """A folder with a program, with a build id or without one, its debug file, and those of another version of it."""
    if not shutil.which("objcopy") or not shutil.which("strip"):
        pytest.skip("there is no objcopy (apt install binutils)")
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "service.c").write_text(PROGRAM)
    for version, name in enumerate(("service", "other")):
        run(
            *cc,
            "-O1",
            f"-DVERSION={version}",
            f"-Wl,--build-id={request.param}",
            "-o",
            folder / name,
            folder / "service.c",
        )
        run("objcopy", "--only-keep-debug", folder / name, folder / f"{name}.debug")
    return folder


def run(*command):
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def stripped(built, tmp_path, monkeypatch):
    """A folder with the stripped program, which names service.debug. Debug files are looked for in its `debug`."""
    monkeypatch.setattr(debug_files, "DEBUG_FOLDER", str(tmp_path / "debug"))
    shutil.copy(built / "service.debug", tmp_path)
    run("strip", "-o", tmp_path / "service", built / "service")
    run("objcopy", f"--add-gnu-debuglink={tmp_path}/service.debug", tmp_path / "service")
    (tmp_path / "service.debug").unlink()
    user._CACHE.clear()
    return tmp_path


def create_of(program) -> int:
    """Returns the offset of the function in the file."""
    with open(program, "rb") as file:
        binary = Binary(file)
        (address,) = {each.address for each in binary.functions() if each.name == "_ZN7cluster5front6createEi"}
        return next(
            each.offset + address - each.address
            for each in binary.segments()
            if each.address <= address < each.address + each.size
        )


def name_of(program, offset) -> str | None:
    """Returns the name of the function at an offset of a file that this process could map."""
    table = user._read_region(user.Region(0, 1 << 20, 0, str(program)), os.getpid())
    found = table.at(offset)
    return found.name if found else None


@pytest.mark.parametrize("place", ["{0}", "{0}/.debug", "{0}/debug{0}", "{0}/debug/.build-id"])
def test_a_debug_file_of_the_same_build(built, stripped, place):
    offset = create_of(built / "service")
    assert name_of(stripped / "service", offset) is None
    with open(stripped / "service", "rb") as file:
        build_id = Binary(file).build_id().hex()
    path = f"{place.format(stripped)}/service.debug"
    if place.endswith(".build-id"):
        path = f"{place.format(stripped)}/{build_id[:2]}/{build_id[2:]}.debug"
        if not build_id:
            return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    shutil.copy(built / "other.debug", path)
    user._CACHE.clear()
    assert name_of(stripped / "service", offset) is None, "another build's"
    shutil.copy(built / "service.debug", path)
    user._CACHE.clear()
    assert name_of(stripped / "service", offset) == NAME


def test_mini_debug_info(built, stripped):
    """As Fedora's: the table of the functions that .dynsym hasn't, in an ELF file of its own, compressed."""
    run("strip", "--strip-debug", "-o", stripped / "mini", built / "service.debug")
    (stripped / "mini.xz").write_bytes(lzma.compress((stripped / "mini").read_bytes()))
    run("objcopy", f"--add-section=.gnu_debugdata={stripped}/mini.xz", stripped / "service")
    assert name_of(stripped / "service", create_of(built / "service")) == NAME


def test_a_stripped_service_is_named_and_stays_so_when_it_has_ended(built, stripped):
    shutil.copy(built / "service.debug", stripped)
    symbols = bpfloader.UserSymbols()
    with subprocess.Popen([stripped / "service"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as service:
        address = int(service.stdout.readline(), 16)
        assert symbols.symbol(address + 2, service.pid) == f"{NAME}+0x2 [service]"
        symbols.remember(service.pid)
        unseen = bpfloader.UserSymbols().symbol(address, 2**22 + 1)
    os.unlink(stripped / "service.debug")
    user._CACHE.clear()
    assert symbols.symbols((address, address + 3), service.pid) == (f"{NAME}+0x0 [service]", f"{NAME}+0x3 [service]")
    assert unseen == hex(address) == bpfloader.UserSymbols().symbol(address, service.pid)


def test_the_pid_of_a_process_that_has_ended_is_given_to_another(monkeypatch):
    symbols, pid = bpfloader.UserSymbols(), os.getpid()
    symbols.remember(pid)
    assert symbols._processes[pid].regions
    monkeypatch.setattr(user, "_start_time", lambda pid: b"another")
    monkeypatch.setattr(user, "read_maps", lambda pid: b"")
    assert symbols.symbol(id(symbols), pid) == hex(id(symbols))
    monkeypatch.setattr(user, "MAX_PROCESSES", 2)
    for number in range(5):
        symbols.symbol(1, number)
    assert len(symbols._processes) == 2


def test_a_file_that_was_replaced_names_nothing_of_a_process_that_has_ended(tmp_path):
    path = tmp_path / "library"
    shutil.copy(sys.executable, path)
    facts = os.stat(path)
    region = user.Region(
        0, 1 << 20, 0, str(path), True, (f"{os.major(facts.st_dev):02x}:{os.minor(facts.st_dev):02x}", facts.st_ino)
    )
    user._open_same(region, 0).close()
    shutil.copy(sys.executable, tmp_path / "newer")
    os.replace(tmp_path / "newer", path)
    with pytest.raises(ValueError):
        user._open_same(region, 0)


@pytest.fixture
def debuginfod():
    """A server on this machine: its address, the paths that it was asked for, and what it answers, as a function."""

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_GET(self):
            server.asked.append(self.path)
            code, body, headers = server.answer()
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.asked, server.url = [], f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


BAD_ANSWERS = {
    "another build's": lambda debug: (200, debug["other.debug"], {}),
    "no file": lambda debug: (200, b"<html>", {}),
    "cut short": lambda debug: (200, debug["service.debug"][:500], {"Content-Length": "5000"}),
    "too large": lambda debug: (200, bytes(1 << 20), {}),
    "HTTP 500": lambda debug: (500, b"", {}),
    "a redirect to plain http": lambda debug: (302, b"", {"Location": "http://192.0.2.1/x"}),
    "a redirect to a file": lambda debug: (302, b"", {"Location": "file:///etc/passwd"}),
    "a redirect to itself": lambda debug: (302, b"", {"Location": "/x"}),
}


@pytest.mark.parametrize("built", ["sha1"], indirect=True)
@pytest.mark.parametrize("bad", [*BAD_ANSWERS, "404", ""])
def test_a_debuginfod_server_is_asked_once_and_believed_only_for_that_build(
    built, stripped, debuginfod, bad, monkeypatch
):
    monkeypatch.setattr(debuginfod_client, "MAX_BYTES", 1 << 19)
    debug = {name: (built / name).read_bytes() for name in ("service.debug", "other.debug")}
    good = (200, debug["service.debug"], {})
    debuginfod.answer = lambda: (404, b"", {}) if bad == "404" else BAD_ANSWERS[bad](debug) if bad else good
    server, offset = debuginfod_client.Debuginfod(f"{debuginfod.url}/"), create_of(built / "service")
    region = user.Region(0, 1 << 20, 0, str(stripped / "service"))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = user._read_region(region, os.getpid(), user.Extras(server)).at(offset)
        user._CACHE.clear()
        user._read_region(region, os.getpid(), user.Extras(server))
    with open(stripped / "service", "rb") as file:
        assert debuginfod.asked[0] == f"/buildid/{Binary(file).build_id().hex()}/debuginfo"
    assert (found.name if found else None) == (None if bad else NAME)
    assert [str(each.message).partition(" (")[0] for each in said] == [
        "the debuginfod server 127.0.0.1 gives no debug files"
    ] * (bad in BAD_ANSWERS)
    assert len(set(debuginfod.asked)) <= 2 and (bad in BAD_ANSWERS or len(debuginfod.asked) == 2)


@pytest.mark.parametrize(
    "url", ["http://debuginfod.example.org", "ftp://127.0.0.1", "debuginfod.example.org", "file:///tmp", ""]
)
def test_a_server_is_named_by_an_https_address(url):
    if not url:
        assert bpfloader.UserSymbols(debuginfod=url)._extras.server is None
        return
    with pytest.raises(ValueError, match="name it as https://HOST"):
        bpfloader.UserSymbols(debuginfod=url)
    assert bpfloader.UserSymbols(debuginfod="https://debuginfod.example.org")._extras.server


def small_elf(sections: dict[bytes, bytes]) -> Binary:
    """Returns a 64-bit file with these sections."""
    names = b"\0.names\0" + b"".join(name + b"\0" for name in sections)
    body, rows, place = names, [bytes(64)], 64
    header = "<IIQQQQIIQQ"
    rows.append(struct.pack(header, 1, 3, 0, 0, place, len(names), 0, 0, 1, 0))
    for name, data in sections.items():
        rows.append(
            struct.pack(
                header, names.index(b"\0" + name + b"\0") + 1, 1, 0, 0, place + len(body), len(data), 0, 0, 1, 0
            )
        )
        body += data
    head = b"\x7fELF\2\1\1".ljust(16, b"\0")
    head += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 0, 64 + len(body), 0, 64, 56, 0, 64, len(rows), 1)
    return Binary(BytesIO(head + body + b"".join(rows)))


@given(
    note=st.binary(max_size=80),
    link=st.binary(max_size=40),
    data=st.binary(max_size=200),
    flips=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
)
@example(note=b"\4\0\0\0\x14\0\0\0\3\0\0\0GNU\0" + b"\7" * 20, link=b"../../etc/shadow\0\0\0\0abcd", data=b"", flips=[])
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_sections_give_what_they_say_or_nothing(note, link, data, flips):
    packed = bytearray(lzma.compress(b"\x7fELF" + data))
    for place, byte in flips:
        packed[place % len(packed)] = byte
    binary = small_elf({b".note.gnu.build-id": note, b".gnu_debuglink": link, b".gnu_debugdata": bytes(packed)})
    assert len(binary.build_id()) in (0, *range(4, 65))
    found = binary.debug_link()
    assert found is None or (
        "/" not in found.name and found.name not in ("", ".", "..") and link.startswith(os.fsencode(found.name))
    )
    assert mini_debug_info(binary) is None


def test_a_small_section_that_would_fill_the_memory_is_given_up(monkeypatch):
    monkeypatch.setattr(debug_files, "MAX_MINI", 1 << 16)
    assert mini_debug_info(small_elf({b".gnu_debugdata": lzma.compress(bytes(1 << 24))})) is None
