"""ebpfbuild.summary: the table at the end of a build."""

import pytest
from ebpfbuild.summary import MAX_OBJECT_LINES, MadeObject, MadePackage, summary


def made(path="build/x86_64/one.bpf.o", arch="x86_64", size=2000, lines=12, proof="proven"):
    return MadeObject(path, arch, size, lines, proof)


def test_a_build_of_nothing_has_none():
    assert summary([], [], 1.0) == ""


def test_objects_and_packages_stand_in_columns_by_path():
    objects = [made("build/x86_64/two.bpf.o", lines=1, size=999, proof="not proven"), made(), made("build/x86_64/linked.bpf.o", lines=None)]
    assert summary(objects, [MadePackage("build/dist/one-1.0-py3-none-any.whl", 1_240_000)], 2.26) == (
        "MADE     build/x86_64/linked.bpf.o            2 kB       linked                 proven\n"
        "MADE     build/x86_64/one.bpf.o               2 kB       vmlinux.h of 12 lines  proven\n"
        "MADE     build/x86_64/two.bpf.o               999 bytes  vmlinux.h of 1 line    not proven\n"
        "MADE     build/dist/one-1.0-py3-none-any.whl  1.2 MB\n"
        "MADE     in 2.3 s\n"
    )


@pytest.mark.parametrize("many", [1, MAX_OBJECT_LINES])
def test_as_many_objects_as_a_terminal_shows_have_a_line_each(many):
    assert len(summary([made()] * many, [], 1.0).splitlines()) == many + 1


@pytest.mark.parametrize("many, size", [(MAX_OBJECT_LINES, "48 kB"), (2999, "6.0 MB")])
def test_more_objects_are_counted_by_arch(many, size):
    objects = [made(f"build/arm/{number}.bpf.o", "arm", lines=11 + number % 3, proof="full header") for number in range(many)]
    words = [" ".join(line.split()) for line in summary([*objects, made()], [], 1.0).splitlines()]
    assert words == [
        f"MADE {many} objects for arm {size} vmlinux.h of 12 lines on average {many} full header",
        "MADE 1 object for x86_64 2 kB vmlinux.h of 12 lines on average 1 proven",
        "MADE in 1.0 s",
    ]


def test_a_name_that_steers_the_terminal_is_escaped():
    assert "\x1b" not in summary([made("build/x86_64/\x1b[31m.bpf.o")], [MadePackage("\x1b.whl", 1)], 1.0)
