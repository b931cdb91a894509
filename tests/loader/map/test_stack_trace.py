"""Stacks that programs record, named by function."""

import ctypes
import errno
import os

import bpfloader
import pytest


def test_a_stack_is_traced_and_told_by_name(using):
    bpf = using("traces of_task", "on_enter")
    bpf.bss.target_pid = os.getpid()
    with bpf.progs.on_enter.attach():
        os.getppid()
    traces, stack_id = bpf.maps.traces, bpf.data.stack_id
    assert stack_id >= 0 and stack_id in traces and stack_id in list(traces)
    addresses = traces[stack_id]
    assert addresses and all(addresses) and list(traces.walk(stack_id)) == list(addresses)
    names = traces.symbols(stack_id)
    assert len(names) == len(addresses) and any("syscall" in name or "sys_enter" in name for name in names), names
    assert traces.symbols(stack_id, offset=False) == tuple(name.split("+")[0] for name in names)
    with pytest.raises(bpfloader.MapError, match="add them in a program"):
        traces[stack_id] = addresses
    traces.clear()
    assert stack_id not in traces and len(traces) == 0


def test_a_user_stack_is_told_by_name(using):
    bpf = using("traces of_task", "on_enter")
    bpf.bss.target_pid, bpf.bss.stack_flags = os.getpid(), 1 << 8  # BPF_F_USER_STACK
    getppid = ctypes.CDLL(None).getppid
    with bpf.progs.on_enter.attach():
        getppid()
        stack_id = bpf.data.stack_id
    traces = bpf.maps.traces
    names = traces.user_symbols(stack_id, os.getpid())
    assert len(names) == len(traces[stack_id]) and names[0].startswith("getppid+0x"), names
    assert traces.user_symbols(stack_id, os.getpid(), offset=False)[0] == "getppid [libc.so.6]"
    assert traces.user_symbols(stack_id, 2**22 + 1) == tuple(map(hex, traces[stack_id]))


@pytest.mark.parametrize(("number", "why"), [
    (errno.EFAULT, "there was no such stack"), (errno.EEXIST, "raise max_entries"), (errno.EPERM, "bpf-helpers"),
])  # fmt: skip
def test_an_id_that_is_an_error_is_told(using, number, why):
    """bpf_get_stackid gives -EFAULT for most idle samples: a profiler's loop goes on (bcc #526, #3389)."""
    traces = using("traces of_task", "on_enter").maps.traces
    for stack_id in (-number, 2**32 - number):  # as a __s32, and as a __u32
        name = errno.errorcode[number]
        with pytest.raises(KeyError, match=f"{stack_id} is no stack but an error of bpf_get_stackid .{name}: .*{why}"):
            traces[stack_id]
        assert stack_id not in traces and traces.get(stack_id) is None
        frames = () if number == errno.EFAULT else (f"[stack lost: {name}]",)
        assert traces.symbols(stack_id) == traces.user_symbols(stack_id, os.getpid()) == frames
    for missing in (0, 2**31, 2**32 - 4096):
        with pytest.raises(KeyError, match=f"^{missing}$"):
            traces.symbols(missing)


@pytest.fixture
def by_build_id(opened_with):
    """The object with a map of stacks by build ids, of 32 frames."""
    bpf = opened_with("traces of_task", "on_enter")
    bpf.maps.traces.map_flags |= 1 << 5  # BPF_F_STACK_BUILD_ID
    bpf.maps.traces.value_size = 32 * 32
    bpf.load()
    return bpf


def test_a_user_stack_by_build_ids_has_the_names_of_one_by_addresses(by_build_id, using):
    plain, getppid, told = using("traces of_task", "on_enter"), ctypes.CDLL(None).getppid, []
    for bpf in (by_build_id, plain):
        bpf.bss.target_pid, bpf.bss.stack_flags = os.getpid(), 1 << 8  # BPF_F_USER_STACK
        with bpf.progs.on_enter.attach():
            getppid()
            stack_id = bpf.data.stack_id
        told.append(bpf.maps.traces.user_symbols(stack_id, os.getpid()))
    assert told[0][0].startswith("getppid+0x") and told[0][:5] == told[1][:5]
    frames = by_build_id.maps.traces[by_build_id.data.stack_id]
    assert all(frame.build_id is None or len(frame.build_id) == 20 for frame in frames) and frames[0].build_id
    gone = by_build_id.maps.traces.user_symbols(by_build_id.data.stack_id, 2**22 + 1)
    assert gone[0] == f"{frames[0].offset:#x} [build id {frames[0].build_id.hex()}]"
    with pytest.raises(bpfloader.MapError, match="traces holds build ids, no addresses; leave BPF_F_STACK_BUILD_ID out"):
        by_build_id.maps.traces.symbols(by_build_id.data.stack_id)


def test_frames_by_build_id_are_named_after_the_process_has_ended(by_build_id):
    symbols, getppid = bpfloader.UserSymbols(), ctypes.CDLL(None).getppid
    by_build_id.bss.stack_flags = 1 << 8
    end = os.pipe()
    child = os.fork()
    if not child:
        os.read(end[0], 1)
        getppid()
        os._exit(0)
    by_build_id.bss.target_pid = child
    symbols.remember(child)
    with by_build_id.progs.on_enter.attach():
        os.write(end[1], b"x")
        os.waitpid(child, 0)
    for each in end:
        os.close(each)
    stacks = [symbols.symbols_by_build_id(frames, child, offset=False) for frames in by_build_id.maps.traces.values()]
    assert any("getppid [libc.so.6]" in names for names in stacks), stacks
    assert symbols.symbols_by_build_id([(None, 4096)], child) == ("0x1000",)
