"""Keeps the last messages that libbpf prints, per thread, for the errors."""

from __future__ import annotations

import ctypes
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from .library import library
from .prototypes import PRINTER

KEPT_MESSAGES = 200
KEPT_HEAD, KEPT_TAIL = 1 << 20, 15 << 20  # bytes of a message; the verifier's log of a long program has hundreds of MB
WARN = 0  # enum libbpf_print_level: LIBBPF_WARN, LIBBPF_INFO, LIBBPF_DEBUG

_thread = threading.local()
_libc = ctypes.CDLL(None)
# On each of the seven arches a va_list parameter is one machine word: a pointer to the list (x86-64, s390x: array that
# decays; aarch64: struct above 16 bytes, passed by reference), the pointer itself (riscv64, powerpc64le, loongarch64)
# or a struct that holds only it (arm). So it is handed on as it came, once, since reading it uses it up.
_libc.vasprintf.argtypes = (ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p, ctypes.c_void_p)
_libc.free.argtypes = (ctypes.c_void_p,)


def _on_message(level: int, template: int, arguments: int | None) -> int:
    """Formats one message into this thread's log; libbpf ignores the result.

    A load brings a thousand messages, one for each relocation, and few of them are warnings.
    """
    if level > WARN:
        return 0
    messages = getattr(_thread, "messages", None)
    if messages is None:
        return 0
    text = ctypes.c_void_p()
    size = _libc.vasprintf(ctypes.byref(text), template, arguments)
    if size < 0 or text.value is None:
        return 0
    messages.append(_message_bytes(text.value, size).decode("utf-8", "replace"))
    _libc.free(text)
    return 0


def _message_bytes(text: int, size: int) -> bytes:
    """Returns a message's bytes; of a very long one, a verifier's log, the first and the last lines."""
    if size <= KEPT_HEAD + KEPT_TAIL:
        return ctypes.string_at(text, size)
    head = ctypes.string_at(text, KEPT_HEAD).rpartition(b"\n")[0]
    tail = ctypes.string_at(text + size - KEPT_TAIL, KEPT_TAIL).partition(b"\n")[2]
    return b"%s\n[%d bytes of the log are left out here]\n%s" % (head, size - len(head) - len(tail), tail)


_printer = PRINTER(_on_message)  # kept alive: libbpf calls it until the process ends


@contextmanager
def captured() -> Iterator[deque[str]]:
    """Collects the warnings that libbpf prints in this thread inside the `with`, oldest first, instead of stderr."""
    library().libbpf_set_print(_printer)
    outer, _thread.messages = getattr(_thread, "messages", None), deque(maxlen=KEPT_MESSAGES)
    try:
        yield _thread.messages
    finally:
        _thread.messages = outer
