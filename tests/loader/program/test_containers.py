"""Probes of a process that sees other files than this one: another mount namespace, another root, links that lead out."""

import contextlib
import errno
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import bpfloader
import pytest
from bpfloader.symbols import process as process_files
from bpfloader.symbols.probe_file import probe_file
from probed_binary import BINARY

# Waits for a line before it works.
WAITING = BINARY.replace("int sum = 0;", "int sum = 0; getchar();").replace("#include <stdlib.h>", "#include <stdio.h>\n#include <stdlib.h>")
# At the same path, for everybody else: another layout, and no probe.
DECOY = "int unlike(int a) { return a; }\nint main(void) { for (int i = 0; i < 9; i++) unlike(i); return 0; }\n"
# Becomes the program in a mount namespace, and where a root is given, in that; argv: root, program, its argument.
ENTER = """
import ctypes, os, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
root, place, source, times = sys.argv[1:]
if libc.unshare(0x20000) or libc.mount(b"none", b"/", None, ctypes.c_ulong(0x44000), None):
    sys.exit(77)
def bind(source, target):
    if libc.mount(source.encode(), target.encode(), None, ctypes.c_ulong(0x5000), None):
        sys.exit(77)
if root == "/":
    bind(source, place)
else:
    bind("/", root)
    bind(source, root + place)
    os.chroot(root)
    os.chdir("/")
os.execv(place, [place, times])
"""


@pytest.fixture(scope="module")
def programs(cc, tmp_path_factory) -> Path:
    """A folder with `app`, a decoy, and `real`, which a container has in its place."""
    folder = tmp_path_factory.mktemp("container")
    for name, text in {"app": DECOY, "real": WAITING}.items():
        (folder / f"{name}.c").write_text(text)
        subprocess.run([*cc, "-O1", "-o", folder / name, folder / f"{name}.c"], check=True)
    (folder / "root").mkdir()
    (folder / "link").symlink_to(folder / "app")
    return folder


@pytest.fixture(params=["namespace", "root"])
def contained(request, kernel, programs):
    """The process: `real` at the path of `app`, in a mount namespace or also in another root."""
    root = str(programs / "root") if request.param == "root" else "/"
    arguments = [root, str(programs / "app"), str(programs / "real"), "5"]
    with subprocess.Popen(
        [sys.executable, "-c", ENTER, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        while process.poll() is None:
            with contextlib.suppress(OSError):
                if "/app\n" in Path(f"/proc/{process.pid}/maps").read_text():  # it has its name before it has its code
                    break
        if process.poll() == 77:
            pytest.skip("no mount namespace can be made")
        yield process
        process.kill()


def ends(process) -> None:
    """Lets the program work, and waits for its end."""
    process.communicate(b"\n", timeout=10)


def test_a_uprobe_is_at_the_process_s_file(start, contained, programs):
    """By a path that leads to another file here, through a link, and by a name that the process has mapped."""
    bpf = start("on_uprobe")
    attach = bpf.progs.on_uprobe.attach
    attach(programs / "app", "work", pid=contained.pid)
    attach(str(programs / "link"), "more", pid=contained.pid)
    attach("app", "work", pid=contained.pid)
    ends(contained)
    assert bpf.bss.hits == 15


def test_a_static_probe_is_there_too(start, contained, programs):
    bpf = start("on_usdt")
    bpf.progs.on_usdt.attach(programs / "app", "tests", "beat", pid=contained.pid, cookie=8)
    ends(contained)
    assert (bpf.bss.hits, bpf.bss.argument) == (5, 7)
    if tuple(map(int, bpfloader.version().split(".")[:2])) < (1, 7):  # its specs are longer than the map's values
        assert bpf.bss.cookie == 8


def test_what_isn_t_there_is_told_of_the_process_s_files(start, contained, programs):
    attach = start("on_uprobe").progs.on_uprobe.attach
    with pytest.raises(bpfloader.AttachError) as caught:
        attach(programs / "app", "wrk", pid=contained.pid)
    assert f"{programs}/app of process {contained.pid} has no function wrk; nearest: work" in str(caught.value)
    with pytest.raises(bpfloader.AttachError) as caught:
        attach("/no/such/file", "work", pid=contained.pid)
    assert f"process {contained.pid} has no /no/such/file among its files" in caught.value.what
    with pytest.raises(bpfloader.AttachError, match="has no libnone.so.1 among its files"):
        attach("libnone.so.1", "work", pid=contained.pid)
    with pytest.raises(bpfloader.AttachError, match="has no function work"):  # of this process: the decoy
        attach(programs / "app", "work")
    with probe_file(f"/proc/{contained.pid}/root{programs}/app", contained.pid) as file:
        assert file.offsets("work")  # a path that says itself whose it is


def test_symbols_are_those_of_the_process_s_file(contained, programs, monkeypatch):
    from bpfloader.symbols import user
    from bpfloader.symbols.binary import Binary
    from bpfloader.symbols.regions import regions_of

    with open(programs / "real", "rb") as file:
        work = next(each for each in Binary(file).functions() if each.name == "work")
    region = next(each for each in regions_of(contained.pid) if each.path.endswith("/app"))
    monkeypatch.setattr(user, "_open_mapped", user._open_below_root)  # as without CAP_CHECKPOINT_RESTORE
    assert bpfloader.user_symbol(region.start + work.address - region.offset, contained.pid) == "work+0x0 [app]"


@pytest.mark.filterwarnings("ignore:process .* has not mapped")
def test_a_process_whose_files_can_t_be_seen(start, monkeypatch, binary):
    def refuse(pid):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("bpfloader.symbols.probe_file.has_own_files", refuse)
    bpf = start("on_uprobe")
    with pytest.warns(RuntimeWarning, match="can't see whether process .* has files of its own .EACCES.*CAP_SYS_PTRACE"):
        bpf.progs.on_uprobe.attach(binary, "work", pid=os.getpid())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bpf.progs.on_uprobe.attach(binary, "work")


@pytest.fixture(params=["openat2", "walk"])
def open_in_root(request, monkeypatch):
    """Both ways: the kernel's, and a component at a time for kernels before 5.6."""
    if request.param == "walk":

        def refuse(root, path):
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

        monkeypatch.setattr(process_files, "_openat2", refuse)
    return process_files.open_in_root


def test_no_link_leads_out_of_a_root(open_in_root, tmp_path):
    (tmp_path / "secret").write_text("outside")
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "secret").write_text("inside")
    (root / "etc" / "file").write_text("file")
    links = {"up": "../../secret", "absolute": f"{tmp_path}/secret", "rooted": "/secret", "chain": "rooted",
             "round": "round", "etc/back": "../secret", "folder": "etc", "self": "/proc/self/root/secret"}  # fmt: skip
    for name, target in links.items():
        (root / name).symlink_to(target)
    os.mkfifo(root / "pipe")
    fd = os.open(root, process_files.O_PATH)
    before = os.listdir("/proc/self/fd")

    def read(path: str) -> str:
        opened = open_in_root(fd, path)
        try:
            with process_files.read_descriptor(opened) as file:
                return file.read().decode()
        finally:
            os.close(opened)

    for path in ("secret", "/secret", "up", "rooted", "chain", "etc/back", "folder/back", "../../secret", "/folder/../secret", "./etc/../up"):
        assert read(path) == "inside"
    assert read("folder/file") == read("/etc//file") == "file"
    for path, number in {"absolute": errno.ENOENT, "round": errno.ELOOP, "none": errno.ENOENT, "secret/x": errno.ENOTDIR,
                         "self": errno.ENOENT}.items():  # fmt: skip
        with pytest.raises(OSError) as caught:
            read(path)
        assert caught.value.errno == number, path
    for path in ("pipe", "etc", "/"):
        with pytest.raises(ValueError, match="not a file"):
            read(path)
    assert os.listdir("/proc/self/fd") == before  # nothing stays open
    os.close(fd)


@pytest.fixture
def replaced(kernel, programs, tmp_path):
    """A process whose program was replaced after its start, as an upgrade does; its path is that of the decoy now."""
    place = tmp_path / "daemon"
    shutil.copy(programs / "real", place)
    with subprocess.Popen([place, "5"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        os.replace(shutil.copy(programs / "app", tmp_path / "new"), place)
        yield process, place
        process.kill()


@pytest.mark.parametrize("named", ["path", "link", "name"])
def test_a_program_that_was_replaced_since_its_start_is_the_one_that_runs(start, replaced, named, tmp_path, monkeypatch):
    process, place = replaced
    (tmp_path / "link").symlink_to(place)
    monkeypatch.setenv("PATH", str(tmp_path))
    bpf = start("on_uprobe")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bpf.progs.on_uprobe.attach({"path": place, "link": tmp_path / "link", "name": "daemon"}[named], "work", pid=process.pid)
    ends(process)
    assert bpf.bss.hits == 5


def test_a_program_that_was_deleted_since_its_start_is_probed(start, replaced):
    process, place = replaced
    place.unlink()
    bpf = start("on_uprobe")
    bpf.progs.on_uprobe.attach(place, "work", pid=process.pid)
    ends(process)
    assert bpf.bss.hits == 5


def test_a_process_that_hasn_t_mapped_the_file_is_named(start, replaced, programs):
    process, _ = replaced
    attach = start("on_uprobe").progs.on_uprobe.attach
    with pytest.warns(RuntimeWarning, match=f"process {process.pid} has not mapped {programs}/real, so on_uprobe sees nothing"):
        attach(programs / "real", "work", pid=process.pid)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        unwarned = start("on_uprobe")
        with pytest.raises(RuntimeWarning, match="has not mapped"):
            unwarned.progs.on_uprobe.attach(programs / "real", "work", pid=process.pid)
        assert not len(unwarned.links)  # a warning that is an exception leaves nothing attached
        attach("libc.so.6", "getppid", pid=process.pid)
        attach(programs / "real", "work")


# Has a library of its own folder, as conda, snaps and vendors' agents do.
BUNDLED = 'extern int work(int); int main(void) { getchar(); for (int i = 0; i < 5; i++) work(i); return 0; }'


def test_a_name_is_that_of_the_library_which_the_process_has(start, kernel, cc, tmp_path, monkeypatch, recwarn):
    """And not of another one that is found on the search path (bcc's -p looks into the process's maps first)."""
    own, system = tmp_path / "own", tmp_path / "system"
    for folder in (own, system):
        folder.mkdir()
        source = "int pad(int a) { return a + 1; }\nint work(int a) { return pad(a); }" if folder == system else "int work(int a) { return a; }"
        subprocess.run([*cc, "-O1", "-fPIC", "-shared", "-x", "c", "-", "-o", folder / "libworks.so.1"], input=source, text=True, check=True)
    link = [own / "libworks.so.1", f"-Wl,-rpath,{own}"]
    program = "#include <stdio.h>\n" + BUNDLED
    subprocess.run([*cc, "-O1", "-x", "c", "-", "-x", "none", *link, "-o", tmp_path / "app"], input=program, text=True, check=True)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(system))
    bpf = start("on_uprobe")
    environment = {key: value for key, value in os.environ.items() if key != "LD_LIBRARY_PATH"}
    with subprocess.Popen([tmp_path / "app"], stdin=subprocess.PIPE, env=environment) as process:
        while "libworks" not in Path(f"/proc/{process.pid}/maps").read_text():
            pass
        bpf.progs.on_uprobe.attach("libworks.so.1", "work", pid=process.pid)
        ends(process)
    assert bpf.bss.hits == 5 and not recwarn.list


# Becomes process 1 of a namespace and attaches to itself, with the /proc of the namespace before; prints the warnings.
INSIDE = """
import ctypes, os, sys, warnings
import bpfloader
if ctypes.CDLL(None).unshare(0x20000000):
    sys.exit(77)
if not os.fork():
    with warnings.catch_warnings(record=True) as told, bpfloader.Object.open(sys.argv[1]) as bpf:
        warnings.simplefilter("always")
        bpf.select(["on_uprobe"])
        bpf.load()
        bpf.progs["on_uprobe"].attach(sys.argv[2], "work", pid=os.getpid())
        print(os.getpid(), *(each.message for each in told), sep="\\n", flush=True)
    os._exit(0)
os._exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_proc_of_another_pid_namespace_is_told(kinds, kernel, binary, tmp_path):
    """`unshare --pid` without a new /proc: the kernel's process 1 is another one than /proc/1."""
    loader = {**os.environ, "PYTHONPATH": str(Path(bpfloader.__file__).parent.parent)}
    objects = Path(sys.modules[kinds.__module__].__file__).parent / "kinds.bpf.o"
    done = subprocess.run([sys.executable, "-c", INSIDE, objects, binary], env=loader, capture_output=True, text=True)
    if done.returncode == 77:
        pytest.skip("no PID namespace can be made")
    own, *warned = done.stdout.splitlines()
    assert own == "1" and len(warned) == 1, done.stderr
    assert warned[0].startswith("/proc shows another PID namespace") and "mount -t proc proc /proc" in warned[0]
