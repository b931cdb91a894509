"""A user with no more than the capabilities that a kind needs loads and attaches it; one with fewer is told which."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

LOADER = Path(__file__).resolve().parents[3] / "loader"
NOBODY = "65534"


def python() -> str:
    """A Python 3.9 or newer that any user may run: this one may lie in a folder of root's."""
    own = Path(sys.executable).resolve()
    if all(parent.stat().st_mode & 1 for parent in own.parents):
        return str(own)
    system = shutil.which("python3", path="/usr/bin:/bin")
    code = "import sys; sys.exit(sys.version_info < (3, 9))"
    if not system or subprocess.run([system, "-c", code]).returncode:
        pytest.skip("there is no Python 3.9 or newer that other users than root may run")
    return system


@pytest.fixture(scope="module")
def public(skeleton_of, kernel):
    """A folder that any user may read, with the loader, two objects and their skeletons."""
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed (apt install util-linux)")
    built = [Path(skeleton_of(name).__file__) for name in ("privileges", "kinds")]
    with tempfile.TemporaryDirectory(prefix="bpfloader-") as folder:
        os.chmod(folder, 0o755)
        shutil.copytree(LOADER / "bpfloader", Path(folder, "bpfloader"), ignore=shutil.ignore_patterns("__pycache__"))
        for module in built:
            shutil.copy(module, folder)
            shutil.copy(module.with_name(module.name.replace("_skel.py", ".bpf.o")), folder)
        yield Path(folder)


@pytest.fixture
def as_user(public):
    """A function: capabilities (as "bpf,perfmon"), code -> what it prints, run by a user who has these alone."""

    def run(capabilities: str, code: str) -> str:
        held = ",".join(["-all", *(f"+{name}" for name in capabilities.split(",") if name)])
        who = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]
        who += ["--inh-caps", held, "--ambient-caps", held, "--bounding-set", held]
        setup = "import os, bpfloader, privileges_skel\n"
        command = [*who, python(), "-B", "-E", "-s", "-c", setup + textwrap.dedent(code)]
        done = subprocess.run(command, cwd=public, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


LOAD = """
with privileges_skel.Privileges.open() as bpf:
    bpf.select([{name!r}])
    try:
        bpf.load()
        print("loaded")
    except bpfloader.BpfError as error:
        print(type(error).__name__, error)
"""
COUNT = """
def privileges():
    return [line for line in open("/proc/self/status") if line.startswith(("Cap", "Uid", "Groups", "NoNewPrivs"))]

before = privileges()
with privileges_skel.Privileges.open() as bpf:
    bpf.select([{name!r}])
    bpf.rodata.target_pid = os.getpid()
    bpf.load()
    with bpf.progs[{name!r}].attach({arguments}) as link:
        for _ in range(10):
            os.getppid()
        print(bpf.bss.hits >= 10, {{event.pid for event in bpf.maps.events.batch()}} == {{os.getpid()}})
print(privileges() == before)
"""


@pytest.mark.parametrize("name", ["on_tp_btf", "on_raw_tracepoint"])
def test_cap_bpf_and_cap_perfmon_suffice_for_tracing(as_user, name):
    assert as_user("bpf,perfmon", COUNT.format(name=name, arguments="")) == "True True\nTrue\n"


def test_a_uprobe_works_or_says_that_this_kernel_wants_more(as_user):
    code = COUNT.format(name="on_uprobe", arguments="'libc.so.6', 'getppid'")
    catching = (
        "try:\n" + textwrap.indent(code, "    ") + "\nexcept bpfloader.PrivilegeError as error:\n    print(error)"
    )
    said = as_user("bpf,perfmon", catching)
    wanted = f"can't attach on_uprobe: user {NOBODY} lacks CAP_SYS_ADMIN (EACCES: Permission denied); run it as root"
    assert said == "True True\nTrue\n" or said.startswith(wanted) and "but not for uprobe.multi" in said
    assert as_user("bpf,perfmon,sys_admin", code) == "True True\nTrue\n"


def test_an_iterator_is_read_with_them(as_user):
    code = """
    with privileges_skel.Privileges.open() as bpf:
        bpf.select(["list_tasks"])
        bpf.load()
        print("x" in list(bpf.progs.list_tasks.attach()))
    """
    assert as_user("bpf,perfmon", code) == "True\n"


def test_network_hooks_want_cap_net_admin_and_no_perfmon(as_user):
    assert as_user("bpf,net_admin", LOAD.format(name="on_xdp")) == "loaded\n"
    assert as_user("bpf,net_admin", LOAD.format(name="on_connect4")) == "loaded\n"
    said = as_user("bpf", LOAD.format(name="on_xdp"))
    assert said.startswith("LoadError can't load privileges.bpf.o: the kernel refuses the program on_xdp")
    assert "give the process CAP_NET_ADMIN, or use another kind of program" in said.splitlines()[0]


def test_a_map_that_wants_more_is_named_with_what_it_wants(as_user):
    code = "import kinds_skel" + LOAD.replace("privileges_skel.Privileges", "kinds_skel.Kinds")
    said = as_user("bpf,perfmon", code.format(name="on_tp_btf"))
    assert said.startswith("LoadError can't load kinds.bpf.o: the kernel refuses the map sockets (EPERM: Operation")
    assert "give the process CAP_NET_ADMIN, which a map of type sockmap needs" in said.splitlines()[0]


@pytest.mark.parametrize("held, name, lacks", [
    ("", "on_tp_btf", "CAP_BPF, CAP_PERFMON"), ("bpf", "on_tp_btf", "CAP_PERFMON"),
    ("perfmon", "on_raw_tracepoint", "CAP_BPF"), ("", "on_xdp", "CAP_BPF, CAP_NET_ADMIN"),
    ("net_admin", "on_xdp", "CAP_BPF"),
])  # fmt: skip
def test_only_missing_capabilities_are_named(as_user, held, name, lacks):
    said = as_user(held, LOAD.format(name=name))
    assert said.count("\n") == 1
    assert said.startswith(f"PrivilegeError can't load privileges.bpf.o: user {NOBODY} lacks {lacks} (EPERM: ")
    assert "run it as root, or give the process those capabilities" in said


def test_an_object_that_loads_no_program_wants_cap_bpf_for_its_maps(as_user):
    if Path("/proc/sys/kernel/unprivileged_bpf_disabled").read_text().strip() == "0":
        pytest.skip("this kernel lets users load simple programs")
    said = as_user("", LOAD.replace("[{name!r}]", "[]"))
    assert said.startswith(f"PrivilegeError can't load privileges.bpf.o: user {NOBODY} lacks CAP_BPF (EPERM: ")
    assert as_user("bpf", LOAD.replace("[{name!r}]", "[]")) == "loaded\n"


def test_the_switch_for_unprivileged_bpf_is_told_of(as_user):
    switch = Path("/proc/sys/kernel/unprivileged_bpf_disabled")
    value = switch.read_text().strip() if switch.exists() else "0"
    if value == "0":
        pytest.skip("this kernel lets users load simple programs")
    said = as_user("", LOAD.format(name="on_socket"))
    assert "lacks CAP_BPF (EPERM: Operation not permitted); " in said
    assert f"kernel.unprivileged_bpf_disabled is {value}: nothing loads without them" in said


def test_probing_needs_no_more_capabilities(as_user):
    code = """
    import json
    said = bpfloader.probe()
    print(json.dumps([said.attach["tp_btf"].ok, said.attach["raw_tp"].ok, said.attach["iter"].ok,
                      said.attach["xdp"].ok, "lacks CAP_NET_ADMIN to" in said.attach["xdp"].reason,
                      "bpf_probe_read_kernel" in said.helpers["tracing"]]))
    """
    assert json.loads(as_user("bpf,perfmon", code)) == [True, True, True, None, True, True]
