"""Messages between a build and the process of its sandbox: lists of words by name, over a socket of this machine.

A word goes behind its length of four bytes, a list as its name, its own length and its words, and all behind their
length. json costs the process's start more than all else that it imports.
"""

from __future__ import annotations

from sys import byteorder

TYPE_CHECKING = False  # typing's costs, helper.py says why
if TYPE_CHECKING:
    from _socket import socket

Message = dict[str, list[str]]

MAX_MESSAGE = 64 << 20
TREE = "tree "  # what the name of a tree's list begins with


def send(connection: socket, message: Message) -> None:
    """Sends a message."""
    words = [word for name, found in message.items() for word in (name, str(len(found)), *found)]
    data = b"".join(map(_counted, (word.encode("utf-8", "surrogateescape") for word in words)))
    connection.sendall(_counted(data))


def receive(connection: socket) -> Message:
    """Receives a message. Raises OSError where the other end closed or sends nonsense."""
    length = int.from_bytes(exactly(connection, 4), byteorder)
    if length > MAX_MESSAGE:
        raise OSError(0, "too long", "request")
    words = _words(exactly(connection, length))
    message, at = {}, 0
    try:
        while at < len(words):
            end = at + 2 + int(words[at + 1])
            message[words[at]] = words[at + 2 : end]
            at = end
    except (IndexError, ValueError):
        raise OSError(0, "is no message", "request") from None
    return message


def exactly(connection: socket, length: int) -> bytes:
    """Receives so many bytes. Raises OSError where fewer come."""
    data = b""
    while len(data) < length:
        part = connection.recv(min(length - len(data), 1 << 20))
        if not part:
            raise OSError(0, "ended early", "request")
        data += part
    return data


def _counted(data: bytes) -> bytes:
    return len(data).to_bytes(4, byteorder) + data


def _words(data: bytes) -> list[str]:
    words, at = [], 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], byteorder)
        words.append(data[at + 4 : end].decode("utf-8", "surrogateescape"))
        at = end
    return words
