"""The libbpf that a wheel carries: its sources, its build in unlike places, what it needs, its licences."""

import ctypes
import platform
import struct
from pathlib import Path

import bundle_sources
import pytest
from ebpfbuild.bundle.build import build
from ebpfbuild.bundle.licenses import LICENSE_FILES, SPDX, with_bundled
from ebpfbuild.bundle.needs import Needs, check_needs, library_needs
from ebpfbuild.bundle.sources import source_files
from ebpfbuild.bundle.targets import TARGETS, glibc_for
from ebpfbuild.errors import ArchiveError, BundleError, ElfError
from ebpfbuild.package.wheel import LICENSE
from hypothesis import given, settings
from hypothesis import strategies as st

ARCHIVES = {name: bundle_sources.archive(name) for name in bundle_sources.FILES}
WHERE = {name: f"toolchain.toml:{line}" for line, name in enumerate(ARCHIVES, 1)}


def test_sources_and_licences_are_taken_out_of_their_archives():
    files = source_files(ARCHIVES, WHERE)
    assert {"config.h", "libbpf/src/libbpf.c", "libbpf/include/uapi/linux/bpf.h", "elfutils/lib/eu-config.h", *LICENSE_FILES} <= set(files)
    assert "libbpf/docs/index.rst" not in files


@pytest.mark.parametrize("changes, error, said", [
    ({"LICENSE": None}, BundleError, "toolchain.toml:3: holds no LICENSE; pin the sources of a release of zlib"),
    ({"../x.c": "", "LICENSE": None}, ArchiveError, "points outside"),
])  # fmt: skip
def test_other_archives_are_refused(changes, error, said):
    with pytest.raises(error, match=said):
        source_files({**ARCHIVES, "zlib": bundle_sources.archive("zlib", changes)}, WHERE)


def test_a_library_is_the_same_in_unlike_places_and_needs_the_c_library_alone(clang, tmp_path):
    """Its name, its exports and what it is told of glibc; another arch's needs are read as well."""
    long = tmp_path / "a much longer folder with blanks"
    long.mkdir()
    made = [build("x86_64", (2, 28), ARCHIVES, WHERE, clang[0], folder) for folder in (tmp_path, long)]
    assert made[0].data == made[1].data and str(tmp_path).encode() not in made[0].data
    assert list(made[0].licenses) == list(LICENSE_FILES) and not list(long.iterdir())
    needs = library_needs(made[0].data, "x")
    assert needs == Needs(("libc.so.6",), (2, 28)) and b"adler" not in made[0].data
    older = build("s390x", (2, 17), ARCHIVES, WHERE, clang[0], tmp_path)
    assert check_needs(older.data, (2, 17), "x").glibc < (2, 18)
    with pytest.raises(BundleError, match=r"^x: needs glibc 2\.28, not 2\.27; "):
        check_needs(made[0].data, (2, 27), "x")


def test_sources_that_do_not_build_are_told_in_one_line(clang, tmp_path):
    broken = bundle_sources.archive("zlib", {"adler32.c": "int f(void) { return missing; }\n"})
    with pytest.raises(BundleError, match=r"^bundle: libbpf can't be built of the pinned sources \(zlib/adler32\.c:1:22: error: .*missing.*\); pin ") as caught:
        build("x86_64", (2, 28), {**ARCHIVES, "zlib": broken}, WHERE, clang[0], tmp_path)
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())
    undefined = bundle_sources.archive("zlib", {"adler32.c": "int g(void);\nint f(void) { return g(); }\n", "../": None})
    with pytest.raises(BundleError, match="undefined symbol: g"):
        build("x86_64", (2, 28), {**ARCHIVES, "libbpf": bundle_sources.archive("libbpf", {"src/libbpf.map": "V { global: *; };\n"}), "zlib": undefined}, WHERE, clang[0], tmp_path)


def test_an_arch_that_is_younger_than_the_pin_has_its_own_floor():
    assert glibc_for("x86_64", (2, 28), "") == (2, 28) and glibc_for("loongarch64", (2, 28), "") == TARGETS["loongarch64"][1]
    with pytest.raises(BundleError, match="^toolchain.toml:1: no libbpf can be built for mips64; leave bundle_libbpf out"):
        glibc_for("mips64", (2, 28), "toolchain.toml:1")


def a_library() -> bytes:
    """A shared library of this machine's with versions: the one that Python's ctypes needs."""
    found = next((path for path in map(Path, ("/lib/x86_64-linux-gnu/libz.so.1", "/usr/lib/x86_64-linux-gnu/libbpf.so.1", "/usr/lib64/libz.so.1")) if path.is_file()), None)
    return found.read_bytes() if found else pytest.skip("this machine has no such library")


def test_a_library_that_needs_others_is_refused():
    data = a_library()
    names = data.replace(b"libc.so.6\0", b"libq.so.6\0")
    with pytest.raises(BundleError, match=r"^x: needs libq\.so\.6, which no wheel may take for granted; "):
        check_needs(names, (9, 9), "x")


@settings(deadline=None)
@given(st.data())
def test_a_damaged_library_has_needs_or_is_refused(data):
    library = bytearray(a_library())
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(library) - 4))
        struct.pack_into("<I", library, place, data.draw(st.sampled_from((0, 1, 0xFFFF, 0xFFFFFFFF))))
    cut = library[: data.draw(st.integers(0, len(library)))] if data.draw(st.booleans()) else library
    try:
        assert library_needs(bytes(cut), "x").glibc >= (0, 0)
    except ElfError as error:
        assert "\n" not in str(error)


def test_the_licence_of_a_package_names_those_of_its_library():
    for license in ("GPL-2.0-only", "GPL-2.0-only OR BSD-2-Clause"):
        whole = with_bundled(license)
        assert LICENSE.fullmatch(whole) and all(each in whole for each in SPDX.values())
    assert with_bundled("GPL-2.0-only OR MIT").startswith("(GPL-2.0-only OR MIT) AND (LGPL") and with_bundled("") == ""


@pytest.mark.slow
def test_the_pinned_sources_make_a_libbpf(clang, pinned, tmp_path):
    """Half a minute of CPU time."""
    pin = pinned.toolchain.bundle
    archives = {name: pinned.file(each).read_bytes() for name, each in pin.sources.items()}
    data = build("x86_64", pin.glibc, archives, {name: name for name in archives}, clang[0], tmp_path).data
    assert check_needs(data, pin.glibc, "x").libraries[0] == "libc.so.6" and len(data) < 1 << 20
    if platform.machine() == "x86_64":
        (tmp_path / "libbpf.so.1").write_bytes(data)
        library = ctypes.CDLL(str(tmp_path / "libbpf.so.1"))
        library.libbpf_version_string.restype = ctypes.c_char_p
        assert library.libbpf_version_string() == b"v1.5"
