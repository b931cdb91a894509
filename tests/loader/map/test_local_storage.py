"""Values that belong to a task, a cgroup, an inode or a socket."""

import os
import socket
import tempfile
from pathlib import Path

import bpfloader
import pytest


def test_a_task_keeps_what_a_program_counts(using):
    bpf = using("traces of_task", "on_enter")
    tasks, me = bpf.maps.of_task, os.getpid()
    assert me not in tasks and tasks.get(me, 5) == 5
    bpf.bss.target_pid = me
    with bpf.progs.on_enter.attach():
        os.getppid()
    counted = tasks[me]
    assert counted > 0
    with pytest.raises(bpfloader.MapError, match="EEXIST"):
        tasks.put(me, 1, bpfloader.NOEXIST)
    tasks[me] = 3
    pidfd = os.pidfd_open(me)
    with open(pidfd, "rb", buffering=0) as process:
        assert tasks[process] == 3
    del tasks[me]
    with pytest.raises(KeyError):
        del tasks[me]
    with pytest.raises(bpfloader.MapError, match=r"of_task: can't open 4194305 \((ESRCH|EINVAL).*give a pid"):
        tasks[4194305]  # PID_MAX_LIMIT + 1
    with pytest.raises(TypeError):
        list(tasks)


def test_a_cgroup_keeps_what_a_program_counts(using, cgroup):
    bpf = using("of_cgroup", "on_enter_cgroup")
    bpf.bss.target_pid = os.getpid()
    ours = cgroup + next(line for line in Path("/proc/self/cgroup").read_text().split() if line.startswith("0::"))[3:]
    with bpf.progs.on_enter_cgroup.attach():
        os.getppid()
    assert bpf.maps.of_cgroup[ours] > 0
    del bpf.maps.of_cgroup[ours]
    assert ours not in bpf.maps.of_cgroup
    with pytest.raises(bpfloader.MapError, match="ENOENT.*give a cgroup that is there"):
        bpf.maps.of_cgroup["/no/such/cgroup"]


def test_a_cgroup_keeps_what_programs_attached_to_it_count(using, cgroup, maps_skel):
    """The older storage: keys are a cgroup's inode and a kind of program, and only attaching adds one."""
    bpf = using("of_cgroup_before of_cgroup_per_cpu", "on_egress")
    whole, each = bpf.maps.of_cgroup_before, bpf.maps.of_cgroup_per_cpu
    assert dict(whole) == {} == dict(each)
    with bpf.progs.on_egress.attach(cgroup), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(3):
            sender.sendto(b"x", ("127.0.0.1", 9))
        ((key, count),) = whole.items()
        assert key.cgroup_inode_id == os.stat(cgroup).st_ino and count >= 3
        assert sum(each[key]) >= 3 and list(each) == [key]
        whole[key] = 1000
        sender.sendto(b"x", ("127.0.0.1", 9))
        assert whole[key] > 1000
        with pytest.raises(bpfloader.MapError, match="of_cgroup_before: bpf_map_delete_elem failed .EINVAL"):
            del whole[key]


def test_an_inode_keeps_a_value(using, tmp_path):
    files = using("of_inode").maps.of_inode
    path = tmp_path / "kept"
    path.write_text("x")
    files[path] = 12
    with path.open() as file:
        assert files[file] == files[file.fileno()] == files[str(path)] == 12
    assert tmp_path not in files
    with pytest.raises(bpfloader.LayoutError, match=r"of_inode: 1.5 is no file"):
        files[1.5]


def test_a_socket_keeps_what_a_program_wrote(using, cgroup, maps_skel):
    bpf = using("of_socket", "on_socket")
    with socket.socket() as before, bpf.progs.on_socket.attach(cgroup), socket.socket() as after:
        assert before not in bpf.maps.of_socket
        assert bpf.maps.of_socket[after] == maps_skel.Pair(7, os.getpid())
        bpf.maps.of_socket[before.fileno()] = maps_skel.Pair(1, 2)
        assert bpf.maps.of_socket[before].high == 2
    with tempfile.TemporaryFile() as file, pytest.raises(bpfloader.MapError, match="ENOTSOCK"):
        bpf.maps.of_socket[file]
