"""Warns of program arrays that a pinned link's program calls, and that won't outlast this process."""

from __future__ import annotations

import contextlib

from ..errors import CallError, warn
from ..kernel.map_type import MapType
from ..kernel.objects import info_by_fd, opened, program_info
from ..libbpf.structs import LinkInfo, MapInformation
from ..text import text_of


def warn_of_unpinned_arrays(link: int, program: str) -> None:
    """Warns of each unpinned program array of a link's program.

    The kernel empties one when its last descriptor and pin are gone, though programs still use it
    (bpf_map_put_uref): their tail calls then fail, and go on behind the call. Says nothing without CAP_SYS_ADMIN.
    """
    arrays = {}
    with contextlib.suppress(CallError), opened("prog", info_by_fd(link, LinkInfo()).prog_id) as fd:
        for number in program_info(fd).map_ids:
            with contextlib.suppress(CallError), opened("map", number) as each:
                info = info_by_fd(each, MapInformation())
                if info.type == MapType.PROG_ARRAY:
                    arrays[number] = text_of(info.name)
    if not arrays:
        return
    from ..kernel.bpffs import pins

    pinned = {each.id for each in pins() if each.kind == "map"}
    for number, name in arrays.items():
        if number not in pinned:
            what = f"{program} is pinned, and the program array {name}, by which it calls others, isn't"
            warn(f"{what}: the kernel empties it when this process ends; pin that map first")
