"""Functions of stripped binaries by name: their debug files have it, and the binaries the code."""

import shutil
import subprocess

import bpfloader
import pytest
from bpfloader.symbols import debug_files
from bpfloader.symbols.binary import Binary

NO_BINUTILS = pytest.mark.skipif(not shutil.which("objcopy"), reason="there is no objcopy (apt install binutils)")
pytestmark = NO_BINUTILS


@pytest.fixture
def stripped(binary, tmp_path, monkeypatch):
    """A folder with the probed binary, stripped, which names probed.debug; that lies in `elsewhere`."""
    monkeypatch.setattr(debug_files, "DEBUG_FOLDER", str(tmp_path / "debug"))
    (tmp_path / "elsewhere").mkdir()
    debug, program = tmp_path / "elsewhere/probed.debug", tmp_path / "probed"
    for command in (
        ["objcopy", "--only-keep-debug", binary, debug],
        ["objcopy", "--strip-all", f"--add-gnu-debuglink={debug}", binary, program],
    ):
        subprocess.run(command, check=True, capture_output=True)
    return tmp_path


def test_a_function_that_only_the_debug_file_names(start, stripped):
    """As bcc finds it, and gdb (xcover #194, podtrace #261)."""
    bpf, program = start("on_uprobe"), stripped / "probed"
    with pytest.raises(bpfloader.AttachError, match=r"has no symbols, so no function work; install its debug symbols"):
        bpf.progs.on_uprobe.attach(program, "work")
    shutil.copy(stripped / "elsewhere/probed.debug", stripped)
    link = bpf.progs.on_uprobe.attach(program, "work")
    subprocess.run([program, "3"], check=True)
    assert bpf.bss.hits == 3
    link.detach()
    with pytest.raises(bpfloader.AttachError, match="has no symbols, so no function wrok"):
        bpf.progs.on_uprobe.attach(program, "wrok")


def test_a_debug_file_of_another_build_is_none(start, stripped, binary):
    other = stripped / "probed.debug"
    shutil.copy(stripped / "elsewhere/probed.debug", other)
    with open(other, "rb") as file:
        build_id = Binary(file).build_id()
    data = bytearray(other.read_bytes())
    place = data.index(build_id) if build_id else len(data) - 1
    data[place] ^= 1
    other.write_bytes(data)
    bpf = start("on_uprobe")
    with pytest.raises(bpfloader.AttachError, match="has no symbols"):
        bpf.progs.on_uprobe.attach(stripped / "probed", "work")
