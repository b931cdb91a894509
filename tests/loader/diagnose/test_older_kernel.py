"""A refusal on a kernel that is older than what the object uses says what needs which kernel, and where."""

import subprocess

import bpfloader
import pytest
from bpfloader.kernel import host
from bpfloader.diagnose import refusal
from bpfloader.diagnose.older_kernel import newer_needs, newer_note
from compiling import FLAGS, TESTDATA

SOURCE = """
#include "mini_bpf.h"
static void *(*bpf_ringbuf_reserve)(void *ring, __u64 size, __u64 flags) = (void *)131;
static long (*bpf_loop)(__u32 times, void *callback, void *context, __u64 flags) = (void *)181;
char LICENSE[] SEC("license") = "GPL";
__u64 number;
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } events SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); }
slots SEC(".maps");
#line 70 "tracker.bpf.c"
__noinline int helped(void *ctx)
{
	return __sync_fetch_and_add(&number, 2);
}
#line 93 "tracker.bpf.c"
SEC("raw_tp/sys_enter") int atomic(void *ctx) {
	return __sync_fetch_and_add(&number, 1);
}
SEC("raw_tp/sys_enter") int plain(void *ctx)
{
	return 0;
}
SEC("raw_tp/sys_enter") int calling(void *ctx)
{
	return helped(ctx);
}
SEC("raw_tp/sys_enter") int several(void *ctx)
{
	bpf_loop(1, ctx, ctx, 0);
	return __sync_val_compare_and_swap(&number, 1, 2) + !!bpf_ringbuf_reserve(&events, 8, 0);
}
SEC("raw_tp/sys_enter") int wild(__u64 *ctx)
{
	return __sync_fetch_and_add(&number, 4) + *(volatile int *)ctx[0];
}
"""
ATOMIC = "atomic instructions beyond an addition, as `tracker.bpf.c:94` makes one, came with 5.12"


@pytest.fixture(scope="session")
def data(clang) -> bytes:
    command = [*clang, *FLAGS, "-x", "c", "-c", "-", "-o", "-"]
    done = subprocess.run(command, input=SOURCE.encode(), cwd=TESTDATA, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture
def running(monkeypatch):
    """A function: makes a release the running kernel's."""
    return lambda release: monkeypatch.setattr(host, "kernel_release", lambda: release)


def said(program: str, *log: str, number: int = 22) -> str:
    """Returns libbpf's messages about a program that the verifier refuses with this log."""
    text = "".join(f"{line}\n" for line in log)
    return (
        f"libbpf: prog '{program}': BPF program load failed: Invalid argument\n"
        f"libbpf: prog '{program}': -- BEGIN PROG LOAD LOG --\n{text}processed 3 insns (limit 1000000)\n"
        f"-- END PROG LOAD LOG --\nlibbpf: prog '{program}': failed to load: -{number}\n"
    )


def refused(data: bytes, messages: str, number: int = 22) -> str:
    error = bpfloader.CallError("bpf_object__load failed", errno=number)
    return str(refusal.load_refused("x", error, [messages], data=data)).splitlines()[0]


@pytest.mark.parametrize(
    "words", ["BPF_XADD uses reserved fields", "BPF_STX uses reserved fields", "unknown opcode db",
              "BPF_ATOMIC uses invalid atomic opcode 01"],
)  # fmt: skip
def test_the_words_of_a_kernel_that_does_not_know_an_instruction(data, running, words):
    running("5.10.0-46-cloud-amd64")
    line = refused(data, said("atomic", "3: (db) lock *(u64 *)(r2 +0) += r1", words))
    assert line.endswith(f": {words}, at tracker.bpf.c:94; {ATOMIC}; this is Linux 5.10.0-46-cloud-amd64")


def test_a_reason_of_its_own_comes_first(data, running):
    running("5.10.0")
    line = refused(data, said("atomic", "R1 invalid mem access 'map_value_or_null'"))
    assert "check the pointer against NULL first, on every path to this line; what it uses is newer than this" in line
    assert line.endswith(f"{ATOMIC}; this is Linux 5.10.0")


@pytest.mark.parametrize("release", ["5.12.0", "5.15.0-91-generic", "6.18.44", "7.3-cloud-amd64", "", "unknown"])
def test_a_kernel_that_has_it_all_or_that_nobody_can_date_is_not_blamed(data, running, release):
    running(release)
    assert "came with" not in refused(data, said("atomic", "BPF_XADD uses reserved fields"))


def test_needs_of_other_programs_dont_count(data, running):
    running("5.10.0")
    assert "came with" not in refused(data, said("plain", "BPF_XADD uses reserved fields"))


def test_needs_of_called_functions_count(data, running):
    running("5.10.0")
    line = refused(data, said("calling", "BPF_XADD uses reserved fields"))
    assert "atomic instructions beyond an addition, as `tracker.bpf.c:72` makes one, came with 5.12" in line


def test_several_are_named_by_their_kernels_the_newest_first(data, running):
    running("5.4.0")
    line = newer_note(newer_needs(data, "x", ["several"], []))
    assert line == (
        "the helper bpf_loop, as `tracker.bpf.c:106` calls it, came with 5.17, "
        "atomic instructions beyond an addition, as `tracker.bpf.c:107` makes one, came with 5.12, "
        "the helper bpf_ringbuf_reserve, as `tracker.bpf.c:107` calls it, came with 5.8; this is Linux 5.4.0"
    )


def test_a_refused_map_and_a_refused_object(data, running):
    running("5.4.0")
    line = refused(data, "libbpf: map 'events': failed to create: Invalid argument(-22)\n")
    assert "a map of type ringbuf (events) came with 5.8; this is Linux 5.4.0" in line
    line = refused(data, "libbpf: map 'slots': failed to create: Invalid argument(-22)\n")
    assert "came with" not in line
    line = refused(data, "libbpf: failed to load object\n")
    assert "the helper bpf_loop, as `tracker.bpf.c:106` calls it, came with 5.17" in line and "and 1 more; this" in line


def test_a_feature_is_named_once(data, running, monkeypatch):
    from bpfloader.diagnose import verifier_log

    running("5.4.0")
    monkeypatch.setattr(verifier_log, "kernel_release", host.kernel_release)
    line = refused(data, said("several", "9: (85) call bpf_ringbuf_reserve#131", "invalid func unknown#131"))
    assert line.endswith("the helper bpf_ringbuf_reserve came with Linux 5.8, this is 5.4.0")


@pytest.mark.parametrize("spoil", [lambda data: data[:200], lambda data: b"no object", lambda data: data[:-900]])
def test_bytes_that_cannot_be_read_change_nothing(data, running, spoil):
    running("5.10.0")
    messages = said("atomic", "BPF_XADD uses reserved fields")
    assert refused(spoil(data), messages) == refused(b"", messages)


def test_an_object_is_asked_for_its_own_bytes(data, running, kernel):
    opened = bpfloader.Object.open(data)
    opened.select(["wild"])
    running("5.10.0")
    with opened, pytest.raises(bpfloader.VerifierError) as caught:
        opened.load()
    assert caught.value.fix.endswith(
        "; what it uses is newer than this kernel, too: atomic instructions beyond an addition, as `tracker.bpf.c:111` "
        "makes one, came with 5.12; this is Linux 5.10.0"
    )


def test_a_reason_without_a_hint_is_left_to_the_log(data, running):
    running("5.10.0")
    line = refused(data, said("atomic", "words that nobody has a hint for"))
    assert "; read the end of its log" in line and line.endswith(f"too: {ATOMIC}; this is Linux 5.10.0")


@pytest.mark.parametrize("section, since", [("kprobe.multi/x", "5.18"), ("iter/task", "5.8"), ("tp/a/b", "")])
def test_a_way_to_attach_that_came_later(running, section, since):
    running("5.4.0")
    error = bpfloader.CallError("bpf_program__attach failed", errno=95)
    made = str(refusal.attach_refused("it", error, [], section))
    kind = section.split("/")[0]
    assert (f'SEC("{kind}") came with {since}; this is Linux 5.4.0' in made) if since else "came with" not in made
