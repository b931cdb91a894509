"""Fence, a memory barrier, which Python lacks."""

from __future__ import annotations

import threading


class Fence:
    """A full memory barrier: no access to memory crosses the call, in either direction.

    The kernel's side of a ring uses smp_load_acquire and smp_store_release; Python has neither, and arm64 and others
    reorder plain accesses. A lock has both: its release keeps earlier accesses before it, its acquire keeps later ones
    after it, and the two stay in program order themselves. On arm64 they are STLXR (or STADDL) and LDAXR (or CASA),
    which the architecture orders by [L]; po; [A] (RCsc: Arm ARM, "barrier-ordered-before"), so nothing crosses in
    either direction, not even a load before an earlier store. CPython's lock is glibc's or musl's sem_post and
    sem_trywait up to 3.13, and a sequentially consistent compare-and-swap (PyMutex) from 3.14 on; the C compiler can't
    see through either call. On x86 both are locked instructions. The other order, acquire and then release, would let
    accesses slip in from both sides and pass one another.

    Nothing rests on the GIL, which a free-threaded Python lacks and which orders nothing against the kernel: the
    buffer's lock keeps threads of this process apart. Each access is one aligned word and atomic: memoryview reads and
    writes an item by a memcpy of its size, which compilers make one instruction. Only reading the producer's position
    after writing the consumer's needs store-load order, so that a record that came in between is seen; this barrier,
    the buffer's lock and, before a wait, epoll's own lock provide it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def __call__(self) -> None:
        self._lock.acquire(False)  # fails, since it is held, unless an interrupt came between the next two lines
        self._lock.release()
        self._lock.acquire(False)
