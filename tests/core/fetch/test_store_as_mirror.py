"""A mirror that is laid out as the store is: files by their sha256, out of any archive."""

import pytest
from artifact_world import FILES, HEADER, OTHER, TREE, digest
from faultserver import body

from ebpfbuild.errors import FetchError, MismatchError


@pytest.fixture
def mirrored(world):
    """A world whose origin is down, and whose mirror has the pins by digest."""
    world.down()
    world.down("/libbpf.tar.gz")
    world.down("/debian/pool/main/t/tune/tune-dev_1_amd64.deb")
    listing = "".join(f"{digest(FILES[name])}  {name}\n" for name in sorted(FILES)).encode()
    assert digest(listing) == TREE
    for data in (HEADER, OTHER, listing, *FILES.values()):
        world.put(f"sha256/{digest(data)}", data)
    return world


def files(tree):
    return {name: path.read_bytes() for name, path in tree.files.items()}


def test_a_header_and_a_tree_come_from_it_without_a_connection(mirrored):
    mirror = str(mirrored.mirror)
    assert mirrored.header(mirror=mirror, offline=True).path.read_bytes() == HEADER
    tree = mirrored.tree(mirror=mirror, offline=True)
    assert files(tree) == FILES and tree.via == f"the mirror {mirror}"
    assert mirrored.server.seen == []


def test_a_web_server_that_has_the_folder_serves_it(mirrored):
    for path in (mirrored.mirror / "sha256").iterdir():
        mirrored.server.say(body(path.read_bytes()), path=f"/m/sha256/{path.name}")
    mirror = mirrored.server.url("/m")
    assert mirrored.header(mirror=mirror).path.read_bytes() == HEADER
    assert files(mirrored.tree(mirror=mirror)) == FILES
    assert not [path for path in mirrored.server.seen if not path.startswith("/m/")]


def test_the_member_of_an_archive_needs_no_archive_there(mirrored):
    (mirrored.mirror / "sha256" / digest(HEADER)).unlink()
    header = mirrored.header(mirror=str(mirrored.mirror))
    assert header.alternate and header.path.read_bytes() == OTHER


@pytest.mark.parametrize("name", [digest(HEADER), TREE, digest(FILES["bpf_helpers.h"])])
def test_other_bytes_there_are_refused(mirrored, name):
    mirrored.put(f"sha256/{name}", b"anything else\n" * 40)
    with pytest.raises(MismatchError, match="is not the pinned") as caught:
        mirrored.header(mirror=str(mirrored.mirror))
        mirrored.tree(mirror=str(mirrored.mirror))
    assert name in str(caught.value)


def test_a_tree_with_a_file_missing_there_names_it(mirrored):
    (mirrored.mirror / "sha256" / digest(FILES["bpf_helpers.h"])).unlink()
    with pytest.raises(FetchError) as caught:
        mirrored.tree(mirror=str(mirrored.mirror), offline=True)
    assert any("is not there" in detail for detail in caught.value.details)
