"""Arguments and variables take what SCons's own builders take: strings, lists, Globs, nodes, $VARs; or say what to write."""

import pytest

ROOTS = {"-D__TARGET_ARCH_x86", "-Iinclude"}


def given_flags(project):
    """The macros and include folders of each object, by its name."""
    project.build("ARCH=x86_64", "compile_commands.json")
    made = {entry["output"].split("/")[-1].removesuffix(".bpf.o"): entry["arguments"] for entry in project.commands()}
    return {
        name: [word for word in words if word[:2] in ("-D", "-I") and word not in ROOTS and "_Pragma" not in word]
        for name, words in made.items()
    }


def test_flags_are_a_command_line_or_a_list(declare):
    calls = {
        "string": '''cflags="-DA=1 -DB='x y'"''',
        "nested": 'cflags=("-DA=1", ["-DB=x y"])',
        "variable": 'cflags="$WORDS"',
        "variables": 'cflags=["$WORDS", "$LIST", "-DN=${LIST[0]}", "-DCOST=$$5"]',
        "none": "cflags=None",
    }
    body = "env.Replace(WORDS='-DA=1 -DB=2', LIST=['-DL', '-DM'])\n"
    body += "".join(f'env.BpfObject("src/one.bpf.c", "{name}", {call})\n' for name, call in calls.items())
    assert given_flags(declare(body)) == {
        "string": ["-DA=1", "-DB=x y"],
        "nested": ["-DA=1", "-DB=x y"],
        "variable": ["-DA=1", "-DB=2"],
        "variables": ["-DA=1", "-DB=2", "-DL", "-DM", "-DN=-DL", "-DCOST=$5"],
        "none": [],
    }


def test_flags_and_folders_of_the_environment(declare):
    project = declare("""
env.Append(EBPF_CFLAGS="-DS -DT")
env.BpfObject("src/one.bpf.c", "appended", cflags="-DOWN")
ebpf(EBPF_CFLAGS="-DS -DT").BpfObject("src/one.bpf.c", "string")
ebpf(CPPDEFINES=["A", ("B", 2), {"C": '\\\\"s t\\\\"'}, "D=$V"], V=3, CPPPATH="src:$OTHER", OTHER=["pins"]).BpfObject(
    "src/one.bpf.c", "stock", include_dirs=Dir("pins/bpf"))
""")
    assert given_flags(project) == {
        "appended": ["-DS", "-DT", "-DOWN"],
        "string": ["-DS", "-DT"],
        "stock": ["-DA", "-DB=2", '-DC="s t"', "-DD=3", "-Isrc", "-Ipins", "-Ipins/bpf"],
    }


def test_sources_folders_and_names_in_every_form(declare):
    project = declare("""
import pathlib
env.Replace(NAME="named", MODE="lean", ONE="src/one.bpf.c", ALL=["src/one.bpf.c"], EBPF_BUILD="$PLACE", PLACE=Dir("build"), WANTED=["x86_64"])
copied = env.Command("gen/copied.bpf.c", "src/one.bpf.c", Copy("$TARGET", "$SOURCE"))
env.BpfObject(["src/two.bpf.c"])
env.BpfObject(copied, depends=["src/one.bpf.c", copied])
env.BpfObject(Glob("src/o*.bpf.c"), include_dirs="src")
env.BpfObject("$ONE", "$NAME", arch="x86, arm64", include_dirs=(["src"], Dir("include")))
env.BpfObject("$ALL", "whole", arch=["$WANTED"])
env.EbpfCheckArguments(["ARGS", ["OTHER"]])
env.MinimizedVmlinux("$NAME", ["$ONE", ["src/two.bpf.c"]], mode="$MODE")
env.BpfObject(pathlib.Path("src/three.bpf.c"), include_dirs=[pathlib.Path("src")])
""")
    made = {path for path in project.build("ARCH=x86_64", "OTHER=1") if path.endswith(".o")}
    names = ("two", "copied", "one", "named", "whole", "three")
    assert made == {f"x86_64/{name}.bpf.o" for name in names} | {"aarch64/named.bpf.o"}
    assert project.build("ARCH=x86_64") == set()


def test_a_program_takes_variables_nodes_and_numbers(declare):
    project = declare("""
env.Replace(WHO="tool", VERSION=1.5)
env.BpfProgram("$WHO", [Glob("src/one.bpf.c")], version="$VERSION", app=[Dir("app")], readme=Glob("read*.md"), events={})
""")
    (project.folder / "app").mkdir()
    (project.folder / "app/__main__.py").write_text("")
    (project.folder / "readme.md").write_text("text")
    assert "dist/tool-1.5-py3-none-linux_x86_64.whl" in project.build("ARCH=x86_64")


@pytest.mark.parametrize("given", ["program", "[[program], []]"])
def test_what_bpfprogram_returned_stands_for_its_objects(declare, given):
    """Not for its wheel and its skeleton: BpfCSkeleton had bpftool read them, and a tar held what was no header."""
    done = declare(f"""
program = env.BpfProgram("one", "src/one.bpf.c")
print("made:", *env.BpfCSkeleton({given}), *env.BpfProof({given}), *env.BpfPackage("two", "1", {given}, program[2:4]))
""").scons("ARCH=x86_64,aarch64", "-n", "-s")
    assert done.returncode == 0, done.stdout + done.stderr
    both = [f"build/{arch}/one.{kind}" for kind in ("skel.h", "proof.json") for arch in ("x86_64", "aarch64")]
    assert done.stdout.splitlines()[0].split()[1:] == [*both, "build/dist/two-1-py3-none-any.whl", "build/dist/two-1-any.tar"]


def test_a_misspelt_command_is_told_with_the_one_that_was_meant(declare):
    """Beside SCons's own words; a target of the project's, a file and a command's other words stay what they are."""
    project = declare("""
env.Alias("rootfs", env.Command("gen/copied", "src/one.bpf.c", Copy("$TARGET", "$SOURCE")))
env.Command("prov", "src/one.bpf.c", Copy("$TARGET", "$SOURCE"))
""")
    (project.folder / "fetsh").write_text("")
    meant = {"kernel": "kernels", "reproduc": "reproduce", "verify-releas": "verify-release", "rotfs": "rootfs", "RELEASE": "RELEASE=",
             "release": "RELEASE=", "RELASE": "RELEASE=", "program": "programs"}  # fmt: skip
    done = project.scons("-k", *meant, "zzz", "prov", "fetsh", "rootfs")
    assert done.returncode == 2 and (project.folder / "prov").exists() and (project.folder / "gen/copied").exists()
    assert done.stderr.count("scons: *** Do not know how to make File target") == len(meant) + 1
    notices = [line for line in done.stderr.splitlines() if line.startswith("ebpf: ")]
    assert notices == [f"ebpf: {word}: no target is called so; did you mean {name}?" for word, name in meant.items()]
    for word, name in {"--ofline": "--offline", "--agianst=x": "--against", "--exlpain": "", "--zzz": "", "--off": ""}.items():
        notices = [line for line in project.scons("-n", word).stderr.splitlines() if line.startswith("ebpf: ")]
        assert notices == ([f"ebpf: {word.partition('=')[0]}: no option is called so; did you mean {name}?"] if name else [])
    project.edit("SConstruct", "env.Command", "raise SystemExit\nenv.Command")
    assert "ebpf: " not in project.scons("--ofline").stderr
    assert "ebpf: " not in project.scons("kernel").stderr  # not read to its end: it may yet have declared that


PROGRAM = 'one = env.BpfProgram("one", "src/one.bpf.c")\n'


@pytest.mark.parametrize(
    "body, message",
    [
        ('env.BpfObject("src")', "source: src is a folder; name a file in it"),
        ('env.BpfObject(Dir("src"))', "source: src is a folder; name a file in it"),
        ('env.BpfObject("src/one.txt")', "source: src/one.txt is no C file; name one that ends in .c"),
        ('env.MinimizedVmlinux("set", ["include/shared.h"])', "source: include/shared.h is no C file"),
        ('env.MinimizedVmlinux("s", "src/one.bpf.c", mode="all")', "MinimizedVmlinux: mode='all': no such mode; take one of off, exact"),
        ("env.BpfObject(env.Value(3))", "source: 3 is no file; name one"),
        ("env.BpfObject(3)", "source: 3 is neither a path nor a node; write a string, or what a builder returned"),
        ('env.BpfProgram("x", Glob("nosuch*.bpf.c"))', "BpfObject: x has no sources; name them"),
        ('env.BpfObject("src/one.bpf.c", header="a.h")', "header: 'a.h' is not what MinimizedVmlinux returned"),
        ('env.BpfObject("src/one.bpf.c", cflags="-D\'A")', "cflags: -D'A is no command line (No closing quotation); close"),
        ('env.BpfObject("src/one.bpf.c", include_dirs="src/one.bpf.c")', "include_dirs: src/one.bpf.c is a file; name the folder"),
        ('env.BpfProgram("one", "src/one.bpf.c", app=["src", "pins"])', "app: got src and pins; name one"),
        ('env.BpfProgram("one", "src/one.bpf.c", readme="src")', "readme: src is a folder; name a file in it"),
        ('env.BpfSkeleton(env.BpfObject("src/one.bpf.c"), events="e")', "BpfSkeleton: events='e' is no dict; write events={"),
        ('env.BpfObject("src/one.bpf.c", arch="arm46")', "arch: no arch is called 'arm46'; did you mean arm64?"),
        ('ebpf(CFLAGS="-DX").BpfObject("src/one.bpf.c")', "CFLAGS: BPF programs take no flags of this machine's compiler (-DX); put"),
        ('ebpf(CCFLAGS=["-O2"]).MinimizedVmlinux("s", "src/one.bpf.c")', "CCFLAGS: BPF programs take no flags of this machine's compiler"),
        ('ebpf(CPPPATH="/usr/include").BpfObject("src/one.bpf.c")', "into the project, or declare the BPF programs in env.Clone(CPPPATH=[])"),
        ('ebpf(CPPDEFINES="@x -I").BpfObject("src/one.bpf.c", cflags="-Iinc")', "cflags: '-Iinc' adds a folder in which files are found"),
        (PROGRAM + "env.BpfSkeleton(one[1:])", "objects: build/x86_64/one_skel.py is no object; hand over what BpfObject or BpfProgram"),
        (PROGRAM + "env.BpfCSkeleton([one[0], one[1]])", "objects: build/x86_64/one_skel.py is no object; hand over"),
        (PROGRAM + "env.BpfProof(one[-1])", "objects: build/dist/one-0-x86_64.tar is no object; hand over"),
        (PROGRAM + 'env.BpfPackage("two", "1", [one[0], one[1]], one[1:3])', "objects: build/x86_64/one_skel.py is no object; hand over"),
        (PROGRAM + 'env.BpfPackage("two", "1", one, one[1:3], c_skeletons=one)', "c_skeletons: build/x86_64/one.bpf.o is no header; hand over what"),
        ('Repository("/srv/of others")\nenv.BpfObject("src/one.bpf.c")', "Repository /srv/of others: BPF programs are made of this project alone"),
        (PROGRAM + 'for _ in range(2):\n    env.EbpfRun("go", one, "one")', "EbpfRun: go is a command already; give each of them a name of its"),
        (PROGRAM + 'env.EbpfRun("go", one, "one")\nenv.EbpfTest("go", "src")', "EbpfTest: go is a command already; give each"),
        (PROGRAM + 'env.EbpfRun("go", one["x86"], "one")', "EbpfRun: go has no wheel to run; hand it what BpfProgram or BpfPackage"),
        (PROGRAM + 'env.BpfImage("two", "1", "src/one.bpf.c")', "objects: src/one.bpf.c is no object; hand over"),
    ],
)  # fmt: skip
def test_what_no_builder_can_take_is_told_in_one_line(declare, body, message):
    text = declare(body + "\n").fails("ARCH=x86_64", "-n")
    assert message in text and text.count("\n") == 1
