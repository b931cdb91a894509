"""Public reports about other readers of rings, made again here."""

import bpfloader
import pytest
from compiling import compile_text
from ring_records import PACKET

LARGE = """#include "mini_bpf.h"
static long (*bpf_perf_event_output)(void *ctx, void *map, __u64 flags, void *data, __u64 size) = (void *)25;
struct { __uint(type, 4); __uint(key_size, 4); __uint(value_size, 4); } events SEC(".maps");
struct { __uint(type, 2); __uint(max_entries, 1); __type(key, __u32); __type(value, char[70000]); } room SEC(".maps");
char LICENSE[] SEC("license") = "GPL";
#define SEND(name, size) SEC("tc") int name(void *ctx) { \\
	__u32 zero = 0; \\
	void *data = bpf_map_lookup_elem(&room, &zero); \\
	return data ? -bpf_perf_event_output(ctx, &events, 0xffffffffULL, data, size) : 1; }
"""
SIZES = (100, 65516, 65525, 65532, 65564, 69999)  # of 65517 to 65524 the kernel leaves nothing
LARGE += "\n".join(f"SEND(send_{size}, {size})" for size in SIZES)


@pytest.mark.parametrize("way", ["events", "batch", "raw", "bcc"])
def test_a_perf_record_beyond_64_kib_is_told_and_those_behind_it_are_read(clang, kernel, way):
    """The kernel cuts it in silence (cilium/ebpf #1633)."""
    with bpfloader.Object.open(compile_text(clang, LARGE)) as bpf:
        bpf.maps.events.size = 1 << 20
        bpf.load()
        events, lengths = bpf.maps.events, []
        events.open_perf_buffer(lambda _cpu, data, _size: lengths.append(len(data)))
        read = {"events": lambda: list(events.events(timeout=0)), "batch": events.batch, "raw": events.raw}
        for size in SIZES:
            assert bpf.progs[f"send_{size}"].test_run(PACKET).value == 0
            assert bpf.progs.send_100.test_run(PACKET).value == 0
            if size > 65516:
                with pytest.raises(bpfloader.RecordError) as caught:
                    bpf.perf_buffer_consume() if way == "bcc" else read[way]()
                said = "events: a record of more than 65516 bytes, which the kernel has cut; "
                assert str(caught.value) == said + "send at most 65516 bytes, packet included"
            if way == "bcc":
                bpf.perf_buffer_consume()
            else:
                lengths = [len(data) for data in read[way]()]
            assert lengths == [length for length in (size, 100) if length <= 65516]
            lengths.clear()


@pytest.mark.parametrize("name", ["ring", "perf"])
@pytest.mark.parametrize("way", ["consume", "bcc"])
def test_a_callback_that_makes_the_program_send_more_comes_to_an_end(rings, name, way):
    """As a callback does that opens files, in a tool that traces open (iovisor/bcc #3822 is a slow one)."""
    buffer, calls = getattr(rings.maps, name), []
    produce = rings.progs.produce if name == "ring" else rings.progs.produce_perf

    def callback(*_):
        calls.append(1)
        assert len(calls) < 10_000, "it never ends"
        produce.test_run(PACKET)

    consume = lambda: buffer.consume(callback)  # noqa: E731
    if way == "bcc":
        buffer.open_ring_buffer(callback) if name == "ring" else buffer.open_perf_buffer(callback)
        consume = rings.ring_buffer_consume if name == "ring" else rings.perf_buffer_consume
    produce.test_run(PACKET, repeat=5)
    consume()
    assert len(calls) == 5
    consume()
    assert len(calls) == 10 and len(buffer.batch()) == 5
