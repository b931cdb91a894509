"""Starts the process that serves a build's sandboxed actions, and has it run them."""

import contextlib
import hashlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from ..errors import SandboxError
from ..host_tools import CLEAN_ENVIRONMENT, SANDBOX_ROOT, Action
from ..shortage import FULL, shortage_fix
from .wire import TREE, Message, receive, send

MODES = ("auto", "require", "off")
START_SECONDS = 60
SITE = str(Path(__file__).resolve().parents[2])
START = (
    "import sys; sys.path.insert(0, sys.argv[1]); from ebpfbuild.bytecode import believe_by_content; "
    "believe_by_content(sys.argv[1]); from ebpfbuild.sandbox.helper import main; main(int(sys.argv[2]))"
)
FIX = (
    "build as root, allow user namespaces (in a container: --security-opt seccomp=unconfined, or --privileged), "
    "or take SANDBOX=auto"
)


def _failed(call: str, number: str) -> SandboxError:
    fix = "make room in memory and in the build folder"  # both are full alike: file systems in memory
    if int(number) not in FULL:
        fix = shortage_fix(OSError(int(number), "")) or fix
    return SandboxError(f"can't lay out its inputs ({call})", where="sandbox", fix=fix)


class Sandbox:
    """The sandbox of one build: the helper process, started by the first action. Threads may share it.

    `refusal` is why this machine has none, empty where it has, None before anybody asked. `scripts` are the programs
    that ran without it.
    """

    def __init__(self, mode: str = "auto"):
        self.mode = mode
        self.refusal: str | None = None
        self.scripts: set[str] = set()
        self._control: socket.socket | None = None
        self._lock = threading.Lock()
        self._trees: set[str] = set()
        self._idle: list[socket.socket] = []  # connections to the helper that serve no action now

    def possible(self) -> bool:
        """Starts the helper unless it runs, and returns True where this machine allows it."""
        with self._lock:
            if self.refusal is None:
                self.refusal = self._start()
        return not self.refusal

    def require(self) -> None:
        """Raises SandboxError where the machine allows no sandbox and the build requires one."""
        if self.mode == "require" and not self.possible():
            raise SandboxError(f"this machine allows no sandbox ({self.refusal})", where="SANDBOX=require", fix=FIX)

    def run(self, action: Action) -> subprocess.CompletedProcess[str] | None:
        """Runs an action and returns what subprocess would; None where it is to run without. Raises SandboxError."""
        self.require()
        if self.mode == "off" or not self.possible() or self._is_script(action.executable):
            return None
        connection = self._connection()
        try:
            reply = self._answered(connection, action)
            if "failed" in reply:
                raise _failed(*reply["failed"])
        except BaseException:  # an answer to come is no other action's
            connection.close()
            raise
        with self._lock:
            self._idle.append(connection)
        (status,), (out,), (err,) = reply["status"], reply["stdout"], reply["stderr"]
        return subprocess.CompletedProcess(list(action.command), int(status), out, err)

    def _is_script(self, executable: str) -> bool:
        """Returns True for a script, which runs without a sandbox. Raises SandboxError where the build requires one."""
        with open(executable, "rb") as file:
            if file.read(4) == b"\x7fELF":
                return False
        if self.mode == "require":
            what = f"{executable} is a script, and no sandbox has what it needs of the machine"
            raise SandboxError(
                what, where="SANDBOX=require", fix="name the program that it starts, or take SANDBOX=auto"
            )
        self.scripts.add(executable)
        return True

    def close(self) -> None:
        """Ends the helper."""
        with self._lock:
            if self._control is not None:
                self._control.close()
            for connection in self._idle:
                connection.close()
            self._control, self.refusal, self._idle = None, None, []

    def _connection(self) -> socket.socket:
        """Returns a connection that serves no other action."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
            ours, theirs = socket.socketpair()
            with theirs:
                assert self._control is not None
                with contextlib.suppress(BrokenPipeError):  # it is dead: the answer will be missed
                    socket.send_fds(self._control, [b"r"], [theirs.fileno()])
            return ours

    def _answered(self, connection: socket.socket, action: Action) -> Message:
        trees = dict(self._tree(path, files) for path, files in action.trees.items())
        environment = {**CLEAN_ENVIRONMENT, **action.environment}
        request = {
            "command": list(action.command),
            "executable": [os.path.realpath(action.executable)],
            "root": [action.root],
            "place": [SANDBOX_ROOT],
            "inputs": sorted(set(action.inputs)),
            "folders": list(action.folders),
            "scratch": [action.scratch],
            "anywhere": list(action.anywhere),
            "follow": ["inputs by links out of the project"] * (self.mode == "auto"),  # the build has told of them
            "mounts": [path for path in action.mounts if os.path.exists(path)],
            "environment": [f"{name}={value}" for name, value in environment.items()],
            "seconds": [str(action.seconds)],
            **{TREE + key: files for key, files in trees.items()},
        }
        try:
            send(connection, request)
            reply = receive(connection)
        except OSError as error:
            what = f"its process ended ({error.strerror})"
            raise SandboxError(what, where="sandbox", fix="build again; if it stays so, take SANDBOX=off") from None
        self._trees |= set(trees)
        return reply

    def _tree(self, path: str, files: Sequence[str]) -> tuple[str, list[str]]:
        """Returns a tree's key, and its folder with its files behind it unless the helper has them."""
        key = hashlib.sha256("\0".join([path, *files]).encode("utf-8", "surrogateescape")).hexdigest()
        known = key in self._trees
        return key, [path] if known else [path, *(os.path.relpath(file, path) for file in files)]

    def _start(self) -> str:
        """Starts the helper; returns why it can't work here, empty where it can."""
        if not sys.platform.startswith("linux"):
            return "it is made of Linux's namespaces"
        ours, theirs = socket.socketpair()
        quiet = ["-B"] * sys.dont_write_bytecode
        command = [sys.executable, "-I", "-S", *quiet, "-c", START, SITE, str(theirs.fileno())]
        try:
            with theirs:
                subprocess.Popen(command, pass_fds=[theirs.fileno()], env=CLEAN_ENVIRONMENT, stdin=subprocess.DEVNULL)
            ours.settimeout(START_SECONDS)
            refused = "".join(receive(ours)["refused"])
            ours.settimeout(None)
        except OSError as error:
            refused = f"its process: {error.strerror or error}"
        if refused:
            ours.close()
        else:
            self._control = ours
        return refused
