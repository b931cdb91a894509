"""A header of another kernel stands in for one that can't be reached: with a notice, on record, and never in a release."""

import hashlib
import json
import shutil

import pytest

pytestmark = pytest.mark.usefixtures("one_program")


@pytest.fixture
def unreachable(project):
    """The test project with an x86_64 pin that no network has, and an alternate beside it."""
    folder = project.folder
    other = (folder / "pins/x86_64.h").read_text().replace("int tgid;", "int tgid;\n\tint older;")
    (folder / "pins/older.h").write_text(other)
    project.edit("toolchain.toml", 'path = "pins/x86_64.h"', 'url = "https://example.invalid/a/vmlinux_6.19.h"')
    with open(folder / "toolchain.toml", "a") as toolchain:
        digest = hashlib.sha256(other.encode()).hexdigest()
        toolchain.write(f'\n[[vmlinux.x86_64.alternate]]\nkernel = "6.1"\npath = "pins/older.h"\nsha256 = "{digest}"\nsize = {len(other)}\n')
    return project


def record(project):
    return json.loads((project.folder / "build/x86_64/include/vmlinux.h.json").read_text())


def test_an_alternate_is_taken_with_a_notice_and_recorded(unreachable):
    done = unreachable.scons("ARCH=x86_64")
    assert done.returncode == 0, done.stderr
    assert "took the alternate of Linux 6.1 from pins/older.h" in done.stderr
    assert record(unreachable)["alternate"] is True
    assert record(unreachable)["kernel"] == "6.1"
    assert unreachable.build("ARCH=x86_64") == set()


def test_a_release_takes_no_alternate_not_even_one_that_is_in_place(unreachable):
    unreachable.build("ARCH=x86_64")
    text = unreachable.fails("ARCH=x86_64", "RELEASE=1")
    assert "vmlinux.h for x86_64 (Linux 6.19)" in text and "RELEASE" in text
    assert not (unreachable.folder / "build/x86_64/include/vmlinux.h").exists()


@pytest.mark.slow
def test_the_pinned_header_takes_its_place_back_when_a_mirror_has_it(unreachable):
    unreachable.build("ARCH=x86_64")
    origin = unreachable.folder / "mirror/example.invalid/a/vmlinux_6.19.h"
    origin.parent.mkdir(parents=True)
    assert unreachable.build("ARCH=x86_64", "MIRROR=mirror") == set(), "a mirror without it changes nothing"
    shutil.copy(unreachable.folder / "pins/x86_64.h", origin)
    assert "x86_64/one.bpf.o" in unreachable.build("ARCH=x86_64", "MIRROR=mirror")
    assert record(unreachable)["alternate"] is False
    assert record(unreachable)["source"] == "https://example.invalid/a/vmlinux_6.19.h"
    assert unreachable.build("ARCH=x86_64", "--offline") == set()
    shutil.rmtree(unreachable.folder / "build")
    assert "x86_64/one.bpf.o" in unreachable.build("ARCH=x86_64", "--offline", "RELEASE=1"), "from the cache"


def test_an_edited_alternate_is_repaired(unreachable):
    unreachable.build("ARCH=x86_64")
    header = unreachable.folder / "build/x86_64/include/vmlinux.h"
    header.write_text(header.read_text() + "\n")
    unreachable.build("ARCH=x86_64")
    assert hashlib.sha256(header.read_bytes()).hexdigest() == record(unreachable)["sha256"]


def test_an_alternate_of_the_project_itself_that_was_edited_is_refused(unreachable):
    unreachable.build("ARCH=x86_64")
    unreachable.edit("pins/older.h", "int older;", "int newer;")
    assert "pins/older.h does not hold the pinned vmlinux.h for x86_64 (Linux 6.1)" in unreachable.fails("ARCH=x86_64")
    unreachable.edit("pins/older.h", "int newer;", "int older;")
    unreachable.build("ARCH=x86_64")
    assert unreachable.build("ARCH=x86_64") == set()
