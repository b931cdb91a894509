"""Serves a build's actions from namespaces of its own: the process that sandbox.py starts, with a socket for requests.

Over that socket come others, one for each action that runs at a time. A thread of its own serves one: it reads a
request (wire.py), lays the inputs out, starts the program in a chroot, puts the outputs in the real place and sends the
reply. All that is laid out lies in a file system in memory that no other process sees; it is gone when this process is.

Its threads have a root of their own, so the one that serves an action enters the chroot itself and starts the program
from there by posix_spawn(3), which copies none of this process's memory: a fork costs three times as much.

It imports nothing of the project's but its neighbours, and little of Python's: signal, socket, json and typing each
take longer to import than an action to run.
"""

from __future__ import annotations

import _signal as signal
import os
from _socket import CMSG_SPACE, MSG_CMSG_CLOEXEC, socket
from _thread import allocate_lock, get_ident, start_new_thread
from errno import EAGAIN
from itertools import count
from sys import byteorder

from . import confine
from .stage import Stage, copy
from .wire import TREE, Message, receive, send

PLACES = ("/sys", "/mnt", "/srv", "/media")  # a folder that no build needs, where the file system in memory goes
PROGRAM = "/program"  # where a program that needs no other file of the machine is started from
NUMBERS = count()


def main(number: int) -> None:
    """Leaves the machine's sight, says so, and serves until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the build waits for its steps
    os.set_inheritable(number, False)
    control = socket(fileno=number)
    os.umask(0)
    try:
        place = next(each for each in PLACES if os.path.isdir(each))
        confine.leave(place)
        confine.give_up_on_exec()
        for name in ("store", "trees", "views", "stages"):
            os.mkdir(f"{place}/{name}", 0o755)
    except (OSError, StopIteration) as error:
        call = getattr(error, "filename", None) or "its file system"
        send(control, {"refused": [f"{call}: {getattr(error, 'strerror', None) or error}"]})
        return
    send(control, {"refused": []})
    views = Views(f"{place}/views")
    while True:
        data, handles, _, _ = control.recvmsg(1, CMSG_SPACE(4), MSG_CMSG_CLOEXEC)
        if not data:
            return
        if not handles:  # this process may open no more
            continue
        connection = socket(fileno=int.from_bytes(handles[0][2], byteorder))
        try:
            start_new_thread(serve, (connection, place, views))
        except RuntimeError:  # there may be no more of them
            refuse(connection)


def refuse(connection: socket) -> None:
    """Answers a request that no thread serves, and closes the connection."""
    try:
        receive(connection)
        send(connection, failed(OSError(EAGAIN, os.strerror(EAGAIN), "a thread")))
    except OSError:  # the build is gone
        pass
    connection.close()


def failed(error: OSError) -> Message:
    """Returns the reply for an action that couldn't be laid out."""
    return {"failed": [f"{error.filename or 'a call'}: {error.strerror}", str(error.errno)]}


class Views:
    """Read-only views of the machine's files and folders, each mounted once in `place` and bound from there.

    A mount that is bound from one has its limits, which takes one call, not two.
    """

    def __init__(self, place: str):
        self._place = place
        self._lock = allocate_lock()
        self._made: set[str] = set()

    def of(self, source: str) -> str:
        """Returns the view of a file or folder. Raises OSError."""
        now = os.stat(source)
        name = f"{now.st_dev:x}-{now.st_ino:x}"  # whose content may change: it is the file itself
        view = f"{self._place}/{name}"
        with self._lock:
            if name not in self._made:
                stand_in(source, view)
                confine.mount_read_only(source, view)
                self._made.add(name)
        return view


def serve(connection: socket, place: str, views: Views) -> None:
    """Serves the requests of one connection, one after the other, in a thread of its own."""
    confine.own_folders()
    while True:
        stage = f"{place}/stages/{next(NUMBERS)}"
        try:
            message = receive(connection)
        except OSError:  # the build needs no more of it
            break
        try:
            reply = act(Request(message), place, stage, views)
        except OSError as error:
            reply = failed(error)
        try:
            send(connection, reply)
        except OSError:  # the build is gone
            break
        finally:
            remove(stage)
    connection.close()


class Request:
    """A request's parts, as host_tools.Action and sandbox.py have them.

    `trees` are a folder's key and its path, with its files behind it the first time.
    """

    def __init__(self, message: Message):
        self.command, self.inputs, self.folders = message["command"], message["inputs"], message["folders"]
        self.anywhere, self.mounts = message["anywhere"], message["mounts"]
        (self.executable,), (self.root,), (self.place,) = message["executable"], message["root"], message["place"]
        (self.scratch,), (seconds,), self.follow = message["scratch"], message["seconds"], bool(message["follow"])
        self.seconds = float(seconds)
        self.environment = dict(word.split("=", 1) for word in message["environment"])
        self.trees = {name.removeprefix(TREE): words for name, words in message.items() if name.startswith(TREE)}


def act(request: Request, place: str, folder: str, views: Views) -> Message:
    """Runs a request's program and returns what it printed and its status; negative for a signal."""
    os.mkdir(folder)
    root = f"{folder}/root"
    scratch = lay_out(request, root, f"{place}/store")
    before = set(os.listdir(scratch))
    shown = {path: path for path in request.mounts}
    for key, files in request.trees.items():
        shown[os.path.join(request.place, files[0])] = tree(place, request.root, key, files)
    program = request.executable
    if program not in shown:
        program, shown[PROGRAM] = PROGRAM, program
    streams = [os.memfd_create(name) for name in ("out", "err")]
    mounted: list[str] = []
    try:
        for path, source in shown.items():
            stand_in(source, root + path)
            confine.show(views.of(source), root + path)
            mounted.append(root + path)
        child = start(request, root, program, streams)
        status = wait(child, request.seconds) if child else 127
        collect(scratch, before, os.path.join(request.root, request.scratch))
        out, err = map(read, streams)
    finally:
        for path in reversed(mounted):
            confine.hide(path)
        for stream in streams:
            os.close(stream)
    return {"status": [str(status)], "stdout": [out], "stderr": [err]}


def read(stream: int) -> str:
    """Returns all that was written to an open file."""
    return os.pread(stream, os.fstat(stream).st_size, 0).decode("utf-8", "surrogateescape")


def lay_out(request: Request, root: str, store: str) -> str:
    """Lays a request's inputs out in `root`, and returns the place of its scratch folder there."""
    machine = Stage("/", root, store)  # what has an absolute path: a build folder outside of the project
    anywhere = [request.scratch, *request.anywhere]
    project = Stage(request.root, root + request.place, store, anywhere, request.follow)
    for path in (*request.folders, *request.inputs):
        (machine if path.startswith("/") else project).add(path)
    os.makedirs(f"{root}/tmp", exist_ok=True)
    os.chmod(f"{root}/tmp", 0o777)
    return (machine if request.scratch.startswith("/") else project).writable(request.scratch)


def start(request: Request, root: str, program: str, streams: list[int]) -> int:
    """Starts the program in its sandbox and returns its process; 0 where that fails, which its stderr tells."""
    machine, nothing = os.open("/", os.O_PATH | os.O_CLOEXEC), os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.chroot(root)
        os.chdir(request.place)
        os.umask(0o022)
        return os.posix_spawn(
            program,
            request.command,
            request.environment,
            file_actions=[(os.POSIX_SPAWN_DUP2, each, number) for number, each in enumerate((nothing, *streams))],
            setsigdef=(signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ),
        )
    except OSError as error:
        os.write(streams[1], f"sandbox: {error.filename or 'exec'}: {error.strerror}\n".encode())
        return 0
    finally:
        os.fchdir(machine)
        os.chroot(".")
        os.umask(0)
        os.close(machine)
        os.close(nothing)


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
    """Removes a folder and all that is in it."""
    try:
        _remove(folder, None)
    except (OSError, RecursionError):  # gone with this process, then
        pass


def _remove(name: str, folder: int | None) -> None:
    """Removes by open folders: what an action still does there leads nowhere else."""
    handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        with os.scandir(handle) as entries:
            found = list(entries)
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                _remove(entry.name, handle)
            else:
                os.unlink(entry.name, dir_fd=handle)
    finally:
        os.close(handle)
    os.rmdir(name, dir_fd=folder)


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
    if os.path.isdir(source):
        make_folder(target)
    elif not os.path.exists(target):
        make_folder(os.path.dirname(target))
        os.close(os.open(target, os.O_CREAT | os.O_CLOEXEC, 0o444))


def make_folder(path: str) -> None:
    """Makes a folder and those above it, where they aren't, that nobody may write."""
    try:
        os.mkdir(path, 0o555)
    except FileExistsError:
        pass
    except FileNotFoundError:
        make_folder(os.path.dirname(path))
        make_folder(path)
