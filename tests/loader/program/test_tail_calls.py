"""Program arrays of pinned links: the kernel empties them when no process and no pin holds them any more."""

import time
import warnings

import bpfloader
import pytest
from compiling import compile_text

SOURCE = """
#include "mini_bpf.h"
static long (*bpf_tail_call)(void *ctx, void *array, __u32 index) = (void *)12;
__u64 hits, misses;
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} stages SEC(".maps");

SEC("raw_tp/sys_enter")
int first(void *ctx)
{
	bpf_tail_call(ctx, &stages, 0);
	__atomic_fetch_add(&misses, 1, __ATOMIC_RELAXED);
	return 0;
}

SEC("raw_tp")
int second(void *ctx)
{
	__atomic_fetch_add(&hits, 1, __ATOMIC_RELAXED);
	return 0;
}

SEC("raw_tp/sys_enter")
int alone(void *ctx)
{
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
"""


@pytest.fixture
def chain(clang, kernel):
    with bpfloader.Object.open(compile_text(clang, SOURCE)) as bpf:
        bpf.load()
        bpf.maps["stages"][0] = bpf.progs["second"]
        yield bpf


def goes(program: int) -> bool:
    """Waits until a program has gone, which the kernel takes out of the array some time after the end."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            bpfloader.open_program(program).close()
        except bpfloader.CallError:
            return True
        time.sleep(0.01)
    return False


def test_an_array_that_would_be_emptied_is_told(chain, bpffs):
    """Nobody sees a tail call that fails (cilium/ebpf #577, xdp-tools #377)."""
    link = chain.progs["first"].attach()
    with pytest.warns(RuntimeWarning, match="first is pinned, and the program array stages, by which it calls others, isn't"):
        link.pin(bpffs / "first")
    assert (bpffs / "first").exists()
    callee = chain.progs["second"].info.id
    chain.destroy()
    with bpfloader.open_link(bpffs / "first") as kept:
        assert kept.attached and goes(callee)
        kept.detach()


@pytest.mark.parametrize("programs", ["first alone", "alone"])
def test_what_is_pinned_or_calls_nothing_is_not(chain, bpffs, programs):
    chain.maps["stages"].pin(bpffs / "stages")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in programs.split():
            chain.progs[name].attach().pin(bpffs / name)
            assert (bpffs / name).exists()


def test_a_start_with_pins_pins_its_arrays(clang, kernel, bpffs):
    with warnings.catch_warnings(), bpfloader.Object.open(compile_text(clang, SOURCE)) as bpf:
        warnings.simplefilter("error")
        bpf.attach(pin=bpffs / "chain")
        bpf.maps["stages"][0] = bpf.progs["second"]
    with bpfloader.Object.open(compile_text(clang, SOURCE)) as bpf:
        bpf.attach(pin=bpffs / "chain")
        assert bpf.maps["stages"][0]
        for link in bpf.links:
            link.unpin()
