"""Stacks that programs record, named by function."""

import ctypes
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
