"""Explains a refused XDP program by what its interface has: the driver, the MTU, another program (net/core/dev.c)."""

from __future__ import annotations

import errno
from typing import Optional

from ..errors import COMMAND, Explanation
from ..kernel.holders import holders
from ..kernel.netlink import XdpProgramId, interface_name, xdp_programs
from ..suggest import suggestion

Fault = Optional[Explanation]  # None if the fault isn't known
GENERIC = 'attach with mode="generic", which needs no driver'
# What drivers refuse with, beside ERANGE and EOPNOTSUPP, where native XDP doesn't go with the interface's settings.
DRIVER_REFUSALS = (errno.EINVAL, errno.ENOMEM, errno.ENOSPC, errno.EIO)


def xdp_fault(number: int, target: str, interface: int, mode: str) -> Fault:
    """Explains a refused XDP program; returns None where its interface is not at fault.

    `target` is the section's text after `xdp/`, `mode` that of the request, empty for the kernel's choice.
    """
    name = interface_name(interface)
    if number == errno.EINVAL and target in ("devmap", "cpumap"):
        what = f'SEC("xdp/{target}") runs for the entries of a {target}, not at an interface'
        return Explanation(what, 'put its descriptor into the value of an entry, or write SEC("xdp")')
    if number in (errno.EBUSY, errno.EEXIST):
        return _other_program(number, interface, name)
    if number == errno.EOPNOTSUPP and mode == "offload":
        return Explanation(f"the driver of {name} takes no programs into its hardware", 'attach with mode="native"')
    if mode == "generic":
        return None
    if number == errno.EOPNOTSUPP:
        return Explanation(f"the driver of {name} has no native XDP", GENERIC)
    if number == errno.ERANGE:
        what = f"the MTU of {name}, or of its peer, is too large for native XDP"
        return Explanation(what, f'{GENERIC}; or lower the MTU, or write SEC("xdp.frags")')
    if number in DRIVER_REFUSALS:
        what = f"the driver of {name} refuses native XDP with the settings that it has"
        return Explanation(what, f"{GENERIC}; or see `dmesg` for MTU, LRO (ethtool -K {name} lro off) and queues")
    return None


def _other_program(number: int, interface: int, name: str) -> Fault:
    """Explains that another program excludes this one, and whose it is."""
    try:
        there = [each for each in xdp_programs() if each.interface == interface]
    except OSError:
        return None
    if not there:
        if number == errno.EEXIST:
            what = f"a device above {name}, such as a bond, has an XDP program"
            return Explanation(what, "detach that one, or attach to the device above")
        return None
    named = ", ".join(_described(each) for each in there)
    detach = f"{COMMAND} detach --xdp {name}"
    if number == errno.EEXIST:
        modes = f"{name} has an XDP program in {there[0].mode} mode, and no other mode beside it"
        return Explanation(f"{modes}: {named}", f"detach it first: {detach}")
    return Explanation(
        f"another program is attached there: {named}", f"detach it first: {detach}; or run both by libxdp's dispatcher"
    )


def _described(xdp: XdpProgramId) -> str:
    """Names a program by its id, and the processes that hold it: none holds what netlink or a pin keeps."""
    owners = holders().programs.get(xdp.program, [])
    who = ", ".join(f"{name} ({pid})" for pid, name in owners[:3]) or "no process: put there by netlink, or pinned"
    return f"the program {xdp.program}, {xdp.mode}, held by {who}"


def missing_interface(number: int, index: int) -> Fault:
    """Explains that there is no interface with that index; returns None where there is one."""
    if number not in (errno.EINVAL, errno.ENODEV, errno.ENOENT):
        return None
    from socket import if_indextoname, if_nameindex

    try:
        if_indextoname(index)
    except OSError:
        names = ", ".join(f"{number} {name}" for number, name in if_nameindex())
        return Explanation(f"there is no interface with the index {index}", f"there are {names}")
    return None


def no_interface(name: str) -> str:
    """Returns the next step for an interface that isn't there."""
    from socket import if_nameindex

    names = [each for _, each in if_nameindex()]
    plain = name.partition("@")[0]
    if plain != name and plain in names:
        return f"write {plain}: behind the @ `ip link` shows its peer"
    return suggestion(name, names, f"there are {', '.join(names)}")
