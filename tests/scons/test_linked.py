"""Objects of several sources: what is compiled, shared, linked, proven and packed, and what is said when it can't be."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from ebpfbuild.elf.reader import Elf
from ebpfbuild.link.libraries import libraries_for, this_machine
from slow import slow_after

ROOT = Path(__file__).resolve().parents[2]

MAIN = """
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "lib.h"

char LICENSE[] SEC("license") = "GPL";

SEC("raw_tp/sys_enter")
int on_enter(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	total += 1;
	return note(task->pid);
}
"""
LIB = """
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "lib.h"

char LICENSE[] SEC("license") = "GPL";
int total = 5;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

__attribute__((noinline)) int note(int pid)
{
	__u32 slot = pid & 3;
	__u64 *count = bpf_map_lookup_elem(&seen, &slot);

	if (count)
		*count += 1;
	return pid;
}
"""
HEADER = "extern int total;\nextern int note(int pid);\n"
OTHER = MAIN.replace("on_enter", "on_exit").replace("sys_enter", "sys_exit")
FILES = {"main.bpf.c": MAIN, "other.bpf.c": OTHER, "lib.bpf.c": LIB}
BOTH = "both = env.BpfObject('both', ['src/main.bpf.c', 'src/lib.bpf.c'])\n"


@pytest.fixture
def project(make_project, pinned):
    """The test project with a library of BPF code, and the linker's libraries in its cache."""
    project = make_project()
    (project.folder / "include/lib.h").write_text(HEADER)
    for tree in linker_trees(pinned):
        give(project, pinned, tree)
    return project.declare(BOTH, **FILES)


def linker_trees(pinned):
    """The trees of the linker that this machine needs."""
    needed = libraries_for(pinned.toolchain.linker, *this_machine())
    return [*needed.libraries, *filter(None, [needed.c_library])]


def give(project, pinned, tree):
    """Puts a pinned tree into the project's cache, as a fetch would."""
    blobs = project.cache / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    for path in pinned.tree(tree).values():
        shutil.copy(path, blobs)
    shutil.copy(pinned.options.cache / "sha256" / tree.sha256, blobs)


def symbols(project, path="build/x86_64/both.bpf.o"):
    """The names that an object defines."""
    elf = Elf.parse((project.folder / path).read_bytes())
    return {symbol.name for symbol in elf.symbols if symbol.section and symbol.name}


def test_each_source_is_compiled_and_an_edit_compiles_one_and_links(project):
    made = project.build("ARCH=x86_64")
    parts = {"x86_64/parts/src/main.bpf.o", "x86_64/parts/src/lib.bpf.o"}
    assert parts | {"x86_64/both.bpf.o"} <= made
    assert {"on_enter", "note", "total", "seen", "LICENSE"} <= symbols(project)
    assert project.build("ARCH=x86_64") == set()
    project.edit("src/lib.bpf.c", "total = 5", "total = 6")
    made = project.build("ARCH=x86_64")
    assert made == {"x86_64/parts/src/lib.bpf.o", "x86_64/minimized/parts/src/lib/vmlinux.h", "x86_64/both.bpf.o"}
    project.edit("src/lib.bpf.c", "int total", "/* the same */ int total")
    assert "x86_64/both.bpf.o" not in project.build("ARCH=x86_64")


def test_a_checkout_elsewhere_takes_parts_links_and_proofs_from_a_cache(project, make_project, tmp_path):
    other = make_project("at/another/depth")
    (other.folder / "include/lib.h").write_text(HEADER)
    other.declare(BOTH, **FILES)
    arguments = ("ARCH=x86_64", "PROVE=1", f"CACHE={tmp_path}/shared")
    assert "0 of 3 from the cache" in project.scons(*arguments).stdout
    assert "3 of 3 from the cache" in other.scons(*arguments).stdout
    assert other.digests(".o", ".h", ".proof.json") == project.digests(".o", ".h", ".proof.json")
    assert other.build(*arguments) == set()
    other.edit("src/lib.bpf.c", "total = 5", "total = 6")
    assert "0 of 2 from the cache" in other.scons(*arguments).stdout


def test_a_library_is_compiled_once_for_all_programs_that_share_it(project):
    body = BOTH + "env.BpfObject('two', ['src/other.bpf.c', 'src/lib.bpf.c'])\nenv.BpfObject('src/lib.bpf.c', 'alone')\n"
    project.declare(body, **FILES)
    done = project.scons("ARCH=x86_64")
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("CLANG") and "/parts/" in line] == [
        f"CLANG    build/x86_64/parts/src/{name}.bpf.o" for name in ("main", "lib", "other")
    ]
    assert {"on_exit", "note"} <= symbols(project, "build/x86_64/two.bpf.o")
    assert "on_enter" not in symbols(project, "build/x86_64/two.bpf.o")


def test_other_flags_give_a_library_of_their_own(project):
    """Whatever shapes an object: its flags, its header; and each in the environment that names it."""
    flags = "'two', ['src/other.bpf.c', 'src/lib.bpf.c'], cflags=['-DX=1']"
    mode = "'three', ['src/three.bpf.c', 'src/lib.bpf.c'], minimize='off'"
    project.declare(BOTH + f"env.BpfObject({flags})\nenv.BpfObject({mode})\n", **FILES)
    made = {path for path in project.build("ARCH=x86_64") if "/parts/src/lib" in path and path.endswith(".o")}
    assert len(made) == 3 and "x86_64/parts/src/lib.bpf.o" in made
    for name in ("both", "two"):
        assert {"note", "total"} <= symbols(project, f"build/x86_64/{name}.bpf.o")


def test_a_library_may_be_an_object_that_is_declared_once(project):
    body = "lib = env.BpfObject('src/lib.bpf.c', 'lib')\nboth = env.BpfObject('both', ['src/main.bpf.c', lib])\n"
    project.declare(body + "env.BpfObject('again', [both, 'src/three.bpf.c'])\n", **FILES)
    made = project.build("ARCH=x86_64,aarch64,s390x")
    assert {"aarch64/lib.bpf.o", "aarch64/both.bpf.o"} <= made and "aarch64/parts/src/lib.bpf.o" not in made
    for arch in ("x86_64", "aarch64", "s390x"):
        assert {"on_enter", "note", "three"} <= symbols(project, f"build/{arch}/again.bpf.o")


WAYS = {
    "the name first": "env.BpfObject('both', ['src/main.bpf.c', 'src/lib.bpf.c'])",
    "the name last": "env.BpfObject(['src/main.bpf.c', 'src/lib.bpf.c'], 'both')",
    "by name": "env.BpfObject(name='both', source=('src/main.bpf.c', 'src/lib.bpf.c'))",
    "nodes": "env.BpfObject('both', [env.File('src/main.bpf.c'), [File('src/lib.bpf.c')]])",
    "a glob": "env.BpfObject('both', env.Glob('src/[ml]*.bpf.c'))",
    "one source behind a name": "env.BpfObject('both', 'src/lib.bpf.c')",
    "a list of one": "env.BpfObject(['src/lib.bpf.c'], 'both')",
    "one source before a name": "env.BpfObject('src/lib.bpf.c', 'both')",
    "one node": "env.BpfObject(env.File('src/lib.bpf.c'), 'both')",
    "one node behind a name": "env.BpfObject('both', env.File('src/lib.bpf.c'))",
}


@pytest.mark.parametrize("way", slow_after(5, WAYS))
def test_name_and_sources_are_told_apart(project, way):
    project.declare(WAYS[way], **FILES)
    assert "note" in symbols_after_build(project)


def symbols_after_build(project):
    project.build("ARCH=x86_64")
    return symbols(project)


ARM_LIBRARY = "lib = env.BpfObject('src/lib.bpf.c', arch='aarch64')\n"
NOT_OF_X86 = (
    "build/x86_64/both.bpf.o: build/aarch64/lib.bpf.o is not made for x86_64; make it for that arch as well, or link each arch's own: arch="
)
WRONG = {
    "no name": ("env.BpfObject(['src/main.bpf.c', 'src/lib.bpf.c'])",
                'BpfObject: no name for what is linked; write BpfObject("NAME", ["src/main.bpf.c", "src/lib.bpf.c"])'),
    "an object and no name": ("env.BpfObject(env.BpfObject('src/lib.bpf.c'))",
                              'BpfObject: no name for what is linked; write BpfObject("NAME", ["build/x86_64/lib.bpf.o"])'),
    "flags for objects": ("env.BpfObject('both', env.BpfObject('src/lib.bpf.c'), cflags=['-DX=1'])",
                          "BpfObject: both is made of objects alone, and cflags= shapes none; give it where they are made"),
    "a header of other arches": ("header = env.MinimizedVmlinux('m', ['src/lib.bpf.c'], arch='aarch64')\n"
                                 "env.BpfObject('both', ['src/main.bpf.c', 'src/lib.bpf.c'], header=header)",
                                 "its header is not made for x86_64, only for aarch64"),
    "no sources": ("env.BpfObject('both', [])", 'BpfObject: both has no sources; name them: BpfObject("both", ["main.bpf.c", "lib.bpf.c"])'),
    "two lists": ("env.BpfObject(['src/main.bpf.c'], ['src/lib.bpf.c'])", "is no name; write BpfObject("),
    "one twice": ("env.BpfObject('both', ['src/main.bpf.c', './src/main.bpf.c'])", "both.bpf.o: src/main.bpf.c is named twice; name it once"),
    "the name twice": (BOTH + BOTH, "build/x86_64/both.bpf.o is declared twice; give one of the programs another name"),
    "no name and no sources": ("env.BpfObject(Glob('nosuch*.bpf.c'))",
                               'BpfObject: there are no sources; name them: BpfObject("NAME", ["main.bpf.c", "lib.bpf.c"])'),
    "another arch's object alone": ("env.BpfObject('both', [env.BpfObject('src/lib.bpf.c', arch='aarch64')])", NOT_OF_X86),
    "another arch's object beside a source": (ARM_LIBRARY + "env.BpfObject('both', ['src/main.bpf.c', lib])", NOT_OF_X86),
    "an object that one of the arches lacks": (ARM_LIBRARY + "env.BpfObject('both', ['src/main.bpf.c', lib], arch='aarch64,x86_64')",
                                               NOT_OF_X86),
    "an object of each arch, another one's in one": (
        ARM_LIBRARY + "main = env.BpfObject('src/main.bpf.c', arch='aarch64,x86_64')\nenv.BpfObject('both', [main, lib['arm64']])", NOT_OF_X86),
}  # fmt: skip


@pytest.mark.parametrize("way", WRONG)
def test_what_can_not_be_linked_is_told_where_it_is_declared(project, way):
    body, said = WRONG[way]
    project.declare(body, **FILES)
    assert said in project.fails("ARCH=x86_64")


REFUSED = {
    "defined twice": ("src/main.bpf.c", "SEC(\"raw_tp", "int note(int pid) { return pid; }\nint total;\nSEC(\"raw_tp",
                      "build/x86_64/both.bpf.o: note is defined by src/main.bpf.c and src/lib.bpf.c; keep one, or make it static"),
    "declared differently": ("include/lib.h", "extern int total;", "#ifdef MAIN\nextern long total;\n#else\nextern int total;\n#endif",
                             "build/x86_64/both.bpf.o: total is declared differently by src/main.bpf.c and src/lib.bpf.c: incompatible int "),
    "defined nowhere": ("src/main.bpf.c", "note(task->pid)", "other(task->pid)",
                        "build/x86_64/both.bpf.o: no source defines other, which src/main.bpf.c uses; name the source that does"),
}  # fmt: skip


@pytest.mark.parametrize("fault", REFUSED)
def test_a_refusal_names_the_sources_and_leaves_no_object(project, fault):
    path, old, new, said = REFUSED[fault]
    main = MAIN.replace('#include "lib.h"', '#define MAIN\n#include "lib.h"\nextern int other(int pid);')
    project.declare(BOTH, **{**FILES, "main.bpf.c": main})
    project.edit(path, old, new)
    text = project.fails("ARCH=x86_64", "-k")
    assert sum(line.startswith("scons: ***") for line in text.splitlines()) == 1 and said in text
    assert not (project.folder / "build/x86_64/both.bpf.o").exists()
    project.edit(path, new, old)
    assert "note" in symbols_after_build(project)


def test_a_linked_object_is_proven_from_its_sources(project):
    made = project.build("ARCH=x86_64", "RELEASE=1")
    proofs = {"x86_64/both.proof.json", "x86_64/parts/src/main.proof.json", "x86_64/parts/src/lib.proof.json"}
    assert proofs <= made
    found = json.loads((project.folder / "build/x86_64/both.proof.json").read_text())
    digest = hashlib.sha256((project.folder / "build/x86_64/both.bpf.o").read_bytes()).hexdigest()
    assert (found["equal"], found["mode"], found["object"], found["fallback"]) == (True, "exact", digest, "")
    assert project.build("ARCH=x86_64", "RELEASE=1") == set()
    text = project.scons("ARCH=x86_64", "prove").stdout
    assert "build/x86_64/both.bpf.o: equal, exact, " in text and "3 objects: 3 proven" in text


@pytest.mark.parametrize("mode", slow_after(1, ["lean", "fields", "off"]))
def test_each_mode_is_proven_as_such(project, mode):
    made = project.build("ARCH=x86_64,s390x", "PROVE=1", f"MINIMIZE={mode}")
    assert ("s390x/both.proof.json" in made) == (mode != "off")
    if mode != "off":
        found = json.loads((project.folder / "build/s390x/both.proof.json").read_text())
        assert (found["equal"], found["mode"]) == (True, mode)


def test_an_object_that_was_made_without_a_proof_is_made_anew(project):
    project.build("ARCH=x86_64")
    made = project.build("ARCH=x86_64", "PROVE=1")
    assert {"x86_64/both.proof.json", "x86_64/parts/src/lib.proof.json"} <= made
    project.edit("src/lib.bpf.c", "total = 5", "total = 6")
    project.build("ARCH=x86_64")
    assert not (project.folder / "build/x86_64/both.proof.json").exists()


def test_a_program_of_several_sources_is_packed_as_any(project, pinned):
    body = "env.BpfProgram('both', ['src/main.bpf.c', 'src/lib.bpf.c'], version='1')\n"
    project.declare(body, **FILES)
    made = project.build("ARCH=x86_64,aarch64", "RELEASE=1")
    assert {"both_skel.py", "both_skel.pyi", "dist/both-1-py3-none-any.whl"} <= made
    assert "seen" in (project.folder / "build/both_skel.py").read_text()
    manifest = json.loads((project.folder / "build/python/both/manifest.json").read_text())
    assert manifest["programs"]["both.bpf.o"]["aarch64"]["linker"]["version"] == linker_trees(pinned)[2].version
    assert project.build("ARCH=x86_64,aarch64", "RELEASE=1") == set()


def test_all_arches_and_every_order_of_steps_give_the_same_bytes(make_project, project, pinned):
    arches = "ARCH=x86_64,aarch64,s390x"
    project.build(arches, "-j4", "--random")
    other = make_project("another-folder-with-a-longer-name")
    (other.folder / "include/lib.h").write_text(HEADER)
    other.declare(BOTH, **FILES).build(arches)
    assert project.digests("both.bpf.o") == other.digests("both.bpf.o")


def test_an_edited_library_of_the_linker_is_repaired(project):
    project.build("ARCH=x86_64")
    path = next((project.folder / "build/linker/libbpf").glob("libbpf.so*"))
    before = path.read_bytes()
    path.write_bytes(b"other")
    assert {"linker/libbpf/libbpf.so.1.5.0"} <= project.build("ARCH=x86_64")
    assert path.read_bytes() == before
    assert project.build("ARCH=x86_64") == set()


def test_what_links_nothing_fetches_no_linker(project):
    project.declare("env.BpfObject('src/one.bpf.c')")
    shutil.rmtree(project.cache / "sha256")
    project.build("ARCH=x86_64", "--offline")
    assert not (project.folder / "build/linker").exists()


def test_a_linker_that_can_not_be_had_is_told_by_the_link_alone(project):
    shutil.rmtree(project.cache / "sha256")
    text = project.fails("ARCH=x86_64", "--offline", "-k")
    assert "libbpf 1.5.0-3 is not in the cache" in text and "MIRROR=FOLDER with " in text
    assert (project.folder / "build/x86_64/parts/src/lib.bpf.o").exists()


def test_a_machine_without_a_pinned_linker_is_told_by_the_link_alone(project):
    with (project.folder / "toolchain.toml").open("a") as file:
        file.write('\n[linker]\nglibc = "2.38"\n')
    text = project.fails("ARCH=x86_64", "-k")
    assert "linker: libbpf's linker is not pinned for this machine" in text
    assert (project.folder / "build/x86_64/parts/src/lib.bpf.o").exists()


def test_clean_removes_what_was_made(project):
    project.build("ARCH=x86_64", "PROVE=1")
    assert project.scons("ARCH=x86_64", "-c").returncode == 0
    left = [path for path in (project.folder / "build").rglob("*") if path.is_file() and path.name != ".ebpf-ledger"]
    assert left == []


def test_clangd_knows_each_source(project):
    project.build("ARCH=x86_64")
    assert {entry["file"] for entry in project.commands()} == {"src/main.bpf.c", "src/lib.bpf.c"}


def test_a_wrong_part_is_not_linked(make_project, project, pinned, tmp_path):
    """A tool whose minimizer drops a member, as in test_graph_proofs: the part's own step says so."""
    for part in ("site_scons", "loader"):
        shutil.copytree(ROOT / part, tmp_path / "tool" / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "toolchain.toml", tmp_path / "tool")
    step = tmp_path / "tool" / "site_scons" / "ebpfbuild" / "minimize" / "program.py"
    text, found = step.read_text(), "return made_in(args.mode).text\n"
    assert text.count(found) == 1
    step.write_text(text.replace(found, found[:-1] + '.replace("\\tstruct pid_link;\\n", "")\n'))
    project.tool = tmp_path / "tool"
    text = project.fails("ARCH=x86_64", "PROVE=1", "-k")
    assert "build/x86_64/parts/src/main.bpf.o: is not what the full vmlinux.h gives (mode exact): " in text
    assert not (project.folder / "build/x86_64/both.bpf.o").exists()


def test_a_generated_source_and_a_variant_dir(project):
    """A source that is made lies in the variant_dir, another one is compiled where the project has it."""
    project.declare("SConscript('src/SConscript', variant_dir='build', exports='env')\n", **FILES)
    (project.folder / "src/SConscript").write_text(
        "Import('env')\n"
        "made = env.Command('made.bpf.c', 'lib.bpf.c', 'cp $SOURCE $TARGET')\n"
        "env.BpfObject('both', ['main.bpf.c', made])\n"
    )
    made = project.build("ARCH=x86_64")
    assert {"x86_64/parts/src/main.bpf.o", "x86_64/parts/build/made.bpf.o", "x86_64/both.bpf.o"} <= made
    assert {"on_enter", "note"} <= symbols(project)
    assert project.build("ARCH=x86_64") == set()


def test_one_header_for_all_sources(project):
    body = "names = ['src/main.bpf.c', 'src/lib.bpf.c']\nheader = env.MinimizedVmlinux('shared', names)\n"
    project.declare(body + "env.BpfProof(env.BpfObject('both', names, header=header))\n", **FILES)
    made = project.build("ARCH=x86_64")
    assert "x86_64/minimized/shared/vmlinux.h" in made and "x86_64/minimized/parts/src/lib/vmlinux.h" not in made
    assert "x86_64/both.proof.json" in made
    assert project.build("ARCH=x86_64") == set()


def test_a_source_that_moves_while_it_is_linked_leaves_no_object(project):
    """The proof compiles the sources once more: what it reads must be what the parts were made of."""
    project.build("ARCH=x86_64", "PROVE=1")
    project.declare(BOTH + "env.AddPreAction(both, Action(lambda target, source, env: "
                    "open('include/lib.h', 'a').write('/* edited */\\n') and None))\n", **FILES)  # fmt: skip
    project.edit("src/lib.bpf.c", "total = 5", "total = 6")
    text = project.fails("ARCH=x86_64", "PROVE=1")
    assert "include/lib.h: changed while it was linked; build again" in text
    assert not (project.folder / "build/x86_64/both.bpf.o").exists()


def test_nothing_but_outputs_is_left_where_it_links(project):
    project.edit("src/lib.bpf.c", "int note", "int other")
    assert "no source defines note" in project.fails("ARCH=x86_64")
    assert not [path.name for path in project.folder.rglob(".*") if path.name.startswith((".link", ".compile"))]
