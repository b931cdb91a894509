"""Pinned files of the project's own (`path=`): an edit is refused in each build, whatever cache and build folder hold."""

import hashlib
import os

import pytest


def edited_in_silence(path, old, new):
    """Replaces bytes by as many others and puts the times back."""
    stat, data = path.stat(), path.read_bytes()
    assert old in data and len(old) == len(new)
    path.write_bytes(data.replace(old, new))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("RELEASE=1",), ("PROVE=1",), ("--offline",)])
@pytest.mark.usefixtures("one_program")
def test_an_edited_header_is_refused_in_a_build_that_has_nothing_to_do(project, arguments):
    project.build("ARCH=x86_64", *arguments)
    assert project.build("ARCH=x86_64", *arguments) == set()
    objects = project.digests(".bpf.o", ".whl")
    path = project.folder / "pins/x86_64.h"
    good = hashlib.sha256(path.read_bytes()).hexdigest()
    edited_in_silence(path, b"int tgid;", b"int tgif;")
    now = hashlib.sha256(path.read_bytes()).hexdigest()
    assert project.scons("ARCH=x86_64", *arguments, "-q").returncode == 1
    for _ in range(2):
        text = project.fails("ARCH=x86_64", *arguments)
        assert "pins/x86_64.h does not hold the pinned vmlinux.h for x86_64 (Linux 6.19), and was not used; put back" in text
        assert f"expected  sha256 {good}" in text and f'  sha256 = "{now}"' in text
    edited_in_silence(path, b"int tgif;", b"int tgid;")
    made = project.build("ARCH=x86_64", *arguments)
    assert made <= {"x86_64/include/vmlinux.h", "x86_64/include/vmlinux.h.json"}
    assert project.digests(".bpf.o", ".whl") == objects
    assert project.build("ARCH=x86_64", *arguments) == set()


@pytest.mark.slow
def test_an_edited_header_that_is_pinned_anew_is_used(built):
    edited_in_silence(built.folder / "pins/x86_64.h", b"int tgid;", b"int tgif;")
    built.pin()
    assert {"x86_64/include/vmlinux.h", "x86_64/one.bpf.o"} <= built.build("ARCH=x86_64,aarch64")


def test_an_edited_archive_is_refused_and_one_that_was_packed_anew_is_not(built):
    helpers = built.folder / "pins/bpf/bpf_helpers.h"
    good = helpers.read_bytes()
    archive = (built.folder / "pins/libbpf.tar.gz").read_bytes()
    helpers.write_bytes(good + b"/* edited */\n")
    built._helpers()
    text = built.fails("ARCH=x86_64,aarch64")
    assert "pins/libbpf.tar.gz does not hold the pinned libbpf 1, and was not used" in text
    helpers.write_bytes(good)
    built._helpers()
    (built.folder / "pins/libbpf.tar.gz").write_bytes(archive + b"\0" * 512)
    assert not [path for path in built.build("ARCH=x86_64,aarch64") if path.endswith(".o")]
    assert built.build("ARCH=x86_64,aarch64") == set()


@pytest.mark.parametrize("stand_in", ["nothing", "link", "folder", "pipe"])
def test_a_header_that_is_gone_is_told_once_and_no_release_does_without(built, stand_in):
    path = built.folder / "pins/x86_64.h"
    path.unlink()
    if stand_in == "nothing":
        done = built.scons("ARCH=x86_64,aarch64")
        assert done.returncode == 0, done.stderr
        assert "pins/x86_64.h is gone: took vmlinux.h for x86_64 (Linux 6.19) from the cache" in done.stderr
        assert built.build("ARCH=x86_64,aarch64") == set()
    else:
        {"link": lambda: path.symlink_to("nowhere"), "folder": path.mkdir, "pipe": lambda: os.mkfifo(path)}[stand_in]()
        assert "vmlinux.h for x86_64 (Linux 6.19) can't be had" in built.fails("ARCH=x86_64,aarch64")
    assert "pins/x86_64.h is not there; put back the file that the pin names" in built.fails("ARCH=x86_64,aarch64", "RELEASE=1")
