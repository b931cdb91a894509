"""Addresses in processes by name, and histograms as text."""

import ctypes
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import bpfloader
import pytest
from bpfloader.symbols import kernel as kernel_symbols, user as user_symbols
from bpfloader.symbols.binary import find_binary
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ME = os.getpid()


def address_of(library: ctypes.CDLL, name: str) -> int:
    return ctypes.cast(getattr(library, name), ctypes.c_void_p).value


def test_a_function_of_a_library_is_told_with_its_file():
    getpid = address_of(ctypes.CDLL(None), "getpid")
    assert bpfloader.user_symbol(getpid, ME) == "getpid+0x0 [libc.so.6]"
    assert bpfloader.user_symbol(getpid + 3, ME) == "getpid+0x3 [libc.so.6]"
    assert bpfloader.user_symbol(getpid, ME, offset=False) == "getpid [libc.so.6]"


def test_a_function_of_the_program_itself():
    name = bpfloader.user_symbol(address_of(ctypes.pythonapi, "PyLong_FromLong") + 1, ME)
    assert name.startswith("PyLong_FromLong+0x1 [") and "python" in name


def test_an_address_without_a_name_is_a_number():
    buffer = ctypes.create_string_buffer(1 << 20)  # mapped for itself: of no file
    place = ctypes.addressof(buffer)
    assert bpfloader.user_symbol(place + 4096, ME).startswith(f"{place + 4096:#x}")
    assert bpfloader.user_symbol(8, ME) == "0x8"
    assert bpfloader.user_symbol(2**64 - 1, ME) == "0xffffffffffffffff"
    with open("/proc/self/maps") as file:
        rows = [line.split() for line in file]
    start = next(int(row[0].split("-")[0], 16) for row in rows if row[-1].endswith("libc.so.6"))
    assert bpfloader.user_symbol(start, ME) == f"{start:#x} [libc.so.6]"  # its ELF header


def test_a_process_that_has_ended():
    child = subprocess.Popen(["true"])
    child.wait()
    assert bpfloader.user_symbol(4096, child.pid) == "0x1000"


def test_a_library_that_was_deleted_or_replaced(tmp_path):
    """map_files reaches it; without that capability the address is all there is."""
    copy = tmp_path / "libcopy.so.1"
    bpfloader.version()  # libbpf is mapped from here on
    with open("/proc/self/maps") as file:
        shutil.copy(next(line.split()[-1] for line in file if "/libbpf.so.1" in line), copy)
    address = address_of(ctypes.CDLL(str(copy)), "bpf_program__name")
    copy.unlink()
    copy.write_bytes(b"no library")
    assert bpfloader.user_symbol(address, ME) == "bpf_program__name+0x0 [libcopy.so.1]"


def test_files_are_read_once_and_not_kept_without_bound(tmp_path, monkeypatch):
    user_symbols._CACHE.clear()
    getpid = address_of(ctypes.CDLL(None), "getpid")
    bpfloader.UserSymbols().symbol(getpid, ME)
    (kept,) = user_symbols._CACHE.values()
    bpfloader.UserSymbols().symbol(getpid, ME)
    assert [*user_symbols._CACHE.values()] == [kept] and next(iter(user_symbols._CACHE.values())) is kept
    small = shutil.which("true")
    monkeypatch.setattr(user_symbols, "MAX_CACHED_FILES", 3)
    for number in range(user_symbols.MAX_CACHED_FILES + 3):
        path = tmp_path / str(number)
        shutil.copy(small, path)
        with open(path, "rb") as file:
            user_symbols._read(file)
    assert len(user_symbols._CACHE) == user_symbols.MAX_CACHED_FILES
    monkeypatch.setattr(user_symbols, "MAX_CACHED_BYTES", 1)
    shutil.copy(find_binary("libc.so.6"), tmp_path / "large")
    with open(tmp_path / "large", "rb") as file:
        assert user_symbols._read(file).size > 1
    assert len(user_symbols._CACHE) == 1


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(headers=st.booleans(), back=st.integers(0, 2000), junk=st.binary(min_size=1, max_size=8))
def test_a_broken_file_has_no_names_or_others(tmp_path, headers, back, junk):
    """Its ELF header, or its section headers at the end of the file, are damaged."""
    with open(shutil.which("true"), "rb") as file:
        whole = file.read()
    place = back % 64 if headers else len(whole) - 1 - back
    path = tmp_path / "broken"
    path.write_bytes(whole[:place] + junk + whole[place + len(junk) :])
    table = user_symbols._read_region(user_symbols.Region(0, 1 << 20, 0, str(path)), ME)
    assert table is None or table.at(4096) is None or table.at(4096).offset >= 0


def test_a_histogram_by_powers_of_two():
    text = bpfloader.log2_histogram({0: 5, 2: (20, 20), 3: 1, 5: 0}, "usecs")
    assert text.splitlines() == [
        "     usecs               : count     distribution",
        "         0 -> 1          : 5        |*****                                   |",
        "         2 -> 3          : 0        |                                        |",
        "         4 -> 7          : 40       |****************************************|",
        "         8 -> 15         : 1        |*                                       |",
    ]
    assert bpfloader.log2_histogram((5, 0, 40, 1, 0), "usecs") == text
    wide = bpfloader.log2_histogram({63: 1}).splitlines()
    assert len(wide) == 65 and wide[-1].startswith(" 9223372036854775808 -> 18446744073709551615 : 1        |****")


def test_a_histogram_by_slot():
    assert bpfloader.linear_histogram({1: 4, 3: 1}, "cpu").splitlines() == [
        "     cpu           : count     distribution",
        "        0          : 0        |                                        |",
        "        1          : 4        |****************************************|",
        "        2          : 0        |                                        |",
        "        3          : 1        |**********                              |",
    ]


def test_a_histogram_of_nothing_is_empty():
    assert (
        bpfloader.log2_histogram({})
        == bpfloader.linear_histogram([0, 0])
        == bpfloader.log2_histogram({7: (0, 0)})
        == ""
    )


@pytest.mark.parametrize("slots", [{64: 1}, {2**40: 1}, {-1: 1}])
def test_a_slot_that_can_not_be(slots):
    with pytest.raises(ValueError, match="slots are 0 to 63, not "):
        bpfloader.log2_histogram(slots)
    assert sys.getsizeof(bpfloader.linear_histogram({1024: 1})) < 1 << 20


def test_an_address_beyond_the_kernels_functions_is_a_number(kernel):
    assert bpfloader.kernel_symbol(2**64 - 1) == "0xffffffffffffffff"
    assert bpfloader.kernel_symbol(2**64 - 1, offset=False) == "0xffffffffffffffff"


def test_the_frame_of_a_call_that_never_returns_is_the_caller(monkeypatch):
    """What is called last in a function returns to the next one's first byte."""
    monkeypatch.setattr(kernel_symbols, "_kernel_symbols", lambda _: ([0x100, 0x200], ["start_kernel", "clear_bss"]))
    assert kernel_symbols.kernel_frame(0x200, True, True) == "start_kernel+0x100"
    assert kernel_symbols.kernel_frame(0x200, False, True) == kernel_symbols.kernel_symbol(0x200) == "clear_bss+0x0"


def jitted() -> dict[str, int]:
    """The addresses of BPF programs by their names in /proc/kallsyms: bpf_prog_<tag>_<name>."""
    rows = map(str.split, Path("/proc/kallsyms").read_text().splitlines())
    return {row[2]: int(row[0], 16) for row in rows if row[2].startswith("bpf_prog_") and len(row) > 3}


@pytest.mark.parametrize("told", [True, False])
def test_a_program_that_was_loaded_since_has_its_name(skel, kernel, monkeypatch, told):
    """It had that of another with an offset (opentelemetry-ebpf-profiler #938)."""
    from bpfloader.kernel import bpf

    if not told:  # as without CAP_SYS_ADMIN
        monkeypatch.setattr(bpf, "next_program", lambda _: (_ for _ in ()).throw(PermissionError(1, "")))
    bpfloader.kernel_symbol(2**64 - 1)
    before = jitted()
    with skel.Probe.open() as probe:
        probe.load()
        after = jitted()
        names = [name for name in after if name not in before and name.endswith(("_emit", "_fill"))]
        if not names:
            pytest.skip("this kernel shows no BPF programs in /proc/kallsyms (sysctl net.core.bpf_jit_kallsyms)")
        time.sleep(kernel_symbols.CHECK_SECONDS if told else 1)
        assert [bpfloader.kernel_symbol(after[name] + 1) for name in names] == [f"{name}+0x1" for name in names]


def test_functions_of_the_kernels_own_are_read_once(kernel, monkeypatch):
    start = bpfloader.kernel_symbol(0) and kernel_symbols._known[0].symbols
    time.sleep(kernel_symbols.CHECK_SECONDS)
    monkeypatch.setattr(kernel_symbols, "_version", None)
    assert bpfloader.kernel_symbol(start.first, offset=False) and kernel_symbols._known[0].symbols is start


def test_maps_that_end_in_the_midst_with_their_process_replace_no_whole_ones(monkeypatch):
    """The kernel's file ends where the process does: of a large one a reader often gets a part."""
    program = "import ctypes; print(ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p).value, flush=True); input()"
    symbols, read = bpfloader.UserSymbols(), user_symbols.read_maps
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", program], **pipes) as process:
        address = int(process.stdout.readline())
        symbols.remember(process.pid)

        def ended(pid):
            lines = read(pid).splitlines(keepends=True)
            process.kill()
            process.wait()
            return b"".join(lines[: len(lines) // 3])

        monkeypatch.setattr(user_symbols, "read_maps", ended)
        assert symbols.symbol(address, process.pid).startswith("getpid+0x0 [libc")
        assert process.poll() is not None
