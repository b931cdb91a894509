"""Writes and reads an ActionResult, the protobuf message that Bazel's remote cache keeps under /ac/.

Source: build/bazel/remote/execution/v2/remote_execution.proto of bazelbuild/remote-apis, and protobuf's encoding
(protobuf.dev/programming-guides/encoding).
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types; the groups, 3 and 4, are in no proto of these days
_OUTPUT_FILES, _EXIT_CODE, _STDOUT_RAW, _STDERR_RAW = 2, 4, 5, 7
_FOLDERS_AND_LINKS = (3, 10, 11, 12)  # output_directories, output_…_symlinks
_PATH, _DIGEST, _CONTENTS = 1, 2, 5  # of an OutputFile
_HASH, _SIZE_BYTES = 1, 2  # of a Digest
_SHA256 = re.compile("[0-9a-f]{64}")


class OutputFile(NamedTuple):
    """A file that an action made: its name, the sha256 of its bytes and how many these are.

    `contents` are its bytes where the result holds them itself, empty where they lie elsewhere.
    """

    path: str
    sha256: str
    size: int
    contents: bytes = b""


class ActionResult(NamedTuple):
    """The result of an action that succeeded: its files, and two texts of its own."""

    files: tuple[OutputFile, ...]
    stdout: bytes
    stderr: bytes


def encoded(result: ActionResult) -> bytes:
    """Returns the message's bytes, as protobuf's own libraries write them: in the fields' order, no default."""
    files = (_field(_OUTPUT_FILES, _encoded_file(file)) for file in result.files)
    texts = (_STDOUT_RAW, result.stdout), (_STDERR_RAW, result.stderr)
    return b"".join([*files, *(_field(number, text) for number, text in texts if text)])


def _encoded_file(file: OutputFile) -> bytes:
    size = _varint(_SIZE_BYTES << 3 | _VARINT) + _varint(file.size) if file.size else b""
    named = _field(_PATH, file.path.encode()) + _field(_DIGEST, _field(_HASH, file.sha256.encode()) + size)
    return named + (_field(_CONTENTS, file.contents) if file.contents else b"")


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def decoded(data: bytes) -> ActionResult:
    """Reads a message; fields that say nothing about the files, such as a server's own, are passed over.

    Raises ValueError for what is no message, and for a result with folders, links, a name twice or a failure.
    """
    files: dict[str, OutputFile] = {}
    texts = {_STDOUT_RAW: b"", _STDERR_RAW: b""}
    for number, value in _fields(data):
        if number in _FOLDERS_AND_LINKS:
            raise ValueError("holds folders or links")
        if number == _EXIT_CODE and value != 0:
            raise ValueError("is of an action that failed")
        if number == _OUTPUT_FILES:
            file = _decoded_file(_as_bytes(value))
            if file.path in files:
                raise ValueError("names a file twice")
            files[file.path] = file
        elif number in texts:
            texts[number] = _as_bytes(value)
    return ActionResult(tuple(files.values()), texts[_STDOUT_RAW], texts[_STDERR_RAW])


def _decoded_file(data: bytes) -> OutputFile:
    fields = dict(_fields(data))
    digest = dict(_fields(_as_bytes(fields.get(_DIGEST, b""))))
    sha256, size = _as_bytes(digest.get(_HASH, b"")).decode(), digest.get(_SIZE_BYTES, 0)
    if not _SHA256.fullmatch(sha256) or not isinstance(size, int) or size >> 63:
        raise ValueError("names a file without a digest")
    contents = _as_bytes(fields.get(_CONTENTS, b""))
    return OutputFile(_as_bytes(fields.get(_PATH, b"")).decode(), sha256, size, contents)


def _as_bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("has a number where a text belongs")
    return value


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yields the fields of a message: their numbers, and their values as integers or bytes. Raises ValueError."""
    place = 0
    while place < len(data):
        key, place = _read_varint(data, place)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise ValueError("is no message")
        if kind == _VARINT:
            value, place = _read_varint(data, place)
            yield number, value
            continue
        if kind == _BYTES:
            size, place = _read_varint(data, place)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError("is no message")
        if size > len(data) - place:
            raise ValueError("is no message")
        yield number, data[place : place + size]
        place += size


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    """Returns the number of up to 64 bits that begins at a place, and the place behind it. Raises ValueError."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            break
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80 and value < 1 << 64:
            return value, place
    raise ValueError("is no message")
