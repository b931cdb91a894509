"""Starts scons by forking a process that has imported it: half of what a short build takes is the import.

A `Starter` is such a process. Each scons is a fork of it, with folder, environment, arguments and output of its own,
and ends as the interpreter ends. What happens before SCons is imported can't be changed for a fork: a run with an
environment that the interpreter reads at its start needs a process of its own (`can_fork`).
"""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

# What the interpreter or the import of SCons reads, in names and in arguments.
AT_START = ("PYTHON", "LC_", "LANG", "SCONSFLAGS")
AT_IMPORT = ("--interactive", "--interact", "--debug=memoizer", "--profile")
MAXIMUM = 1 << 20  # bytes of a request or an answer


def can_fork(arguments, environment) -> bool:
    """Returns True if a fork runs these arguments in this environment as a process of its own would."""
    return not any(name.startswith(AT_START) for name in environment) and not any(word.startswith(AT_IMPORT) for word in arguments)


class Starter:
    """A process that has imported SCons and forks.

    `seed` is the seed of its hashes, and so of all of its forks.
    """

    def __init__(self, seed: int, environment):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, __file__, str(theirs.fileno())]
        clean = {name: environment[name] for name in ("PATH", "HOME")}
        with theirs:
            self.process = subprocess.Popen(command, env={**clean, "PYTHONHASHSEED": str(seed)}, pass_fds=[theirs.fileno()])
        self.socket = ours

    def run(self, arguments, cwd, env, timeout) -> subprocess.CompletedProcess:
        """Runs scons; as subprocess.run does with output captured as text."""
        reads, writes = zip(os.pipe(), os.pipe())
        request = json.dumps({"arguments": arguments, "cwd": str(cwd), "env": env}).encode()
        assert len(request) < MAXIMUM
        socket.send_fds(self.socket, [request], writes)
        for fd in writes:
            os.close(fd)
        outputs = [b"", b""]
        readers = [threading.Thread(target=_read, args=(fd, outputs, place)) for place, fd in enumerate(reads)]
        for reader in readers:
            reader.start()
        pid, deadline = int(self.socket.recv(MAXIMUM)), time.monotonic() + timeout
        for reader in readers:
            reader.join(max(0, deadline - time.monotonic()))
        if any(reader.is_alive() for reader in readers):
            os.kill(pid, signal.SIGKILL)
            self.socket.recv(MAXIMUM)
            raise subprocess.TimeoutExpired(arguments, timeout)
        status = os.waitstatus_to_exitcode(int(self.socket.recv(MAXIMUM)))
        texts = [output.decode().replace("\r\n", "\n").replace("\r", "\n") for output in outputs]  # as text=True
        return subprocess.CompletedProcess(arguments, status, *texts)

    def close(self) -> None:
        """Ends the process."""
        self.socket.close()
        self.process.wait()


def _read(fd, outputs, place) -> None:
    with open(fd, "rb") as stream:
        outputs[place] = stream.read()


class Starters:
    """Two processes that fork in turn: two runs after one another have unlike hashes, as processes of their own have."""

    def __init__(self):
        self._made, self._turn = {}, itertools.cycle((1, 2))

    def run(self, arguments, cwd, env, timeout) -> subprocess.CompletedProcess:
        """Runs scons in a fork."""
        seed = next(self._turn)
        if seed not in self._made:
            self._made[seed] = Starter(seed, os.environ)
        return self._made[seed].run(arguments, cwd, env, timeout)


def serve(connection: socket.socket) -> None:
    """Forks for each request, tells its pid and its wait status, and returns in each fork, which is then set for it."""
    base = dict(os.environ)
    while True:
        request, fds, _, _ = socket.recv_fds(connection, MAXIMUM, 2)
        if not request:
            os._exit(0)
        pid = os.fork()
        if pid == 0:
            connection.close()
            return _become(json.loads(request), fds, base)
        for fd in fds:
            os.close(fd)
        connection.send(str(pid).encode())
        connection.send(str(os.waitpid(pid, 0)[1]).encode())


def _become(request, fds, base) -> None:
    """Gives this fork a run's folder, environment, arguments and output."""
    for fd, number in zip(fds, (1, 2)):
        os.dup2(fd, number)
        os.close(fd)
    os.chdir(request["cwd"])
    for name in ("PATH", "HOME", "PYTHONHASHSEED"):
        base.pop(name, None)
    os.environ.clear()
    os.environ.update(base | request["env"])
    time.tzset()
    sys.path[0] = request["cwd"]
    sys.argv[:] = [str(Path(SCons.__file__).with_name("__main__.py")), *request["arguments"]]
    # What SCons takes of its process when it is imported.
    SCons.Script._SConscript.launch_dir = os.path.abspath(os.curdir)
    SCons.Script.start_time = time.time()


if __name__ == "__main__":
    import sysconfig  # noqa: F401
    import tomllib  # noqa: F401

    import SCons.Script
    import SCons.Tool.install

    serve(socket.socket(fileno=int(sys.argv[1])))
    SCons.Script.main()
