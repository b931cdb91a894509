"""A sandboxed program sees its declared inputs under constant paths, no network, no machine; as root and as a plain user."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ebpfbuild.errors import SandboxError
from ebpfbuild.host_tools import Action, loaded
from ebpfbuild.sandbox.sandbox import Sandbox

SITE = Path(__file__).resolve().parents[3] / "site_scons"
TOOLS = [os.path.realpath(path) for name in ("sh", "cat", "ls", "uname", "id") if (path := shutil.which(name, path="/usr/bin:/bin"))]
SERVE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from ebpfbuild.host_tools import Action
from ebpfbuild.sandbox.sandbox import Sandbox
sandbox, given = Sandbox("auto"), json.loads(sys.argv[2])
done = sandbox.run(Action(**given)) if sandbox.possible() else None
print(json.dumps(["refused", sandbox.refusal] if done is None else [done.returncode, done.stdout, done.stderr]))
"""


@pytest.fixture(scope="module")
def sandbox():
    """This machine's sandbox; a test that needs one is skipped where there is none."""
    made = Sandbox("auto")
    if not made.possible():
        pytest.skip(f"this machine allows no sandbox: {made.refusal}")
    yield made
    made.close()


@pytest.fixture
def required(sandbox):
    """The same for a build that requires one."""
    made = Sandbox("require")
    yield made
    made.close()


@pytest.fixture
def project(open_folder):
    """A project's folder that every user can read, with a scratch folder that every user may write."""
    root = open_folder / "project"
    for name in ("src/a.c", "include/a.h", "include/hidden.h"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{name}\n")
    (root / "build/scratch").mkdir(parents=True)
    (root / "build/scratch").chmod(0o777)
    return root


def shell(project, script, *inputs, **more):
    """An action that runs a script of the shell's."""
    mounts = sorted({path for tool in TOOLS for path in (tool, *loaded(tool))})
    environment = {"PATH": ":".join(sorted({os.path.dirname(tool) for tool in TOOLS}))}
    sh = next(tool for tool in TOOLS if os.path.basename(tool) in ("sh", "dash", "bash", "busybox"))
    return Action(["sh", "-c", script], sh, str(project), inputs, "build/scratch", mounts=mounts, environment=environment, **more)


USERS = ["root", pytest.param("plain", marks=pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can be somebody else (setpriv)"))]


@pytest.fixture(params=USERS)
def run(request, sandbox, tmp_path):
    """Runs an action as this user or as a plain one, by a Python that all may run."""
    if request.param == "root":
        return sandbox.run
    python = shutil.which("python3", path="/usr/bin:/bin")
    if not python or subprocess.run([python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]).returncode:
        pytest.skip("there is no Python 3.11 that every user may run")

    def as_somebody(action):
        given = json.dumps({**action._asdict(), "inputs": list(action.inputs)})
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", python, "-I", "-B", "-c", SERVE, str(SITE), given]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        status, *streams = json.loads(done.stdout)
        if status == "refused":
            pytest.skip(f"this machine allows a plain user no sandbox: {streams[0]}")
        return subprocess.CompletedProcess(action.command, status, *streams)

    return as_somebody


def test_nothing_is_there_but_what_is_declared(run, project):
    script = "pwd; echo /* ; echo * src/* include/* /tmp/*; cat include/a.h; uname -n; cat /etc/passwd include/hidden.h"
    done = run(shell(project, script, "src/a.c", "include/a.h", "not/there.h"))
    place, top, project_files, text, host = done.stdout.splitlines()
    assert (place, text, host) == ("/src", "include/a.h", "sandbox")
    assert set(top.split()) <= {"/src", "/tmp", "/bin", "/lib", "/lib64", "/usr"}
    assert project_files == "build include src src/a.c include/a.h /tmp/*"
    assert done.stderr.count("No such file or directory") == 2


def test_inputs_can_t_be_written_and_outputs_come_back(run, project):
    way = os.path.dirname(os.path.dirname(TOOLS[0]))  # above what is mounted
    script = f"echo x > src/a.c; echo x > include/new; echo x > /new; echo x > {way}/new; echo x > {TOOLS[0]}; echo made > build/scratch/out; echo t > /tmp/t; exit 3"
    done = run(shell(project, script, "src/a.c"))
    assert done.returncode == 3 and len(done.stderr.splitlines()) == 5, done.stderr
    assert (project / "build/scratch/out").read_text() == "made\n"
    assert (project / "src/a.c").read_text() == "src/a.c\n" and not os.path.exists("/tmp/t")


def python_action(project, script):
    """An action that runs a script of Python's. Skips where no Python is there that every user may run."""
    python = shutil.which("python3", path="/usr/bin:/bin")
    if not python:
        pytest.skip("there is no Python that every user may run")
    python = os.path.realpath(python)
    where = "import os, importlib.util as u; print(os.path.dirname(os.__file__), u.find_spec('_ctypes').origin, sep='\\n')"
    library, extension = subprocess.run([python, "-c", where], capture_output=True, text=True).stdout.split()
    mounts = [python, library, *loaded(python), *(loaded(extension) if os.path.isabs(extension) else ())]
    return Action([python, "-I", "-S", "-c", script], python, str(project), (), "build/scratch", mounts=mounts)


def test_there_is_no_network(run, project):
    """A socket reaches neither the machine itself nor anything else, and /proc and /sys are not there."""
    script = "import os, socket\nfor host in ('127.0.0.1', '192.0.2.1'):\n  try: socket.create_connection((host, 9), 2)\n  except OSError as e: print(e.errno)\nprint(os.path.exists('/proc'), os.path.exists('/sys'))"
    done = run(python_action(project, script))
    assert done.stdout.split() == ["101", "101", "False", "False"], done.stderr  # ENETUNREACH, also to itself: lo is down


PRIVILEGES = """
import ctypes, os, socket, struct
libc, sets = ctypes.CDLL(None), ctypes.create_string_buffer(24)
libc.capget(struct.pack("=Ii", 0x20080522, 0), sets)
print(any(sets.raw), libc.prctl(39, 0, 0, 0, 0))  # PR_GET_NO_NEW_PRIVS
for attempt in (lambda: os.chroot("/tmp"), lambda: socket.sethostname("x"), lambda: os.mknod("/tmp/null", 0o20666, 0x103)):
    try: print(attempt())
    except PermissionError: print("EPERM")
print([number for number in range(3, 100) if os.path.exists(f"/dev/fd/{number}") or libc.fcntl(number, 1) >= 0])
"""
NONE = ["False", "1", "EPERM", "EPERM", "EPERM", "[]"]


def test_no_privilege_and_no_open_file_comes_with_it(run, project):
    assert run(python_action(project, PRIVILEGES)).stdout.split() == NONE


def test_a_build_whose_programs_would_inherit_privileges_has_its_sandbox_give_them_none(sandbox, project):
    before = ["setpriv", "--inh-caps=+sys_chroot,+sys_admin,+mknod"]
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("only root has privileges (setpriv)")
    given = json.dumps(python_action(project, PRIVILEGES)._asdict())
    done = subprocess.run([*before, sys.executable, "-I", "-B", "-c", SERVE, str(SITE), given], capture_output=True, text=True)
    assert json.loads(done.stdout)[1].split() == NONE, done.stderr


def test_links_within_are_kept_and_those_that_lead_out_are_not_there(required, project, open_folder):
    (project / "real").mkdir()
    for name in ("real/x.h", "y.h", "include/beside.h"):
        (project / name).write_text(f"{name}\n")
    (project / "inc").symlink_to("real")
    (project / "absolute.h").symlink_to(project / "y.h")
    (project / "include/out.h").symlink_to("/etc/passwd")
    (project / "away").symlink_to(open_folder)
    (open_folder / "far.h").write_text("far\n")
    inputs = ("inc/x.h", "y.h", "absolute.h", "include/out.h", "away/far.h")
    done = required.run(shell(project, "cat inc/x.h inc/../y.h absolute.h; cat include/out.h; cat away/far.h", *inputs))
    assert done.stdout == "real/x.h\ny.h\ny.h\n", "`..` behind a link is taken where the link leads"
    assert done.stderr.count("No such file") == 2
    anywhere = required.run(shell(project, "cat away/far.h", "away/far.h", anywhere=["away/build"]))
    assert anywhere.stdout == "far\n", "a build folder may be a link to anywhere"


def test_where_none_is_required_an_input_by_a_link_out_is_there_and_nothing_beside_it(sandbox, project, open_folder):
    """The build tells of such a link once, and a release refuses it."""
    (project / "away").symlink_to(open_folder)
    for name in ("far.h", "beside.h"):
        (open_folder / name).write_text(f"{name}\n")
    done = sandbox.run(shell(project, "cat away/far.h; ls away", "away/far.h"))
    assert done.stdout == "far.h\nfar.h\n"


def test_a_file_is_seen_as_it_is_now_whatever_was_seen_before(sandbox, project):
    """Copies are kept by the files' identity: an edit within a clock's tick, of the same size, counts."""
    for number in range(40):
        text = f"{number % 7}\n"
        (project / "src/a.c").write_text(text)
        assert sandbox.run(shell(project, "cat src/a.c", "src/a.c")).stdout == text
    before = os.stat(project / "src/a.c")
    (project / "src/a.c").write_text("8\n")
    os.utime(project / "src/a.c", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert sandbox.run(shell(project, "cat src/a.c", "src/a.c")).stdout == "8\n"


def test_a_tree_of_many_files_holds_those_that_are_declared(run, project):
    files = [f"build/uapi/{name}.h" for name in "abc"]
    for file in (*files, "build/uapi/planted.h"):
        (project / file).parent.mkdir(exist_ok=True)
        (project / file).write_text(f"{file}\n")
    done = run(shell(project, "cat build/uapi/*; echo x > build/uapi/new", trees={"build/uapi": files}))
    assert done.stdout.split() == files and done.stderr


def test_many_at_once_and_odd_names(sandbox, project):
    from concurrent.futures import ThreadPoolExecutor

    names = ["a b.h", "quote'\".h", "new\nline.h", "ümläut.h", "$x%d\\n.h", "-dash.h", os.fsdecode(b"\xff\xfe.h")]
    for name in names:
        (project / name).write_text(name.encode("utf-8", "surrogateescape").decode("latin-1"), encoding="latin-1")

    def one(number):
        name = names[number % len(names)]
        return sandbox.run(Action(["sh", "-c", 'cat < "$1"', "sh", name], **{k: v for k, v in shell(project, "", name)._asdict().items() if k != "command"})).stdout == name

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(56)))


def test_nothing_of_an_action_stays(project):
    """Neither mounts nor files nor open files nor threads pile up, whatever an action leaves, breaks or forbids."""

    def children():
        return {pid for task in os.listdir("/proc/self/task") for pid in Path(f"/proc/self/task/{task}/children").read_text().split()}

    before, made = children(), Sandbox("require")
    if not made.possible():
        pytest.skip(f"this machine allows no sandbox: {made.refusal}")
    (helper,) = children() - before

    def counts():
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:  # it removes, and ends the thread of a closed connection, after it has answered
            if not os.listdir(f"/proc/{helper}/root/sys/stages") and len(os.listdir(f"/proc/{helper}/task")) == 1:
                break
            time.sleep(0.01)
        return {
            "mounts": len(Path(f"/proc/{helper}/mountinfo").read_text().splitlines()),
            "open files": len(os.listdir(f"/proc/{helper}/fd")),
            "threads": len(os.listdir(f"/proc/{helper}/task")),
            "left": os.listdir(f"/proc/{helper}/root/sys/stages"),
        }

    leave = "mkdir -p /tmp/a/b; echo x > /tmp/a/b/c; chmod 000 /tmp/a; chmod 777 /src; mkfifo /tmp/fifo; ln -s / /tmp/link; exit 4"
    (project / "broken").write_bytes(b"\x7fELF and no more")
    (project / "broken").chmod(0o755)
    seen = []
    for _ in range(3):
        assert made.run(shell(project, leave.replace("mkfifo /tmp/fifo; ln -s / /tmp/link; ", ""), "src/a.c")).returncode in (4, 127)
        assert made.run(Action(["x"], str(project / "broken"), str(project), (), "build/scratch")).returncode == 127
        with pytest.raises(SandboxError, match="can't lay out its inputs"):
            made.run(shell(project, "true")._replace(executable=str(project / "broken"), scratch="src/a.c"))
        seen.append(counts())
    made.close()
    assert seen[1] == seen[2] and not seen[2]["left"], seen


def test_a_program_that_takes_too_long_or_isn_t_one_ends(sandbox, project):
    start = time.monotonic()
    assert sandbox.run(shell(project, "while :; do :; done", seconds=0.3)).returncode == -9
    assert time.monotonic() - start < 60
    (project / "src/a.c").write_bytes(b"\x7fELF and no more")
    (project / "src/a.c").chmod(0o755)
    odd = sandbox.run(Action(["a.c"], str(project / "src/a.c"), str(project), (), "build/scratch"))
    assert odd.returncode == 127 and odd.stderr.startswith("sandbox: ")
    (project / "src/a.c").write_text("#!/bin/sh\n")
    assert sandbox.run(Action(["a.c"], str(project / "src/a.c"), str(project), (), "build/scratch")) is None
    assert sandbox.scripts == {str(project / "src/a.c")}


def test_a_dead_helper_is_one_line(project):
    made = Sandbox("auto")
    if not made.possible():
        pytest.skip("no sandbox")
    made._control.shutdown(2)
    with pytest.raises(SandboxError, match=r"^sandbox: its process ended|its process ended"):
        made.run(shell(project, "true"))
    made.close()


def test_where_it_is_not_possible_require_is_one_line_and_auto_goes_without(monkeypatch, project):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert Sandbox("auto").run(shell(project, "true")) is None
    assert Sandbox("off").run(shell(project, "true")) is None
    with pytest.raises(SandboxError) as error:
        Sandbox("require").run(shell(project, "true"))
    assert str(error.value).startswith("SANDBOX=require: this machine allows no sandbox (it is made of Linux's namespaces); build as root")
    assert "\n" not in str(error.value)
