"""LPM tries: the longest prefix that covers an address."""

import pytest

PACKET = bytes(64)


def test_a_program_finds_the_network_that_was_put(using, maps_skel):
    bpf = using("routes", "route")
    routes = bpf.maps.routes
    routes[routes.key("2001:db8::/32")] = 1
    routes[routes.key("2001:db8:300::/40")] = 2
    routes[routes.key("10.0.0.0/8")] = 3
    for number, found in ((2, 1), (3, 2)):
        bpf.bss.number = number
        assert bpf.progs.route.test_run(PACKET).value == found
    assert routes[routes.key("10.9.8.7")] == 3 and routes.key("11.0.0.1") not in routes
    assert sorted(map(str, map(routes.network, routes))) == ["10.0.0.0/8", "2001:db8:300::/40", "2001:db8::/32"]
    assert routes.key("10.0.0.0/8") == maps_skel.Prefix(104, bytes(10) + b"\xff\xff\x0a\0\0\0")
    with pytest.raises(ValueError, match="has host bits set"):
        routes.key("10.0.0.1/8")
