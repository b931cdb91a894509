"""What can't be looked at for lack of open files is neither missing nor another: reading raises, and nothing is left out."""

import errno
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from ebpfbuild.files import walk
from ebpfbuild.rebuild.ledger import Ledger
from ebpfbuild.shortage import is_shortage, shortage_below, shortage_fix

SCRIPT = """
import os, resource, sys
sys.path.insert(0, {core!r})
from ebpfbuild.compile.line_text import line_text
from ebpfbuild.files import walk
from ebpfbuild.rebuild.ledger import Ledger
from ebpfbuild.rebuild.step_code import core_files
text, ledger = line_text([("src", "src")], {root!r}), Ledger({root!r} + "/ledger")
ledger.built({root!r} + "/src/a.c")
os.utime({root!r} + "/src/a.c", (1, 1))  # so it is hashed
looks = {{
    "walk": lambda: list(walk({root!r})), "core": core_files, "text": lambda: text("src/a.c", 1),
    "intact": lambda: ledger.intact({root!r} + "/src/a.c"),
}}
resource.setrlimit(resource.RLIMIT_NOFILE, (3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
try:
    print(looks[{look!r}]())
except OSError as error:
    print(error.errno)
"""


@pytest.mark.parametrize("look", ["walk", "core", "text", "intact"])
def test_what_can_not_be_opened_is_not_taken_for_missing(tmp_path, look):
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a.c").write_text("int a;\n")
    script = SCRIPT.format(core=str(Path(__file__).resolve().parents[2] / "site_scons"), root=str(tmp_path), look=look)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(errno.EMFILE)


def test_a_walk_passes_bytecode_and_finds_nothing_where_nothing_is(tmp_path):
    (tmp_path / "a/__pycache__").mkdir(parents=True)
    (tmp_path / "a/b.py").touch()
    assert [(Path(parent).name, names) for parent, _, names in walk(tmp_path / "a")] == [("a", ["b.py"])]
    assert list(walk(tmp_path / "none")) == []


def test_what_is_wrong_with_a_file_is_no_shortage(tmp_path):
    assert is_shortage(OSError(errno.EIO, "")) and "dmesg" in shortage_fix(OSError(errno.EIO, ""))
    assert not is_shortage(OSError(errno.ENOENT, "")) and not shortage_fix(OSError(errno.EACCES, ""))
    assert not Ledger(tmp_path / "ledger").intact(str(tmp_path / "gone"))


def test_a_shortage_is_found_below_what_a_library_made_of_it():
    short = OSError(errno.EMFILE, "Too many open files")
    wrapped = ValueError("new connection")
    wrapped.__cause__ = short
    assert shortage_below(KeyError(wrapped)) is shortage_below(wrapped) is shortage_below(short) is short
    wrapped.__cause__ = wrapped  # round in a circle
    for other in (ssl.SSLError(5, "SSL_ERROR_SYSCALL"), socket.gaierror(11, "a name"), TimeoutError(), wrapped):
        assert shortage_below(other) is None  # 5 is EIO of open(2), 11 EAGAIN
