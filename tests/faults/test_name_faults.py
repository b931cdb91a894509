"""Names of files and folders."""

import os
import shutil

import pytest
from rows import rows
from scons_project import ROOT, pinned_project
from staged import write_ledger

NAMES = {
    "a space": "a b",
    "a single quote": "a'b",
    "UTF-8": "ä€\N{GRINNING FACE}",
    "a leading dash": "-ab",
    "a leading dot": ".ab",
    "a dollar sign": "a$b",
    "a percent sign": "a%b",
    "signs of a shell's": "a;b&c|d(e)<f>`g`!#~",
    "signs of patterns": "a*b?[c]{d}",
    "two hundred characters": "x" * 200,
}
REFUSED = {
    "a newline": "a\nb",
    "a tab": "a\tb",
    "a backslash": "a\\b",
    "bytes that are no UTF-8": os.fsdecode(b"a\xff"),
}


@pytest.fixture(scope="module")
def named(tmp_path_factory, compiler, known):
    """A project with a source, a header and an include folder by each name; all are built in one run."""
    parent = tmp_path_factory.mktemp("named")
    project = pinned_project(parent / "project", compiler.version, parent / "store")
    write_ledger(project, known(ROOT))
    source = (project.folder / "src/one.bpf.c").read_text()
    lines = []
    for number, name in enumerate(NAMES.values()):
        (project.folder / name).mkdir()
        (project.folder / name / f"{name}.h").write_text(f"#define LIMIT {number + 1}\n")
        (project.folder / f"src/{name}.bpf.c").write_text(source.replace("shared.h", f"{name}.h"))
        escaped = name.replace("$", "$$")  # as in any string of SCons's
        lines.append(f"env.BpfObject({f'src/{escaped}.bpf.c'!r}, 'x{number}', include_dirs=[{escaped!r}])\n")
    project.declare("".join(lines))
    project.build("ARCH=x86_64")
    assert project.build("ARCH=x86_64") == set()
    return project


@rows({f"{sign} in the names of a source, its header and its folder": name for sign, name in NAMES.items()})
def test_a_name(named, fault):
    """Built as any other; the next build has nothing to do."""
    assert (named.folder / f"build/x86_64/x{list(NAMES.values()).index(fault)}.bpf.o").exists()


@pytest.mark.usefixtures("one_program")
@rows({f"{sign} in the name of a source": name for sign, name in REFUSED.items()})
def test_a_name_that_clang_spells_differently(project, fault):
    """One line that names it; without it the next build works."""
    odd = project.folder / f"src/{fault}.bpf.c"
    shutil.copy(project.folder / "src/one.bpf.c", odd)
    script = (project.folder / "SConstruct").read_text()
    with open(project.folder / "SConstruct", "a") as file:
        file.write(f"\nenv.BpfObject({ascii(f'src/{fault}.bpf.c')}, 'odd')\n")
    text = project.fails("ARCH=x86_64")
    assert "; rename it" in text or "; take letters, digits and signs that print" in text
    assert text.count("\n") == 1 and text.strip().isprintable()
    (project.folder / "SConstruct").write_text(script)
    assert project.scons("ARCH=x86_64", "-n").returncode == 0


@pytest.fixture(scope="module")
def plain():
    """What the first checkout gives: all others give the same."""
    return {}


@rows({
    "signs of a shell's in the names of checkout and store": "a b'c\"d$e%f#g;h&i|j(k)[l]*?{m}<n>`o`!~ -p",
    "UTF-8 and a leading dash in the names of checkout and store": "-ä€\N{GRINNING FACE}",
    "a newline, a tab and a backslash in the names of checkout and store": "a\nb\tc\\d",
    "bytes that are no UTF-8 in the names of checkout and store": os.fsdecode(b"a\xff"),
})  # fmt: skip
def test_a_checkout(make_project, tmp_path, plain, fault):
    """The same bytes as anywhere else."""
    project = make_project(fault)
    project.cache = tmp_path / f"{fault}-store"
    project.edit("SConstruct", '("one", "two", "three")', '("one",)')
    project.build("ARCH=x86_64")
    digests = project.digests(".o", ".py", ".whl", ".tar")
    assert len(digests) > 3 and plain.setdefault("digests", digests) == digests
