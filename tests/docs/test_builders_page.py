"""docs/builders.md against the code: each builder, argument and variable is there, and SCons reads the examples."""

import ast
import re
import subprocess
import sys

import pytest
from pages import ROOT, build, examples, write_files

PAGE = ROOT / "docs" / "builders.md"
TEXT = PAGE.read_text(encoding="utf-8")
TOOL = [ast.parse(path.read_text()) for path in sorted((ROOT / "site_scons" / "site_tools" / "ebpf").rglob("*.py"))]
CORE = sorted((ROOT / "site_scons" / "ebpfbuild").rglob("*.py"))
PROGRAM = 'char LICENSE[] __attribute__((section("license"))) = "GPL";\n'


def assigned(tree: ast.Module, name: str) -> ast.expr | None:
    """The value that a module's top level gives to a name, or None."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [name]:
            return node.value
    return None


def builders() -> dict[str, ast.arguments]:
    """The arguments of each method that the tool adds to an environment, by the method's name."""
    found = {}
    for tree in TOOL:
        functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        methods = assigned(tree, "METHODS")
        if isinstance(methods, ast.Dict):
            names = [ast.literal_eval(key) for key in methods.keys]
            found |= {name: functions[ast.unparse(value)].args for name, value in zip(names, methods.values, strict=True)}
    return found


def sections() -> dict[str, str]:
    """The text of each section that describes a builder, by its heading."""
    _, *parts = re.split(r"^(?=##+ )", TEXT, flags=re.MULTILINE)
    return {part.splitlines()[0][4:]: part for part in parts if part.startswith("### ")}


def rows(heading: str) -> list[str]:
    """The first cells of the table below a heading."""
    part = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [line.split("|")[1] for line in part.splitlines() if line.startswith("| `")]


def words(cells: list[str], pattern: str) -> set[str]:
    """What stands in the backticks of cells and matches a pattern, which has one group."""
    quoted = [text for cell in cells for text in re.findall(r"`([^`]+)`", cell)]
    return {match[1] for text in quoted if (match := re.fullmatch(pattern, text))}


BUILDERS = builders()
SECTIONS = sections()


def test_each_builder_has_a_section_and_each_section_a_builder():
    assert len(BUILDERS) > 10
    assert sorted(SECTIONS) == sorted(BUILDERS)


@pytest.mark.parametrize("name", BUILDERS)
def test_the_signature_is_the_code_s(name):
    own = re.search(rf"env\.{name}\((.*?)\)\n```", SECTIONS[name], re.DOTALL)[1]
    stated = ast.parse(f"def method(env, {own}): pass").body[0].args
    assert ast.unparse(stated) == ast.unparse(BUILDERS[name])


@pytest.mark.parametrize("name", BUILDERS)
def test_each_argument_has_its_row_in_the_table(name):
    table = [line.split("|")[1] for line in SECTIONS[name].splitlines() if line.startswith("| `")]
    given = BUILDERS[name]
    taken = [each.arg for each in (*given.args[1:], *filter(None, [given.vararg]), *given.kwonlyargs)]
    assert [word for cell in table for word in re.findall(r"`(\w+)`", cell)] == taken
    assert "\nReturns " in SECTIONS[name] and "\n```python\n" in SECTIONS[name]


def test_each_variable_of_an_environment_is_told():
    """Those that a project may set: what the tool sets by default, and what it asks for with `get`."""
    known = set()
    for call in (node for tree in TOOL for node in ast.walk(tree) if isinstance(node, ast.Call)):
        called = ast.unparse(call.func)
        if called == "env.SetDefault":
            known |= {each.arg for each in call.keywords}
        elif called == "env.get":
            known.add(ast.literal_eval(call.args[0]))
    assert words(rows("Variables of an environment"), r"(EBPF_\w+)") == {name for name in known if name.startswith("EBPF_")}


def test_each_argument_of_the_command_line_is_told():
    (names,) = [ast.literal_eval(value) for tree in TOOL if (value := assigned(tree, "NAMES"))]
    (commands,) = [value.keys for tree in TOOL if (value := assigned(tree, "COMMANDS"))]
    cells = rows("The command line")
    assert words(cells, r"([A-Z_]+)=1?") == {*names, "ARGS"}
    assert {ast.literal_eval(name) for name in commands} == words(cells, r"([a-z]+)(?: NAME…| FOLDER)?")
    options = [node.args[0] for tree in TOOL for node in ast.walk(tree)
               if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("AddOption")]  # fmt: skip
    assert {ast.literal_eval(option) for option in options} == words(cells, r"(--(?!debug)[a-z]+)(?: PATH| ID)?")


def test_each_environment_variable_that_the_core_reads_is_told():
    read = {name for path in CORE for name in re.findall(r"environ(?:\.get\(|\[)\"(\w+)\"", path.read_text())}
    told = TEXT.split("\n## Environment variables\n")[1]
    assert "EBPF_CACHE" in read
    assert [name for name in sorted(read - {"HOME"}) if name not in told] == []


def test_scons_reads_the_examples(tmp_path):
    """One SConstruct of them all, in a run that makes nothing."""
    snippets = [each.text for each in examples(PAGE) if each.language == "python"]
    assert len(snippets) == len(BUILDERS) + 6
    (tmp_path / "SConstruct").write_text("".join(snippets))
    for name in ("execs", "tcplife", "tcpstat", "opensnoop", "execsnoop", "opens", "kills", "lib"):
        path = tmp_path / "bpf" / f"{name}.bpf.c"
        path.parent.mkdir(exist_ok=True)
        path.write_text(PROGRAM)
    (tmp_path / "bpf/SConscript").write_text('Import("env")\nenv.BpfObject("execs.bpf.c")\n')
    (tmp_path / "src" / "nettools").mkdir(parents=True)
    (tmp_path / "third_party").mkdir()
    (tmp_path / "third_party" / "scons-bpf").symlink_to(ROOT)
    command = [sys.executable, "-m", "SCons", "-Q", "-n", "ARCH=x86_64,aarch64", "--offline", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "build/dist/nettools-1.0-py3-none-any.whl" in done.stdout


@pytest.mark.slow
def test_the_example_of_several_sources_builds_for_all_arches_and_an_edit_compiles_one(tmp_path):
    write_files(PAGE, tmp_path)
    snippets = [each.text for each in examples(PAGE) if each.language == "python"]
    (tmp_path / "SConstruct").write_text(snippets[0] + next(text for text in snippets if "kills" in text))
    text = build(tmp_path, "ARCH=all")
    assert text.count("LINK     build/") == 2 * text.count("/parts/bpf/lib.bpf.o") == 14
    library = tmp_path / "bpf" / "lib.bpf.c"
    library.write_text(library.read_text().replace("1024", "4096"))
    steps = [line.split() for line in build(tmp_path, "ARCH=x86_64,s390x").splitlines() if line.startswith(("CLANG", "LINK"))]
    assert sorted(steps) == sorted(
        [step, f"build/{arch}/{name}.bpf.o"]
        for arch in ("x86_64", "s390x")
        for step, name in (("CLANG", "parts/bpf/lib"), ("LINK", "opens"), ("LINK", "kills"))
    )


@pytest.mark.parametrize("page", ["builders.md", "release.md"])
def test_the_tar_of_a_root_file_system_has_the_same_bytes_whoever_packs_it(tmp_path, page):
    """SCons makes the folders and gcc the programs with the umask of the caller."""
    command = re.search(r'pack = f"(tar .*)"', (ROOT / "docs" / page).read_text(encoding="utf-8"))[1]
    tars = []
    for umask in (0o022, 0o027, 0o077):
        folder = tmp_path / f"{umask:o}"
        script = f"""umask {umask:o}; mkdir -p "{folder}/root/usr/lib" && cd "{folder}" && echo object >root/usr/lib/execs.bpf.o
        cp /bin/true root/usr/true && {command.replace("$TARGET", "made.tar").replace("{root}", "root")}"""
        subprocess.run(["sh", "-c", script], check=True)
        tars.append((folder / "made.tar").read_bytes())
    assert tars[0] == tars[1] == tars[2]
