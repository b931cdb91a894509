"""The app as a process, and what its tests do to be seen by it."""

import os
import signal
import socket
import subprocess
import sys

from sightings import PATIENCE

V4 = "127.0.0.1"


def send(payload: bytes = b"hello") -> int:
    """Sends a datagram from this process; returns its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(payload, (V4, 9))
        return sender.getsockname()[1]


def finished(package, *arguments: str, **changes: str) -> subprocess.CompletedProcess:
    """Runs the app out of a package to its end, in this environment with changes."""
    command = [sys.executable, "-m", "socket_tracker", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(package), **changes}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)


def stop(process: subprocess.Popen, number: int = signal.SIGTERM) -> tuple[str, str]:
    """Stops the app by a signal; returns what it still writes to stdout and stderr."""
    process.send_signal(number)
    return process.communicate(timeout=PATIENCE)
