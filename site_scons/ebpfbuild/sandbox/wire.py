"""Messages between a build and the process of its sandbox: JSON behind its length, over a socket of this machine."""

from __future__ import annotations

import json
import socket
import struct

TYPE_CHECKING = False  # helper.py says why not typing's
if TYPE_CHECKING:
    from typing import Any

MAX_MESSAGE = 64 << 20


def send(connection: socket.socket, message: dict[str, Any]) -> None:
    """Sends a message behind its length."""
    data = json.dumps(message).encode()
    connection.sendall(struct.pack("=I", len(data)) + data)


def receive(connection: socket.socket) -> dict[str, Any]:
    """Receives a message. Raises OSError where the other end closed or sends nonsense."""
    (length,) = struct.unpack("=I", exactly(connection, 4))
    if length > MAX_MESSAGE:
        raise OSError(0, "too long", "request")
    message: dict[str, Any] = json.loads(exactly(connection, length))
    return message


def exactly(connection: socket.socket, length: int) -> bytes:
    """Receives so many bytes. Raises OSError where fewer come."""
    data = b""
    while len(data) < length:
        part = connection.recv(min(length - len(data), 1 << 20))
        if not part:
            raise OSError(0, "ended early", "request")
        data += part
    return data
