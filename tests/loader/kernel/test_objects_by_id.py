"""Programs, maps and links of the system by id, and what the kernel tells of them."""

import json
import os
import shutil
import subprocess

import pytest
from bpfloader.errors import CallError
from bpfloader.kernel.objects import (
    fd_by_id,
    ids,
    link_infos,
    link_type,
    opened,
    program_info,
    program_name,
    program_type,
)


def test_a_program_is_as_its_object_says(loaded):
    program = loaded.progs.emit
    info = program_info(program.fd)
    assert (info.name, info.type, info.uid, info.gpl_compatible) == ("emit", "sched_cls", os.getuid(), True)
    assert info.instructions * 8 == info.xlated_size > 0 and info.memlock % 4096 == 0 < info.memlock
    assert loaded.maps.events.info.id in info.map_ids and loaded.maps.slots.info.id not in info.map_ids
    assert info.id in ids("prog") and set(info.map_ids) <= set(ids("map")) and program_name(info.id) == "emit"
    assert info.verified_insns and not info.recursion_misses  # Linux 5.16


def test_it_is_as_bpftool_says(loaded):
    bpftool = shutil.which("bpftool") or pytest.skip("bpftool is not installed")
    info = program_info(loaded.progs.emit.fd)
    done = subprocess.run([bpftool, "-j", "prog", "show", "id", str(info.id)], capture_output=True, text=True)
    said = json.loads(done.stdout)
    assert (said["name"], said["type"], said["tag"]) == (info.name, info.type, info.tag)
    assert (said["bytes_xlated"], said.get("bytes_memlock")) == (info.xlated_size, info.memlock)
    assert tuple(said["map_ids"]) == info.map_ids


def test_links_by_id(loaded):
    with loaded.progs.on_enter.attach() as link:
        (found,) = (each for each in link_infos() if each.id == link.id)
        assert found.prog_id == program_info(loaded.progs.on_enter.fd).id and link_type(found.type) == "raw_tracepoint"
    assert link.id not in ids("link")


def test_what_has_gone_is_told(loaded):
    number = program_info(loaded.progs.emit.fd).id
    loaded.destroy()
    with pytest.raises(CallError) as caught, opened("prog", number):
        pass
    assert caught.value.errno_name == "ENOENT" and program_name(number) == "?"
    with pytest.raises(CallError):
        fd_by_id("map", 0xFFFFFFFF)


def test_numbers_that_are_younger_than_the_loader_stay_numbers():
    assert (program_type(1), program_type(0), program_type(999)) == ("socket_filter", "0", "999")
    assert (link_type(11), link_type(999)) == ("tcx", "999")
