"""Serves a build's actions from namespaces of its own: the process that sandbox.py starts, with a socket for requests.

For each request comes a byte with a socket, on which request and reply follow (wire.py). A thread of its own lays the
inputs out, starts the program in a chroot, puts the outputs in the real place and sends the reply. All that is laid out
lies in a file system in memory that no other process sees; it is gone when this process is.

It imports nothing of the project's but its neighbours, and little of Python's: each action costs it a fork, and a fork
costs by the memory that modules take. With threading, typing and shutil it costs half as much again.
"""

from __future__ import annotations

import os
import signal
import socket
from _thread import get_ident, start_new_thread

from . import confine
from .stage import Stage, copy
from .wire import receive, send

TYPE_CHECKING = False  # typing itself is one of the modules that cost
if TYPE_CHECKING:
    from typing import Any

PLACES = ("/sys", "/mnt", "/srv", "/media")  # a folder that no build needs, where the file system in memory goes


def main(number: int) -> None:
    """Leaves the machine's sight, says so, and serves until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the build waits for its steps
    control = socket.socket(fileno=number)
    os.umask(0)
    try:
        place = next(each for each in PLACES if os.path.isdir(each))
        confine.leave(place)
        confine.give_up_on_exec()
        for name in ("store", "trees", "stages"):
            os.mkdir(f"{place}/{name}", 0o755)
    except (OSError, StopIteration) as error:
        call = getattr(error, "filename", None) or "its file system"
        send(control, {"refused": f"{call}: {getattr(error, 'strerror', None) or error}"})
        return
    send(control, {"refused": ""})
    count = 0
    while True:
        data, handles, _, _ = socket.recv_fds(control, 1, 1)
        if not data:
            return
        count += 1
        connection = socket.socket(fileno=handles[0])
        start_new_thread(serve, (connection, place, count))


def serve(connection: socket.socket, place: str, number: int) -> None:
    """Serves one request, in a thread of its own."""
    stage = f"{place}/stages/{number}"
    with connection:
        try:
            reply = act(receive(connection), place, stage)
        except OSError as error:
            reply = {"failed": f"{error.filename or 'a call'}: {error.strerror}"}
        try:
            send(connection, reply)
        except OSError:  # the build is gone
            pass
    remove(stage)


def act(request: dict[str, Any], place: str, folder: str) -> dict[str, Any]:
    """Runs a request's program and returns what it printed and its status; negative for a signal."""
    os.mkdir(folder)
    root = f"{folder}/root"
    scratch = lay_out(request, root, f"{place}/store")
    before = set(os.listdir(scratch))
    binds = [
        (tree(place, request["root"], key, files), root + os.path.join(request["place"], path))
        for path, key, files in request["trees"]
    ]
    binds += [(path, root + path) for path in request["mounts"]]
    for source, target in binds:
        stand_in(source, target)
    binary = os.open(request["executable"], os.O_RDONLY | os.O_CLOEXEC)
    streams = [os.open(f"{folder}/{name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600) for name in ("out", "err")]
    child = os.fork()
    if child == 0:
        become(request, root, binds, binary, streams)
    status = wait(child, request["seconds"])
    collect(scratch, before, os.path.join(request["root"], request["scratch"]))
    printed = [os.pread(stream, os.fstat(stream).st_size, 0).decode("utf-8", "surrogateescape") for stream in streams]
    for handle in (binary, *streams):
        os.close(handle)
    return {"status": status, "stdout": printed[0], "stderr": printed[1]}


def lay_out(request: dict[str, Any], root: str, store: str) -> str:
    """Lays a request's inputs out in `root`, and returns the place of its scratch folder there."""
    machine = Stage("/", root, store)  # what has an absolute path: a build folder outside of the project
    anywhere = [request["scratch"], *request["anywhere"]]
    project = Stage(request["root"], root + request["place"], store, anywhere, request["follow"])
    for path in (*request["folders"], *request["inputs"]):
        (machine if path.startswith("/") else project).add(path)
    os.makedirs(f"{root}/tmp", exist_ok=True)
    os.chmod(f"{root}/tmp", 0o777)
    return (machine if request["scratch"].startswith("/") else project).writable(request["scratch"])


def become(request: dict[str, Any], root: str, binds: list[tuple[str, str]], binary: int, streams: list[int]) -> None:
    """Becomes the program in its sandbox. What can't be done is said on its stderr, with status 127."""
    try:
        if binds:
            confine.own_mounts()
            for source, target in binds:
                confine.mount_read_only(source, target)
        nothing = os.open("/dev/null", os.O_RDONLY)
        for number, handle in enumerate((nothing, *streams)):
            os.dup2(handle, number)
        if binary != 3:
            os.dup2(binary, 3, inheritable=False)
        os.closerange(4, 4096)
        confine.confine(root, request["place"])
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.umask(0o022)
        os.execve(request["executable"] if request["mounts"] else 3, request["command"], request["environment"])
    except OSError as error:
        os.write(2, f"sandbox: {error.filename or 'exec'}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def wait(child: int, seconds: float) -> int:
    """Waits for the program, `seconds` at most unless 0, and returns its status as subprocess does."""

    if seconds:
        from threading import Timer

        timer = Timer(seconds, os.kill, (child, signal.SIGKILL))
        timer.start()
    _, status = os.waitpid(child, 0)
    if seconds:
        timer.cancel()
    return os.waitstatus_to_exitcode(status)


def collect(scratch: str, before: set[str], real: str) -> None:
    """Copies the files that the program wrote to the real scratch folder."""
    for entry in os.scandir(scratch):
        if entry.name not in before and entry.is_file(follow_symlinks=False):
            handle = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                copy(handle, os.path.join(real, entry.name), 0o666)
            finally:
                os.close(handle)


def remove(folder: str) -> None:
    """Removes a folder and all that is in it, by open folders: what an action still does there leads nowhere else."""
    try:
        for _, folders, files, place in os.fwalk(folder, topdown=False):
            for name in files:
                os.unlink(name, dir_fd=place)
            for name in folders:
                try:
                    os.rmdir(name, dir_fd=place)
                except NotADirectoryError:  # a link to one
                    os.unlink(name, dir_fd=place)
        os.rmdir(folder)
    except OSError:  # gone with this process, then
        pass


def tree(place: str, root: str, key: str, files: list[str]) -> str:
    """Returns the folder with a copy of many files. `files` is empty once it is there."""
    folder = f"{place}/trees/{key}"
    if not os.path.isdir(folder):
        top, made = files[0], f"{folder}.{get_ident()}"
        stage = Stage(os.path.join(root, top), made, f"{place}/store")
        for path in files[1:]:
            stage.add(path)
        try:
            os.rename(made, folder)
        except OSError:  # another action was faster
            remove(made)
    return folder


def stand_in(source: str, target: str) -> None:
    """Makes what a file or folder is mounted over."""
    os.makedirs(target if os.path.isdir(source) else os.path.dirname(target), 0o555, exist_ok=True)
    if not os.path.isdir(source) and not os.path.exists(target):
        os.close(os.open(target, os.O_CREAT | os.O_CLOEXEC, 0o444))
