"""Contexts and verdicts of programs that BPF_PROG_TEST_RUN takes, as linux/bpf.h and linux/pkt_cls.h lay them out."""

from __future__ import annotations

from ..codec.base import NATIVE
from ..codec.c_types import CTypes, Enum
from ..codec.struct import Struct, struct

c = CTypes(NATIVE)


class XdpAction(Enum):
    """enum xdp_action of linux/bpf.h"""

    XDP_ABORTED = 0
    XDP_DROP = 1
    XDP_PASS = 2
    XDP_TX = 3
    XDP_REDIRECT = 4


class TcAction(Enum):
    """TC_ACT_* of linux/pkt_cls.h"""

    TC_ACT_UNSPEC = -1
    TC_ACT_OK = 0
    TC_ACT_RECLASSIFY = 1
    TC_ACT_SHOT = 2
    TC_ACT_PIPE = 3
    TC_ACT_STOLEN = 4
    TC_ACT_QUEUED = 5
    TC_ACT_REPEAT = 6
    TC_ACT_REDIRECT = 7
    TC_ACT_TRAP = 8


class SkAction(Enum):
    """enum sk_action of linux/bpf.h"""

    SK_DROP = 0
    SK_PASS = 1


@struct(24)
class XdpMd(Struct):
    """struct xdp_md, 24 bytes.

    For a run, `data` is how many bytes at the packet's front are metadata; `data_end` is the packet's size, which `run`
    fills in. `rx_queue_index` is a queue of `ingress_ifindex`, an interface.
    """

    data = c.u32 @ 0
    data_end = c.u32 @ 4
    data_meta = c.u32 @ 8
    ingress_ifindex = c.u32 @ 12
    rx_queue_index = c.u32 @ 16
    egress_ifindex = c.u32 @ 20


@struct(192)
class SkBuff(Struct):
    """struct __sk_buff, 192 bytes: of traffic control, socket filters and cgroup_skb.

    A run takes mark, priority, ifindex, ingress_ifindex, cb, tstamp, wire_len, gso_segs, gso_size and hwtstamp, and
    refuses others that aren't zero.
    """

    len = c.u32 @ 0
    pkt_type = c.u32 @ 4
    mark = c.u32 @ 8
    queue_mapping = c.u32 @ 12
    protocol = c.u32 @ 16
    vlan_present = c.u32 @ 20
    vlan_tci = c.u32 @ 24
    vlan_proto = c.u32 @ 28
    priority = c.u32 @ 32
    ingress_ifindex = c.u32 @ 36
    ifindex = c.u32 @ 40
    tc_index = c.u32 @ 44
    cb = c.array(c.u32, 5) @ 48
    hash = c.u32 @ 68
    tc_classid = c.u32 @ 72
    data = c.u32 @ 76
    data_end = c.u32 @ 80
    napi_id = c.u32 @ 84
    data_meta = c.u32 @ 140
    tstamp = c.u64 @ 152
    wire_len = c.u32 @ 160
    gso_segs = c.u32 @ 164
    gso_size = c.u32 @ 176
    tstamp_type = c.u8 @ 180
    hwtstamp = c.u64 @ 184


@struct(72)
class BpfSkLookup(Struct):
    """struct bpf_sk_lookup, 72 bytes: the packet that a socket is looked up for.

    A run sets `cookie`, which isn't zero if the program chose a socket. It takes either IPv4 or IPv6 addresses, by
    `family`.
    """

    cookie = c.u64 @ 0
    family = c.u32 @ 8
    protocol = c.u32 @ 12
    remote_ip4 = c.ipv4 @ 16
    remote_ip6 = c.ipv6 @ 20
    remote_port = c.be16 @ 36
    local_ip4 = c.ipv4 @ 40
    local_ip6 = c.ipv6 @ 44
    local_port = c.u32 @ 60
    ingress_ifindex = c.u32 @ 64
