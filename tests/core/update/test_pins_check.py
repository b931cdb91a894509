"""Every source of every pin fetched again, past the store: the same bytes, others, or none."""

import pytest
from artifact_world import FILES, HEADER, POOL, digest
from archives import deb, tar
from faultserver import body, status

from ebpfbuild.update.check import DIFFERS, SAME, UNPINNED, UNREACHABLE, check_pins


@pytest.fixture
def check(world):
    """A function: checks the world's pins; by key and source's last part, what came of each."""

    def run(**options):
        pins = [world.chain.libbpf, *world.chain.vmlinux.values()]
        found = list(check_pins(pins, world.options(**options), world.heard))
        return {(each.key, each.source.rpartition("/")[2]): each for each in found}

    return run


def outcomes(found):
    return {key: each.outcome for key, each in found.items()}


ALL = {("libbpf", "libbpf.tar.gz"): SAME, ("libbpf", POOL.rpartition("/")[2]): SAME, ("vmlinux.x86_64", "vmlinux.h"): SAME,
       ("vmlinux.x86_64.alternate[0]", POOL.rpartition("/")[2]): SAME, ("vmlinux.arm", "vmlinux.h"): UNREACHABLE}


def test_each_source_is_asked_although_the_store_has_the_bytes(world, check):
    world.header(), world.tree()
    asked = len(world.server.seen)
    assert outcomes(check()) == ALL
    assert len(world.server.seen) > asked and not list(world.cache.glob("check-*"))
    (world.folder / "vendor").mkdir()
    (world.folder / "vendor/vmlinux.h").write_bytes(b"local\n")
    assert outcomes(check()) == ALL | {("vmlinux.arm", "vmlinux.h"): SAME}


def test_other_bytes_are_told_with_what_came_and_kept(world, check):
    world.header(), world.tree()
    world.server.say(body(HEADER[:-1] + b"x"), path="/vmlinux.h")
    other = deb(tar({"./usr/include/vmlinux.h": b"x", **{f"./usr/include/bpf/{name}": data for name, data in FILES.items()}}))
    world.server.say(body(other), path=f"/debian/{POOL}")
    world.server.say(status(404), path="/libbpf.tar.gz")
    found = check()
    assert outcomes(found) == ALL | {("vmlinux.x86_64", "vmlinux.h"): DIFFERS, ("vmlinux.x86_64.alternate[0]", POOL.rpartition("/")[2]): DIFFERS,
                                     ("libbpf", "libbpf.tar.gz"): UNREACHABLE}
    differs = found["vmlinux.x86_64", "vmlinux.h"]
    (kept,) = [line.partition(" ")[2].strip() for line in differs.details if line.startswith("kept")]
    assert open(kept, "rb").read() == HEADER[:-1] + b"x"
    assert "HTTP 404" in found["libbpf", "libbpf.tar.gz"].details[0]


def test_a_pin_without_a_digest_and_what_is_offline_are_told(world, check):
    world.pins(f'sha256 = "{digest(HEADER)}"', "", f'url = "http://{world.server.host}/vm', f'url = "https://{world.server.host}/vm')
    found = outcomes(check(offline=True))
    assert found["vmlinux.x86_64", "vmlinux.h"] == UNPINNED and found["libbpf", "libbpf.tar.gz"] == UNREACHABLE
