"""Iterators over so many objects that one read of their output doesn't reach the end."""

import ctypes
import os
import signal
import threading
import time

import bpfloader
import pytest
from bpfloader.program.iter import Run
from compiling import compile_text

AT_ONCE = 1_000_000  # objects that one read goes over: MAX_ITER_OBJECTS of kernel/bpf/bpf_iter.c
MAPPINGS = 32_000  # of a process, of the 65,530 that vm.max_map_count lets it have
PAGE = os.sysconf("SC_PAGESIZE")
COUNT = """
#include "mini_bpf.h"
struct meta { void *seq; };
struct context { struct meta *meta; void *task, *vma; };
static long (*bpf_seq_write)(void *seq, const void *data, __u32 size) = (void *)127;
__u64 mappings;
SEC("iter/task_vma")
int count(struct context *context)
{
	if (context->vma)
		mappings++;
	else	/* the end */
		bpf_seq_write(context->meta->seq, &mappings, sizeof(mappings));
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
"""


def test_a_read_that_is_to_be_repeated_is_no_end():
    """As os.fdopen takes it, which gives None, or all but the rest."""
    reader, writer = os.pipe2(os.O_NONBLOCK)

    def write():
        for part in (b"one\ntw", b"o\n"):
            time.sleep(0.05)
            os.write(writer, part)
        os.close(writer)

    thread = threading.Thread(target=write)
    thread.start()
    with Run(reader) as run:
        assert b"".join(iter(lambda: run.read(4), b"")) == b"one\ntwo\n"
    thread.join()
    with pytest.raises(OSError):
        os.fstat(reader)


def many_mappings(write: int) -> None:
    """Ends never: a process with many mappings, which says by a byte that it has them."""
    libc = ctypes.CDLL(None)
    libc.mmap.restype, libc.mmap.argtypes = ctypes.c_void_p, [ctypes.c_void_p, *[ctypes.c_size_t] * 5]
    libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    start = libc.mmap(None, 2 * MAPPINGS * PAGE, 1, 0x4022, 2**64 - 1, 0)  # PROT_READ, private, anonymous, no reserve
    for number in range(MAPPINGS):
        libc.mprotect(start + 2 * number * PAGE, PAGE, 0)
    os.write(write, b"x")
    while True:
        signal.pause()


@pytest.fixture
def crowd():
    """Processes with more than a million mappings together."""
    children, (read, write) = [], os.pipe()
    try:
        for _ in range(AT_ONCE // (2 * MAPPINGS) + 2):
            children.append(os.fork())
            if not children[-1]:
                try:
                    many_mappings(write)
                finally:
                    os._exit(1)
        os.close(write)
        for _ in children:
            assert os.read(read, 1)
        yield
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        os.close(read)


@pytest.mark.slow
def test_more_than_a_million_objects_without_output(clang, kernel, crowd):
    """The kernel ends such a read with EAGAIN, and goes on at the next one (inspektor-gadget #4942)."""
    with bpfloader.Object.open(compile_text(clang, COUNT)) as bpf:
        bpf.load()
        (link,) = bpf.attach()
        for count in (link.read(), next(link.records(bpfloader.native_endian.u64)).to_bytes(8, "little")):
            assert int.from_bytes(count, "little") > AT_ONCE
