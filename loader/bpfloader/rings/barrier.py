"""A memory barrier, which Python has no name for."""

from __future__ import annotations

import threading


class Fence:
    """A full barrier: what was read or written before the call stays before it, what follows stays after it.

    The kernel's side of a ring uses smp_load_acquire and smp_store_release; Python has neither, and arm64 and others
    reorder plain accesses. A lock has both: its release keeps what is before it before, its acquire keeps what is after
    it after, and the two are in program order themselves: on arm64 they are STLXR (or STADDL) and LDAXR (or CASA), which
    the architecture orders by [L]; po; [A] (RCsc: Arm ARM, "barrier-ordered-before"), so nothing crosses in either
    direction, a store before and a load after included. CPython's lock is glibc's or musl's sem_post and
    sem_trywait up to 3.13, and a compare-and-swap that is sequentially consistent (PyMutex) from 3.14 on; the C
    compiler can't see through either call. On x86 both are locked instructions. The other order, acquire and then
    release, would let accesses slip in from both sides and pass one another.

    None of it rests on the GIL, which isn't there in a free-threaded Python and orders nothing against the kernel in any:
    threads of this process are kept apart by the reader's lock. The accesses themselves are whole, one aligned word
    each: memoryview reads and writes an item by a memcpy of its size, which compilers make one instruction. Only
    reading the producer's position after the consumer's was written needs the store before the load, so that a record
    which came in between is seen; it has that from this barrier, the reader's lock and, before a wait, epoll's own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def __call__(self) -> None:
        self._lock.acquire(False)  # it is held, unless an interrupt came between the two lines below
        self._lock.release()
        self._lock.acquire(False)
