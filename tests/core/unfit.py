"""Makes what is no regular file, to stand in the place of one."""

import os
import socket
from pathlib import Path

KINDS = ["a folder", "a named pipe", "a socket", "a device"]


def make(folder: Path, kind: str) -> Path:
    """The path of something that is no regular file."""
    path = folder / "input"
    if kind == "a folder":
        path.mkdir()
    elif kind == "a named pipe":
        os.mkfifo(path)
    elif kind == "a socket":
        with socket.socket(socket.AF_UNIX) as made:
            at = os.open(folder, os.O_PATH)  # the name of a socket has 107 bytes at most
            made.bind(f"/proc/self/fd/{at}/{path.name}")
            os.close(at)
    else:
        path.symlink_to("/dev/zero")
    return path
