"""A step's result for the tests of caches, and its bytes as other clients would send them."""

import hashlib

from ebpfbuild.step_cache.action_result import ActionResult as Result
from ebpfbuild.step_cache.action_result import OutputFile
from ebpfbuild.step_cache.cache import Made, with_said
from remote_execution import ActionResult

INPUTS = '{"format": 1, "inputs": "all of a step"}'
KEY = hashlib.sha256(INPUTS.encode()).hexdigest()
MADE = Made({"object.o": b"\x7fELF" * 500, "vmlinux.h": b"struct sock;\n" * 90}, ("a notice",), "a.c:1:1: warning: w\n")
NAMES = tuple(MADE.files)


def sha256(data: bytes) -> str:
    """The digest of bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def passes(files) -> None:
    """The check of a step that takes any bytes."""


def result(said: bytes | None = None, **changes) -> bytes:
    """The ActionResult of MADE, sealed as it is then; `changes` set fields of it, or of a file by its name."""
    message = ActionResult(stdout_raw=INPUTS.encode())
    for name, data in MADE.files.items():
        digest = {"hash": sha256(data), "size_bytes": len(data)}
        message.output_files.add(**{"path": name, "digest": digest, **changes.pop(name.partition(".")[0], {})})
    for field, value in changes.items():
        setattr(message, field, value)
    files = tuple(OutputFile(file.path, file.digest.hash, file.digest.size_bytes) for file in message.output_files)
    sealed = with_said(Result(files, message.stdout_raw, b""), MADE.notices, MADE.warnings).stderr
    message.stderr_raw = sealed if said is None else said
    return message.SerializeToString()


def inlined(**contents):
    """The ActionResult of MADE with its files' contents, or others."""
    held = {name.partition(".")[0]: {"contents": data} for name, data in MADE.files.items()}
    return result(**held | {name: {"contents": data} for name, data in contents.items()})
