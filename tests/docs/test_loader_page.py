"""docs/loader.md says what is true: its programs build, its tool runs, each example gives what stands behind `→`."""

import ast
import inspect
import os
import re
import select
import subprocess
import sys
from ipaddress import IPv4Address

import pytest
from pages import ROOT, build, with_tracefs, write_files
from promises import run, snippets

PAGE = ROOT / "docs" / "loader.md"
SNIPPETS = snippets(PAGE)
HOME = IPv4Address("192.0.2.1")  # as an example before it has it


@pytest.fixture(scope="session")
def built(tmp_path_factory, kernel):
    """The project of the page's two programs, built, and their packages to be imported."""
    folder = tmp_path_factory.mktemp("page")
    write_files(PAGE, folder)
    with (folder / "SConstruct").open("a") as file:
        file.write('Default(env.BpfProgram("demo", "bpf/demo.bpf.c"))\n')
    build(folder)
    (python,) = folder.glob("build/*/python")
    sys.path.insert(0, str(python))
    yield folder
    sys.path.remove(str(python))


@pytest.fixture
def bpf_file_system(tmp_path):
    """A function: an example's text -> the same with a BPF file system of its own, which is gone afterwards."""
    mounted = []

    def own(text: str) -> str:
        if "/sys/fs/bpf/" not in text:
            return text
        mount = ["mount", "-t", "bpf", "bpf", str(tmp_path)]
        if subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("no BPF file system can be mounted")
        mounted.append(tmp_path)
        return text.replace("/sys/fs/bpf", str(tmp_path))

    yield own
    for each in mounted:
        subprocess.run(["umount", str(each)], check=True)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=[f"line{each.line}" for each in SNIPPETS])
def test_an_example_gives_what_it_says(built, snippet, monkeypatch, bpf_file_system):
    monkeypatch.chdir(built)
    from demo import Demo, Flow, bpfloader

    text = bpf_file_system(snippet.text)
    if "Demo.open" in text:
        run(text, snippet.line, {"bpfloader": bpfloader, "Demo": Demo}, PAGE)
        return
    with Demo.open() as bpf:
        bpf.load()
        run(text, snippet.line, {"bpf": bpf, "bpfloader": bpfloader, "Flow": Flow, "home": HOME}, PAGE)


def test_the_tool_sees_a_file_being_opened(built):
    command = [sys.executable, "opens_tool.py", "--pid", str(os.getpid()), "--seconds", "1"]
    process = with_tracefs(command, built, {"PYTHONPATH": sys.path[0]})
    watched = built / "watched.txt"
    watched.write_text("x")
    while process.poll() is None and not select.select([process.stdout], [], [], 0.1)[0]:
        watched.read_text()
    out, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "")
    assert f" {watched}\n" in out and f"process {os.getpid()} opened " in out and out.endswith("0 events lost\n")


def test_the_pages_own_tests_pass(built):
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "checks"]
    environment = {**os.environ, "PYTHONPATH": sys.path[0], "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=built, env=environment, capture_output=True, text=True)
    if "no network and mounts of its own" in done.stdout:
        pytest.skip("no namespaces can be made here")
    assert (done.returncode, done.stdout.splitlines()[-1].split(" in ")[0]) == (0, "2 passed"), done.stdout


def test_nothing_promised_is_left_out():
    """An example without a promise may be fine, but a page of them would say nothing."""
    kept = [each for each in SNIPPETS if "# →" in each.text or "# raises" in each.text]
    assert len(kept) > 10 and all(ast.parse(each.text) for each in SNIPPETS)


def test_each_kind_is_attached_as_the_table_says(kernel):
    import bpfloader

    rows = re.findall(r"^\| .* \| `(\w+Program)`.* \| `(\(.*?\))`", PAGE.read_text(), re.MULTILINE)
    assert len(rows) > 15
    for name, told in rows:
        _, *parameters = inspect.signature(getattr(bpfloader, name).attach).parameters.values()
        bare = inspect.Signature([each.replace(annotation=inspect.Parameter.empty) for each in parameters])
        assert told == str(bare).replace("'", '"'), name
