"""The libbpf in a loader's package: when it is taken, and that nothing but the bytes that were packed is loaded."""

import inspect
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import bpfloader
import pytest
from bpfloader.arch import this_arch
from ebpfbuild.package.libraries import MODULE, PackedLibrary, module_text

SAY = """
import tool
from tool import bpfloader
from tool.bpfloader.libbpf.library import library
print(bpfloader.version(), library().name)
"""


@pytest.fixture(scope="module")
def system_library(libbpf) -> Path:
    """The file of the libbpf.so.1 that the tests load: as a new process finds it, for other tests load others."""
    code = "import bpfloader; bpfloader.version(); print(open('/proc/self/maps').read())"
    environment = {**os.environ, "PYTHONPATH": str(Path(bpfloader.__file__).parents[1])}
    maps = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout
    return Path(next(line.split(None, 5)[5].strip() for line in maps.splitlines() if "libbpf.so" in line))


@pytest.fixture
def tool(system_library, tmp_path) -> Path:
    """A folder for sys.path with the package `tool`: a loader and, as its own libbpf, a copy of the system's."""
    folder = tmp_path / "path" / "tool"
    (folder / this_arch()).mkdir(parents=True)
    (folder / "__init__.py").write_text("from . import bpfloader\n")
    (folder / "bpfloader").symlink_to(Path(bpfloader.__file__).parent)
    data = system_library.read_bytes()
    (folder / this_arch() / "libbpf.so.1").write_bytes(data)
    facts = {this_arch(): PackedLibrary(data, "1").facts(this_arch())}
    (folder / MODULE).write_bytes(module_text(facts))
    return folder


def run(path: Path, code: str = SAY, before=(), **environment: str) -> tuple[str, str]:
    """What a program prints and the last line of its stderr, with `path` on sys.path."""
    given = {**os.environ, "PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1", **environment}
    done = subprocess.run([*before, sys.executable, "-S", "-c", code], env=given, capture_output=True, text=True)
    return done.stdout.strip(), "".join(done.stderr.splitlines()[-1:])


def test_the_systems_is_taken_unless_asked(tool):
    own = str(tool / this_arch() / "libbpf.so.1")
    assert run(tool.parent)[0].split()[1] == "libbpf.so.1"
    assert run(tool.parent, BPFLOADER_LIBBPF="bundled")[0].split()[1] == own
    asked = SAY.replace("print(", "bpfloader.use_libbpf('bundled')\nprint(", 1)
    assert run(tool.parent, asked, BPFLOADER_LIBBPF="system")[0].split()[1] == own


def test_without_the_systems_the_packages_own_is_taken(tool):
    gone = SAY.replace("print(", "import tool.bpfloader.libbpf.library as l; l.LIBRARY = 'libnone.so.9'\nprint(", 1)
    assert run(tool.parent, gone)[0].split()[1] == str(tool / this_arch() / "libbpf.so.1")
    said, error = run(tool.parent, gone, BPFLOADER_LIBBPF="system")
    assert said == "" and "libnone.so.9" in error
    (tool / MODULE).unlink()
    said, error = run(tool.parent, gone)
    assert said == "" and "libnone.so.9" in error


def test_a_machine_whose_libbpf_is_hidden_runs_a_program(tool, system_library, kernel):
    """In a mount namespace where the system's file is empty."""
    real = os.path.realpath(system_library)
    code = SAY + "print(bpfloader.supports('xdp'))\n"
    hide = f'mount --bind /dev/null {real} && exec "$@"'
    before = ["unshare", "--mount", "sh", "-c", hide, "sh"]
    if subprocess.run([*before, "true"], capture_output=True).returncode:
        pytest.skip("no mount can be made here")
    said, error = run(tool.parent, code, before)
    assert said.split()[1:] == [str(tool / this_arch() / "libbpf.so.1"), "True"], error


def test_one_that_can_t_be_mapped_is_told(tool):
    """As where the package lies on a file system without the right to execute: /tmp of a hardened machine."""
    code = SAY + "print(bpfloader.supports('xdp'))\n"
    folder = tool / this_arch()
    before = ["unshare", "--mount", "sh", "-c", f'mount --bind {folder} {folder} && mount -o remount,bind,noexec {folder} && exec "$@"', "sh"]
    if subprocess.run([*before, "true"], capture_output=True).returncode:
        pytest.skip("no mount can be made here")
    given = {**os.environ, "PYTHONPATH": str(tool.parent), "BPFLOADER_LIBBPF": "bundled"}
    done = subprocess.run([*before, sys.executable, "-B", "-c", code], env=given, capture_output=True, text=True)
    said = f"can't load {folder}/libbpf.so.1; move the package, if its file system is mounted noexec, or take the system's: "
    assert f"{said}BPFLOADER_LIBBPF=system\n" in done.stderr and "failed to map segment" in done.stderr


def test_other_bytes_are_never_loaded(tool):
    library = tool / this_arch() / "libbpf.so.1"
    library.write_bytes(library.read_bytes()[:-1] + b"x")
    said, error = run(tool.parent, BPFLOADER_LIBBPF="bundled")
    assert said == "" and error.startswith(f"tool.bpfloader.errors.DigestError: {library} has sha256 ")
    assert error.endswith("; install the package again, from a wheel that you trust")
    library.unlink()
    assert "ObjectError: can't read " in run(tool.parent, BPFLOADER_LIBBPF="bundled")[1]


def test_a_package_in_an_archive_has_it_too(tool, tmp_path):
    with zipfile.ZipFile(tmp_path / "tool.zip", "w") as archive:
        for path in sorted(tool.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(tool.parent))
        loader = Path(bpfloader.__file__).parent
        for path in sorted(loader.rglob("*.py")):
            archive.write(path, Path("tool/bpfloader") / path.relative_to(loader))
    said, error = run(tmp_path / "tool.zip", BPFLOADER_LIBBPF="bundled")
    assert said.split()[1].startswith("/proc/self/fd/"), error


def test_what_cannot_be_chosen_is_told(tool, tmp_path):
    assert run(tool.parent, BPFLOADER_LIBBPF="static")[1].endswith(
        "BPFLOADER_LIBBPF: there is no libbpf 'static'; choose \"system\" or \"bundled\""
    )
    late = SAY + "bpfloader.use_libbpf('bundled')\n"
    assert run(tool.parent, late)[1].endswith(
        "libbpf is loaded already (libbpf.so.1); call use_libbpf before anything else of the loader"
    )
    (tool / MODULE).unlink()
    assert run(tool.parent, BPFLOADER_LIBBPF="bundled")[1].endswith(
        "the package of this loader carries no libbpf for this machine; build it with bundle_libbpf=True, or take the "
        "system's: BPFLOADER_LIBBPF=system"
    )


def test_one_that_is_too_old_names_the_packages_own(tool):
    code = SAY + "from tool.bpfloader.libbpf.library import require\nrequire('99.0', 'miracle')\n"
    assert run(tool.parent, code)[1].endswith("has no miracle; install libbpf 99.0 or newer, or try the package's own: BPFLOADER_LIBBPF=bundled")
    assert run(tool.parent, code, BPFLOADER_LIBBPF="bundled")[1].endswith("has no miracle; install libbpf 99.0 or newer")


def test_a_frozen_program_takes_the_module_along_and_says_what_it_lacks(tool):
    """PyInstaller takes along what import statements name, and not the files beside modules."""
    source = (tool / "bpfloader" / "libbpf" / "bundled.py").read_text()
    code = [compile(source, "bundled.py", "exec")]
    for each in code:  # as it looks for them: in the bytecode of functions, too
        code += [inner for inner in each.co_consts if inspect.iscode(inner)]
    assert any(Path(MODULE).stem in each.co_names for each in code)
    (tool / this_arch() / "libbpf.so.1").unlink()
    frozen = f"import sys\nsys.frozen, sys._MEIPASS = True, {str(tool.parent)!r}\n{SAY}"
    said = run(tool.parent, frozen, BPFLOADER_LIBBPF="bundled")[1]
    assert said.endswith("; bundle the package's files, too: pyinstaller --collect-data tool")
