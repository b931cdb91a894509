"""An incremental build gives what a clean build of the same files gives, after any edits, and the next one does nothing.

SCONS_BPF_PROPERTY="rounds,seed" runs longer than the suite does, or on other edits.
"""

import os
import random
import shutil

import pytest

OLD = 10**18  # 2001, in ns: SCons's max_drift believes such a file
ROUNDS, SEED = map(int, os.environ.get("SCONS_BPF_PROPERTY", "3,1").split(","))
SCRIPT = """
import os
SetOption("hash_format", ARGUMENTS.get("HASH", "sha256"))
DefaultEnvironment(tools=[])
folders = ARGUMENTS.get("DIRS", "include,more").split(",")
env = Environment(tools=["ebpf"], toolpath=[os.environ["TOOLPATH"]], EBPF_CPPPATH=folders, ENV={"PATH": os.environ["PATH"]})
env.Command("include/made.h", "made.in", "cp -p $SOURCE $TARGET")
for name in ("one", "two", "three"):
    program = env.BpfProgram(name, f"src/{name}.bpf.c", version="1.0", cflags=ARGUMENTS.get("CFLAGS", "").split())
    Default(program, env.Install("installed", [node for node in program if node.name.endswith(".o")]))
"""


class Edits:
    """A project under random edits. Each `do_…` is one, and says what it did."""

    def __init__(self, project, seed):
        self.project, self.random = project, random.Random(seed)
        self.arguments = {"CFLAGS": "", "DIRS": "include,more", "MINIMIZE": "exact"}
        (project.folder / "SConstruct").write_text(SCRIPT)
        (project.folder / "more").mkdir()
        self.write("made.in", "#define MADE 1\n")
        self.write("more/extra.h", "#define EXTRA 1\n")
        source = (project.folder / "src/one.bpf.c").read_text()
        self.write("src/one.bpf.c", source.replace('"shared.h"', '"shared.h"\n#include "made.h"\n#include <extra.h>').replace("LIMIT;", "LIMIT + MADE + EXTRA;"))

    def write(self, path, text):
        """Writes a file in place or by a rename over it, with a new mtime or an old one."""
        file = self.project.folder / path
        place = file.with_name("fresh") if self.random.random() < 0.5 else file
        place.write_text(text)
        if self.random.random() < 0.7:
            os.utime(place, ns=(OLD, OLD))
        os.replace(place, file)
        return path

    def digit(self):
        return self.random.randint(1, 9)

    def do_source(self):
        name = self.random.choice(("one", "two", "three"))
        path = f"src/{name}.bpf.c"
        text = (self.project.folder / path).read_text().partition("/* edit")[0]
        return self.write(path, f"{text}/* edit */\nint edited = {self.digit()};\n")

    def do_shared(self):
        return self.write("include/shared.h", f"#define LIMIT {self.digit()}\n")

    def do_made(self):
        text = f"#define MADE {self.digit()}\n"
        (self.project.folder / "made.in").write_text(text)  # whether its mtime moves is cp's and SCons's own matter
        return "made.in"

    def do_shadow(self):
        path = self.random.choice(("src/shared.h", "include/extra.h", "src/made.h"))
        file = self.project.folder / path
        if file.exists():
            file.unlink()
            return f"- {path}"
        macro = {"shared": "LIMIT", "extra": "EXTRA", "made": "MADE"}[file.stem]
        return self.write(path, f"#define {macro} {self.digit()}\n")

    def do_flags(self):
        self.arguments["CFLAGS"] = self.random.choice(("", "-DMORE=1", "-DMORE=2", "-fno-inline"))
        return str(self.arguments)

    def do_mode(self):
        self.arguments["MINIMIZE"] = self.random.choice(("off", "exact", "lean"))
        return str(self.arguments)

    def do_folders(self):
        self.arguments["DIRS"] = self.random.choice(("include,more", "more,include"))
        return str(self.arguments)

    def do_swap(self):
        one, two = (self.project.folder / f"src/{name}.bpf.c" for name in ("two", "three"))
        shutil.move(one, one.with_name("kept"))
        shutil.move(two, one)
        shutil.move(one.with_name("kept"), two)
        return "two <-> three"

    def do_tamper(self):
        made = [path for path in sorted((self.project.folder / "build").rglob("*")) if path.is_file() and path.name != ".ebpf-ledger"]
        path = self.random.choice([path for path in made if not path.is_symlink() and "bpfloader" not in path.parts])
        data, times = path.read_bytes(), path.stat()
        way = self.random.choice(("delete", "append", "flip", "touch", "link"))
        if way in ("delete", "link"):
            path.unlink()
        if way == "link":
            path.symlink_to("nowhere")
        if way in ("append", "flip"):
            path.write_bytes(data + b"\n" if way == "append" else bytes([*data[:-1], data[-1] ^ 1]) if data else b"1")
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        if way == "touch":
            os.utime(path)
        return f"{way} {path.name}"

    def some(self):
        """Makes one edit or several."""
        edits = [getattr(self, name) for name in sorted(dir(self)) if name.startswith("do_")]
        return [edit() for edit in self.random.choices(edits, k=self.random.randint(1, 3))]

    @property
    def command(self):
        return ["ARCH=x86_64", *(f"{name}={value}" for name, value in self.arguments.items())]


@pytest.mark.slow
@pytest.mark.parametrize("hashing", ["sha256", "md5"])
def test_an_incremental_build_is_a_clean_one(make_project, hashing):
    edits = Edits(make_project(), f"{SEED} {hashing}")
    edits.arguments["HASH"] = hashing
    done = [edits.project.build(*edits.command)]
    for number in range(ROUNDS):
        done.append(edits.some())
        edits.project.build(*edits.command)
        assert edits.project.build(*edits.command) == set(), done
        clean = copied(edits.project, make_project, f"clean{number}")
        clean.build(*edits.command)
        expected, got = outputs(clean), outputs(edits.project)
        assert {path for path in expected if got.get(path) != expected[path]} == set(), done
        shutil.rmtree(clean.folder)


def copied(project, make_project, name):
    """The same files in another folder, without what a build made."""
    other = make_project(name)
    shutil.rmtree(other.folder)
    ignore = shutil.ignore_patterns("build", ".scons*", "installed", "compile_commands.json")
    shutil.copytree(project.folder, other.folder, ignore=ignore)
    (other.folder / "include/made.h").unlink()
    return other


def outputs(project):
    """The bytes of all that a build made, what is installed of it too."""
    installed = {f"installed/{path.name}": path.read_bytes() for path in (project.folder / "installed").iterdir()}
    return project.digests() | installed
