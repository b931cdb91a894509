"""./sconsw, the real script: what it sets up, when it does so again, and what it says when it can't.

Python and pip are played by shell scripts, so that nothing is downloaded.
"""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("python3", "python3.14", "python3.13", "python3.12", "python3.11")

# The python of the machine: says whether it is new enough, and makes a .venv whose python is the script below.
PYTHON = """#!/bin/sh
case "$1 $2" in
"-c "*) exit {old} ;;
"-m venv") [ {venv} = 0 ] || {{ echo "No module named venv"; exit 1; }}
           [ "$3" = --without-pip ] && mkdir -p "$4/bin" && cp "{inner}" "$4/bin/python" && touch "$4/pyvenv.cfg" ;;
*) exit 99 ;;
esac
"""
# The python of .venv: keeps what it is called with, one argument a line. pip fails as long as there is a file `offline`,
# fetching pip as long as there is a file `no-wheel`.
INNER = """#!/bin/sh
case "$2" in
*/site_scons/fetch_pip)
    [ ! -e "{log}.no-wheel" ] || {{ echo "sconsw: pip-1.whl can't be fetched" >&2; exit 1; }}
    [ "$3" = "{root}/pip.lock" ] && echo "fetch $5" >>"{log}" && touch "$4/pip-1.whl" && echo "$4/pip-1.whl"
    exit ;;
*/pip-1.whl/pip) echo "bring $*" >>"{log}"; exit 0 ;;
esac
if [ "$1 $2 $3" = "-I -m pip" ]; then
    echo "pip $*" >>"{log}"
    echo "  Downloading scons-4.whl (4.1 MB)"; echo "  Using cached idna-3.whl (70 kB)"
    echo "Installing collected packages: scons, idna"
    [ ! -e "{log}.slow" ] || sleep 6
    [ ! -e "{log}.offline" ] || {{ echo "ERROR: Could not find a version that satisfies scons" >&2; exit 1; }}
    exit 0
fi
{{ echo "scons in $PWD with SCONSFLAGS=${{SCONSFLAGS-unset}}"; printf '<%s>\\n' "$@"; }} >>"{log}"
exit 7
"""


MAKING = "sconsw: making .venv from requirements.lock (once; about 110 MB to fetch, 470 MB on disk)"
ADDING = "sconsw: adding what the tests need from requirements-test.lock"
PIP = ["sconsw: fetching pip", "sconsw: installing pip"]
PACKAGES = ["sconsw: fetching scons-4.whl (4.1 MB)", "sconsw: had already idna-3.whl (70 kB)", "sconsw: installing scons, idna"]
SCONS = ["<-I>", "<-m>", "<SCons>", "<-Q>", "<--no-site-dir>"]
PROGRESS = [MAKING, ADDING, *PIP, *PACKAGES]


class Checkout:
    """A copy of what sconsw reads, in a folder of its own, and the fake pythons that are first on its PATH."""

    def __init__(self, folder: Path, tools: Path):
        self.folder, self.tools, self.log = folder, tools, tools / "log"
        folder.mkdir(parents=True)
        tools.mkdir(exist_ok=True)
        for name in ("sconsw", "pip.lock", "requirements.lock", "requirements-test.lock"):
            shutil.copy(ROOT / name, folder / name)
        (tools / "inner").write_text(INNER.format(log=self.log, root=folder))
        (tools / "inner").chmod(0o755)
        self.python()

    def python(self, old: int = 0, venv: int = 0, names: tuple[str, ...] = NAMES) -> None:
        """Puts pythons on PATH: `old` ones are below 3.11, `venv` is the status that their venv module ends with."""
        for name in names:
            path = self.tools / name
            path.write_text(PYTHON.format(old=old, venv=venv, inner=self.tools / "inner"))
            path.chmod(0o755)

    def fails(self, what: str, so: bool = True) -> None:
        """Lets pip (`offline`) or the fetching of it (`no-wheel`) fail, or pip take its time (`slow`), or no longer."""
        (self.tools / f"log.{what}").unlink(missing_ok=True)
        if so:
            (self.tools / f"log.{what}").touch()

    def run(self, *arguments: str, cwd: Path | None = None, user: int | None = None, **environment: str):
        """Runs ./sconsw and returns (exit status, stderr, what the python of .venv was called with)."""
        self.log.write_text("")
        path = f"{self.tools}{os.pathsep}/usr/bin{os.pathsep}/bin"
        done = subprocess.run(
            [str(self.folder / "sconsw"), *arguments],
            cwd=cwd or self.folder, env={"PATH": path, **environment}, capture_output=True, text=True, timeout=20,
            user=user, group=user, extra_groups=None if user is None else [],
        )  # fmt: skip
        assert done.stdout == ""
        return done.returncode, done.stderr, self.log.read_text().splitlines()

    def stamp(self, lock: str = "requirements.lock") -> Path:
        """The file that says that a lock is installed."""
        return self.folder / ".venv" / f"{lock}.stamp"


@pytest.fixture
def checkout(tmp_path):
    """A checkout whose python, venv and pip work; scons ends with status 7."""
    return Checkout(tmp_path / "checkout", tmp_path / "tools")


def pips(calls: list[str]) -> list[str]:
    """The locks that pip was told to install, in order."""
    return [call.rsplit("/", 1)[-1] for call in calls if call.startswith("pip")]


def one_line(stderr: str) -> str:
    """The last line, which has to be the only one that is no progress."""
    lines = stderr.splitlines()
    assert all(line in PROGRESS or line.startswith("ERROR:") for line in lines[:-1]), stderr
    assert lines[-1].startswith("sconsw: ")
    return lines[-1]


def test_the_first_run_makes_the_venv_by_hash_and_hands_over_to_scons(checkout):
    status, stderr, calls = checkout.run("ARCH=arm64", "--offline")
    assert status == 7  # scons's own
    assert stderr.splitlines() == [MAKING, *PIP, *PACKAGES]
    assert calls[0] == "fetch --offline" and calls[1].startswith("bring -I ") and " --no-index --no-deps " in calls[1]
    assert "--require-hashes" in calls[2] and pips(calls) == ["requirements.lock"]
    assert calls[3].startswith(f"scons in {checkout.folder} ")
    assert calls[4:] == ["<-I>", "<-m>", "<SCons>", "<-Q>", "<--no-site-dir>", "<ARCH=arm64>", "<--offline>"]
    assert checkout.stamp().exists() and not checkout.stamp("requirements-test.lock").exists()


def test_the_second_run_sets_up_nothing(checkout):
    checkout.run()
    status, stderr, calls = checkout.run()
    assert (status, stderr, pips(calls)) == (7, "", [])


def test_where_all_is_there_nothing_is_written(checkout):
    checkout.run("test")
    before = {path: path.stat().st_mtime_ns for path in checkout.folder.rglob("*")}
    (checkout.folder / ".venv.lock").unlink(missing_ok=True)
    assert checkout.run("test")[0] == 7
    after = {path: path.stat().st_mtime_ns for path in checkout.folder.rglob("*")}
    assert set(before) - set(after) <= {checkout.folder / ".venv.lock"} and all(before[path] == after[path] for path in after)


def test_a_changed_lock_makes_the_venv_anew(checkout):
    checkout.run("test")
    old = checkout.folder / ".venv" / "left over"
    old.touch()
    with open(checkout.folder / "requirements.lock", "a") as lock:
        lock.write("# another\n")
    _, stderr, calls = checkout.run()
    assert "making .venv" in stderr and pips(calls) == ["requirements.lock"]
    assert not old.exists() and not checkout.stamp("requirements-test.lock").exists()


@pytest.mark.parametrize("arguments", [("test",), ("ARCH=x86_64", "test", "ARGS=-k rebuild")])
def test_the_tests_packages_are_installed_when_tests_are_asked_for(checkout, arguments):
    checkout.run()
    _, stderr, calls = checkout.run(*arguments)
    assert stderr.splitlines() == [ADDING, *PACKAGES]
    assert pips(calls) == ["requirements-test.lock"]
    assert pips(checkout.run(*arguments)[2]) == []


@pytest.mark.parametrize("argument", ["ARGS=test", "tests", "--test"])
def test_what_only_looks_like_the_target_test_installs_nothing_more(checkout, argument):
    assert pips(checkout.run(argument)[2]) == ["requirements.lock"]


def test_arguments_arrive_as_they_were_given(checkout):
    arguments = ["ARGS=--json --duration 5", "", "it's", 'a "b" $HOME *', "two\\n"]
    calls = checkout.run(*arguments)[2]
    assert calls[-len(arguments) :] == [f"<{argument}>" for argument in arguments]


def test_flags_from_the_environment_are_dropped(checkout):
    calls = checkout.run(SCONSFLAGS="ARCH=arm --debug=count")[2]
    assert any(call.endswith("SCONSFLAGS=unset") for call in calls)


def test_it_works_from_another_folder_and_in_a_path_with_blanks(tmp_path):
    checkout = Checkout(tmp_path / "a check out", tmp_path / "tools")
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    status, _, calls = checkout.run(cwd=elsewhere, CDPATH=str(tmp_path))
    assert status == 7
    assert any(call.startswith(f"scons in {checkout.folder} ") for call in calls)
    assert list(elsewhere.iterdir()) == []


def test_no_python_that_is_new_enough(checkout):
    checkout.python(old=1)
    status, stderr, calls = checkout.run()
    assert (status, calls) == (1, [])
    assert "no Python 3.11 or newer on PATH; install one (apt install python3)" in one_line(stderr)
    assert "PYTHON=/path/to/python3 ./sconsw" in stderr
    assert not (checkout.folder / ".venv").exists()


def test_a_python_by_another_name_will_do(checkout):
    checkout.python(old=1)
    checkout.python(names=("python3.12",))
    assert checkout.run()[0] == 7


def test_a_python_that_the_user_names_comes_first(checkout):
    checkout.python(venv=1)
    checkout.python(names=("mine",))
    assert checkout.run()[0] == 1
    assert checkout.run(PYTHON=str(checkout.tools / "mine"))[0] == 7


def test_no_venv_module(checkout):
    checkout.python(venv=1)
    status, stderr, calls = checkout.run()
    assert (status, calls) == (1, [])
    assert one_line(stderr) == (
        "sconsw: python3 can't make a venv; install the whole of Python (apt install python3), then run this again (details: .venv.log)"
    )
    assert "No module named venv" in (checkout.folder / ".venv.log").read_text()
    checkout.python()
    assert checkout.run()[0] == 7
    assert not (checkout.folder / ".venv.log").exists()


def test_no_pip_is_told_in_its_own_words_and_tried_again(checkout):
    checkout.fails("no-wheel")
    for _ in range(2):
        status, stderr, calls = checkout.run()
        assert (status, calls) == (1, []) and one_line(stderr) == "sconsw: pip-1.whl can't be fetched"
    checkout.fails("no-wheel", False)
    assert checkout.run()[0] == 7
    assert not list(checkout.folder.glob(".venv/*.whl"))


def test_no_network_is_told_and_tried_again(checkout):
    checkout.fails("offline")
    for _ in range(2):
        status, stderr, calls = checkout.run()
        assert (status, pips(calls)) == (1, ["requirements.lock"])
        assert "sconsw: pip could not install requirements.lock; check the network" in one_line(stderr)
        assert "PIP_INDEX_URL" in stderr
        assert not checkout.stamp().exists()
        assert not any(call.startswith("scons") for call in calls)
    checkout.fails("offline", False)
    assert checkout.run()[0] == 7
    assert checkout.stamp().exists()


def test_no_network_for_the_tests_leaves_the_build_usable(checkout):
    checkout.run()
    checkout.fails("offline")
    status, stderr, _ = checkout.run("test")
    assert status == 1 and "pip could not install requirements-test.lock" in one_line(stderr)
    assert checkout.run()[0] == 7


def test_a_set_up_that_was_cut_short_is_done_again(checkout):
    checkout.run()
    checkout.stamp().unlink()
    _, stderr, calls = checkout.run()
    assert "making .venv" in stderr and pips(calls) == ["requirements.lock"]
    checkout.stamp().unlink()
    (checkout.folder / ".venv/pyvenv.cfg").unlink()  # cut short before that was written
    assert checkout.run()[0] == 7 and checkout.stamp().exists()


def test_offline_asks_no_index_for_packages(checkout):
    _, _, calls = checkout.run("--offline")
    assert any(call.startswith("pip") and " --no-index " in call for call in calls)
    checkout.stamp().unlink()
    checkout.fails("offline")
    status, stderr, _ = checkout.run("--offline", "ARCH=arm")
    assert status == 1
    assert "requirements.lock is not installed, and --offline connects to nothing; run this once without it" in one_line(stderr)


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "circle", "nowhere"])
def test_what_is_no_file_in_an_sconstructs_place_is_told(checkout, tmp_path, kind):
    """And no other project is built instead."""
    place = tmp_path / "project" / "SConstruct"
    (place.parent / "src").mkdir(parents=True)
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    else:
        place.symlink_to({"device": "/dev/null", "circle": "SConstruct", "nowhere": "none"}[kind])
    for cwd in (place.parent, place.parent / "src"):
        status, stderr, calls = checkout.run(cwd=cwd)
        assert (status, calls) == (1, [])
        assert stderr == f"sconsw: {place} is not a file that can be read; put one in its place, or move it away\n"


def test_it_builds_the_project_that_it_is_called_in(checkout, tmp_path):
    project = tmp_path / "my project"
    (project / "src").mkdir(parents=True)
    (project / "SConstruct").touch()
    assert f"scons in {project} with SCONSFLAGS=unset" in checkout.run("test", cwd=project)[2]
    assert checkout.stamp().exists() and not checkout.stamp("requirements-test.lock").exists()
    assert f"scons in {project} with SCONSFLAGS=unset" in checkout.run(cwd=project / "src")[2]
    said = f"sconsw: no SConstruct in or above {tmp_path}; building that of {checkout.folder}\n"
    assert checkout.run(cwd=tmp_path)[1:] == (said, [f"scons in {checkout.folder} with SCONSFLAGS=unset", *SCONS])
    (checkout.folder / "src").mkdir()
    for cwd in (checkout.folder, checkout.folder / "src", project):
        assert checkout.run(cwd=cwd)[1] == ""


@pytest.mark.parametrize(
    "given, named",
    [
        (["gone"], "gone"),
        (["../gone"], "../gone"),
        (["/gone/too"], "/gone/too"),
        (["me:s3cr3t@host/x"], "…"),
        (["there", "gone"], "gone"),
        (["gone", "there"], ""),
        (["gone", "https://host/x"], ""),
        (["gone", ""], ""),
    ],
)
def test_a_mirror_that_is_no_folder_is_told_before_anything_is_fetched(checkout, given, named):
    """Of several that are given the last one counts, as for SCons."""
    (checkout.folder / "there").mkdir()
    (checkout.folder / "file").touch()
    status, stderr, calls = checkout.run(*(f"MIRROR={each}" for each in given))
    if named:
        assert (status, calls) == (1, [])
        assert stderr == f"sconsw: MIRROR={named}: no such folder; name one that is there, or a URL\n"
    else:
        assert status == 7


def test_a_file_in_a_mirror_s_place_is_to_be_unpacked(checkout):
    (checkout.folder / "v.tar").touch()
    assert checkout.run("MIRROR=v.tar") == (1, "sconsw: MIRROR=v.tar: is a file; unpack it, and name the folder\n", [])


# Another user, another place


@pytest.fixture
def shared(open_folder):
    """A checkout that every user can reach, as a checkout in an image is."""
    return Checkout(open_folder / "checkout", open_folder / "tools")


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")


def nobody(checkout, *arguments, **environment):
    """What `run` gives as user 65534, who may write the tools' log and nothing else."""
    checkout.log.touch()
    checkout.log.chmod(0o666)
    os.chmod(checkout.tools, 0o755)
    return checkout.run(*arguments, user=65534, **environment)


@needs_root
@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
@pytest.mark.parametrize("place", ["", "of the image/venv"])
def test_another_user_builds_with_what_root_has_set_up(shared, umask, place):
    variables = {"EBPF_VENV": str(shared.folder.parent / place)} if place else {}
    before = os.umask(umask)
    try:
        shared.run(**variables)
    finally:
        os.umask(before)
    files = {path: path.stat().st_mtime_ns for path in shared.folder.parent.rglob("*") if path != shared.log}
    status, stderr, calls = nobody(shared, **variables)
    assert (status, stderr, pips(calls)) == (7, "", [])
    assert files == {path: path.stat().st_mtime_ns for path in shared.folder.parent.rglob("*") if path != shared.log}


def test_the_umask_of_the_build_is_the_caller_s(checkout):
    (checkout.tools / "inner").write_text("#!/bin/sh\n" + 'case "$3" in SCons) umask >>"%s";; esac\n' % checkout.log)
    before = os.umask(0o077)
    try:
        assert "0077" in checkout.run()[2]
    finally:
        os.umask(before)


@needs_root
def test_another_user_who_would_have_to_set_up_is_told_who_has_to(shared):
    status, stderr, calls = nobody(shared)
    where = f"{shared.folder}/.venv, which this user (uid 65534) can't write"
    fix = "run sconsw once as its owner, or set EBPF_VENV to a folder of your own"
    assert (status, stderr, calls) == (1, f"sconsw: requirements.lock is not installed in {where}; {fix}\n", [])
    shared.run()
    status, stderr, calls = nobody(shared, "test")
    assert (status, stderr, calls) == (1, f"sconsw: requirements-test.lock is not installed in {where}; {fix}\n", [])


@needs_root
@pytest.mark.parametrize("links", [(), ("python3",), ("python3", "python3.13")])
def test_a_python_that_another_user_can_t_run_is_told(shared, links):
    """By its own path, whichever links of the venv's lead there; and what the message says helps."""
    shared.run()
    (shared.tools / "private").mkdir(mode=0o700)
    folder, python = shared.folder / ".venv/bin", shared.tools / "private/python"
    shutil.move(folder / "python", python)
    for name, leads_to in zip(("python", *links), (*links, python), strict=True):
        (folder / name).symlink_to(leads_to)
    assert shared.run()[0] == 7
    status, stderr, _ = nobody(shared)
    told = f"{python}, which this user (uid 65534) can't run; remove {shared.folder}/.venv and make it with "
    assert status == 1 and f"leads to {told}" in one_line(stderr)
    assert stderr.endswith("a Python that all may run: PYTHON=/usr/bin/python3\n")
    shutil.rmtree(shared.folder / ".venv")
    shared.run()
    assert nobody(shared)[0] == 7


def test_the_venv_may_lie_elsewhere(checkout, tmp_path):
    elsewhere = tmp_path / "of mine" / "venv"
    status, stderr, calls = checkout.run(EBPF_VENV=str(elsewhere))
    assert status == 7 and f"making {elsewhere} from" in stderr and pips(calls) == ["requirements.lock"]
    assert (elsewhere / "requirements.lock.stamp").exists() and not list(checkout.folder.glob(".venv*"))
    assert pips(checkout.run(EBPF_VENV=str(elsewhere))[2]) == []
    assert pips(checkout.run(EBPF_VENV="of mine/venv", cwd=tmp_path)[2]) == []


def test_no_folder_of_the_user_s_is_removed_for_a_venv(checkout, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis").touch()
    status, stderr, calls = checkout.run(EBPF_VENV=str(tmp_path / "home"))
    assert (status, calls) == (1, []) and (tmp_path / "home" / "thesis").exists()
    assert "/home is no venv, and would be removed for one; name a new folder in EBPF_VENV, or move that away" in one_line(stderr)


@pytest.mark.slow
def test_a_log_is_told_that_pip_is_at_work(checkout):
    """And no longer than it is: what waits for the end of the log isn't kept."""
    checkout.fails("slow")
    started = time.monotonic()
    status, stderr, _ = checkout.run()
    assert status == 7 and stderr.splitlines() == [MAKING, *PIP, *PACKAGES, "sconsw: pip is at work, 5 s"]
    assert time.monotonic() - started < 20
    checkout.fails("offline")
    (checkout.folder / ".venv/requirements.lock.stamp").unlink()
    assert "pip could not install requirements.lock" in checkout.run()[1]


def test_a_copied_checkout_remakes_its_own_for_a_lock_of_its_own(checkout, tmp_path):
    checkout.run()
    other = Checkout(tmp_path / "other", tmp_path / "tools of the other")
    shutil.copytree(checkout.folder / ".venv", other.folder / ".venv")
    with (other.folder / "requirements.lock").open("a") as file:
        file.write("# another one\n")
    status, _, calls = other.run()
    assert status == 7 and pips(calls) == ["requirements.lock"]


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-test.lock"])
def test_what_another_checkout_runs_isn_t_remade_for_other_locks(checkout, tmp_path, lock):
    """EBPF_VENV may name the same folder for two, as long as they agree: one would take the other's packages away."""
    venv, other = tmp_path / "venv", Checkout(tmp_path / "other", tmp_path / "tools of the other")
    checkout.run("test", EBPF_VENV=str(venv))
    (venv / "kept").touch()
    assert other.run("test", EBPF_VENV=str(venv))[0] == 7  # the same locks
    with (other.folder / lock).open("a") as file:
        file.write("# another one\n")
    status, stderr, calls = other.run("test", EBPF_VENV=str(venv))
    said = f"{venv} is in use by {checkout.folder}, whose {lock} is another one; set EBPF_VENV to a folder of this checkout's own, or remove {venv}"
    assert (status, stderr, calls) == (1, f"sconsw: {said}\n", []) and (venv / "kept").exists()
    assert checkout.run("test", EBPF_VENV=str(venv))[0] == 7
    shutil.rmtree(checkout.folder)  # as an image's build does
    assert other.run("test", EBPF_VENV=str(venv))[0] == 7


@pytest.mark.parametrize("option", ["-u", "-U", "-D", "--up", "--search-up", ""])
def test_scons_itself_climbs_where_it_is_told_to(checkout, tmp_path, option):
    """It builds what lies below the folder where it is called, so that has to be the folder."""
    project = tmp_path / "project"
    (project / "sub").mkdir(parents=True)
    (project / "SConstruct").touch()
    _, _, calls = checkout.run(*filter(None, [option]), cwd=project / "sub")
    assert f"scons in {project / 'sub' if option else project} with SCONSFLAGS=unset" in calls
    _, _, calls = checkout.run(*filter(None, [option]), cwd=tmp_path)
    assert f"scons in {checkout.folder} with SCONSFLAGS=unset" in calls


@pytest.mark.parametrize(
    "arguments, mirror",
    [
        (["-f", "release/SConstruct"], "folder"),
        (["-frelease/SConstruct"], "folder"),
        (["--file=release/SConstruct"], "folder"),
        (["--sconstruct", "release/SConstruct"], "folder"),
        (["-C", "folder"], "folder/folder"),
        (["-Cfolder"], "folder/folder"),
        (["--directory", "..", "-C", "project"], "folder"),
        (["--directory=.."], "../folder"),
    ],
)
def test_scons_is_told_where_the_project_is(checkout, tmp_path, arguments, mirror):
    """Scons changes folders itself, and reads the SConstruct that is named: neither this one's nor one above."""
    project = tmp_path / "project"
    (project / "folder").mkdir(parents=True)
    (project / "release").mkdir()
    for place in (tmp_path, project / "folder/folder"):
        place.mkdir(exist_ok=True)
        (place / "SConstruct").touch()
    _, _, calls = checkout.run(*arguments, cwd=project)
    place = calls.index(f"scons in {project} with SCONSFLAGS=unset")
    assert calls[place + 1 :] == [f"<{argument}>" for argument in ["-I", "-m", "SCons", "-Q", "--no-site-dir", *arguments]]
    shutil.rmtree(checkout.folder / ".venv")
    (project / mirror).mkdir(exist_ok=True)
    assert checkout.run(*arguments, "MIRROR=folder", cwd=project)[0] == 7
    shutil.rmtree(checkout.folder / ".venv")
    (project / mirror / "vendor.json").touch()
    assert checkout.run(*arguments, "MIRROR=folder", cwd=project)[::2] == (1, [])  # its wheels can't be read, and nothing else serves


@pytest.mark.parametrize("option", [["-f"], ["--file"], ["-f", "="], ["--sconstruct", "="], ["--makefile", "="]])
def test_another_project_s_sconstruct_says_which_folder_is_the_root(checkout, tmp_path, option):
    """Scons takes the folder that it is called in for the root, wherever the file lies."""
    here, other = tmp_path / "here", tmp_path / "other"
    (here / "sub").mkdir(parents=True)
    other.mkdir()
    said = f"sconsw: -f: the root is {here}, as for scons; to build in the folder of that file: -C {other}\n"

    def told(file):
        joined = ["".join([option[0], option[1] * option[0].startswith("--"), file])] if option[1:] else [*option, file]
        _, stderr, calls = checkout.run(*joined, cwd=here)
        assert f"scons in {here} with SCONSFLAGS=unset" in calls
        return "".join(line for line in stderr.splitlines(keepends=True) if line.startswith("sconsw: -f"))

    assert told(str(other / "SConstruct")) == told("../other/SConstruct") == said
    assert told("sub/SConstruct") == told("SConstruct") == told("nowhere/SConstruct") == ""
    (here / "SConstruct").touch()
    assert told(str(other / "SConstruct")) == ""


def test_the_tests_are_asked_for_from_elsewhere(checkout, tmp_path):
    checkout.run("-C", str(checkout.folder), "test", cwd=tmp_path)
    assert checkout.stamp("requirements-test.lock").exists()


def test_a_folder_that_isn_t_there_is_told(checkout, tmp_path):
    status, stderr, calls = checkout.run("-C", "nowhere", cwd=tmp_path)
    assert (status, stderr, calls) == (1, "sconsw: -C nowhere: no folder that can be entered\n", [])
