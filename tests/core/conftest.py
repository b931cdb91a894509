"""Objects by the pinned compiler, the pinned headers, servers on loopback; what can't be had skips a test."""

import functools
import shutil
import subprocess
from pathlib import Path

import pytest
from loopback import no_proxy, pauses, server, tls_server, world  # noqa: F401  fixtures

ROOT = Path(__file__).resolve().parents[2]
TESTDATA = ROOT / "tests" / "testdata"
FLAGS = """-mcpu=v3 -O2 -g -std=gnu11 -Wall -Werror -nostdinc -fms-extensions -Wno-microsoft-anon-tag
-ffile-compilation-dir=. -I.""".split()


@pytest.fixture(scope="session")
def compile_bpf(clang, tmp_path_factory):
    """A function (source text or path of a file in testdata, target, flags) -> the object's bytes, DWARF included.

    It runs in a folder that holds mini_bpf.h and the source as prog.bpf.c, so that no path of the machine gets in.
    `headers` are further files of that folder. Equal calls compile once a session.
    """

    @functools.cache
    def run(source: str, target: str, flags: tuple[str, ...], headers: tuple[tuple[str, str], ...]) -> bytes:
        folder = tmp_path_factory.mktemp("bpf")
        for name, text in (("prog.bpf.c", source), *headers):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)
        shutil.copy(TESTDATA / "mini_bpf.h", folder)
        arguments = [*clang, "-target", target, *FLAGS, *flags, "-c", "prog.bpf.c", "-o", "prog.bpf.o"]
        done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return (folder / "prog.bpf.o").read_bytes()

    def compile_(source: str | Path, target: str = "bpfel", flags: tuple[str, ...] = (), headers=()) -> bytes:
        text = source.read_text() if isinstance(source, Path) else source
        return run(text, target, tuple(flags), tuple(sorted(dict(headers).items())))

    return compile_


@pytest.fixture(scope="session")
def sample(compile_bpf):
    """A function target -> the object of testdata/sample.bpf.c, DWARF included."""
    return lambda target="bpfel": compile_bpf(TESTDATA / "sample.bpf.c", target)


@pytest.fixture(scope="session")
def prove_object(compile_bpf):
    """A function (edits of testdata/prove/kernel.h, of prog.bpf.c, target, flags) -> object; an edit is (old, new)."""

    def build(header=(), program=(), target="bpfel", flags=()) -> bytes:
        texts = []
        for name, edits in (("kernel.h", header), ("prog.bpf.c", program)):
            text = (TESTDATA / "prove" / name).read_text()
            for old, new in edits:
                assert text.count(old) == 1, old
                text = text.replace(old, new)
            texts.append(text)
        return compile_bpf(texts[1], target, flags, headers={"kernel.h": texts[0]})

    return build


@pytest.fixture(scope="session")
def vmlinux(pinned):
    """A function arch -> the path of its pinned vmlinux.h."""
    return lambda arch="x86_64": pinned.vmlinux(arch)


@pytest.fixture(scope="session")
def libbpf_headers(pinned):
    """The pinned libbpf headers by name."""
    return pinned.libbpf()
