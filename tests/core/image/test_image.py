"""OCI images: the layout's structure, what bpfman and inspektor-gadget look for, papers as referrers, fixed bytes."""

import gzip
import hashlib
import io
import json
import tarfile
import zlib
from pathlib import Path

import pytest
from ebpfbuild.arch import BY_NAME, EVERY_ARCH
from ebpfbuild.compile.object import CompileArgs, compiled
from ebpfbuild.errors import ElfError, PackageError
from ebpfbuild.image.image import ImageArgs, image
from ebpfbuild.image.layout import gzip_stored
from ebpfbuild.image.manifests import labels
from ebpfbuild.release.papers import Observed
from ebpfbuild.spec.map import MAP_TYPES
from ebpfbuild.spec.sections import SECTIONS_BY_PROGRAM_TYPE
from hypothesis import given
from hypothesis import strategies as st

# bpfman/src/types.rs: Display of MapType and ProgramType.
MAPS_OF_BPFMAN = """unspec hash array prog_array perf_event_array per_cpu_hash per_cpu_array stack_trace cgroup_array lru_hash
lru_per_cpu_hash lpm_trie array_of_maps hash_of_maps devmap sockmap cpumap xskmap sockhash cgroup_storage reuseport_sockarray
per_cpu_cgroup_storage queue stack sk_storage devmap_hash struct_ops ringbuf inode_storage task_storage bloom_filter user_ringbuf
cgrp_storage arena""".split()
PROGRAMS_OF_BPFMAN = """unspec socket_filter probe tc sched_act tracepoint xdp perf_event cgroup_skb cgroup_sock lwt_in lwt_out
lwt_xmit sock_ops sk_skb cgroup_device sk_msg raw_tracepoint cgroup_sock_addr lwt_seg6local lirc_mode2 sk_reuseport flow_dissector
cgroup_sysctl raw_tracepoint_writable cgroup_sockopt tracing struct_ops ext lsm sk_lookup syscall netfilter""".split()
SOURCE = """
#define SEC(name) __attribute__((section(name), used))
#define __uint(name, value) int (*name)[value]
#define __type(name, value) typeof(value) *name
char LICENSE[] SEC("license") = "GPL";
int counted = 1;
struct { __uint(type, 6); __uint(max_entries, 4); __type(key, int); __type(value, long); } stats SEC(".maps");
struct { __uint(type, 27); __uint(max_entries, 4096); } events SEC(".maps");
SEC("xdp") int pass(void *ctx) { return 2 + counted; }
SEC("kprobe/do_exit") int on_exit(void *ctx) { return 0; }
SEC("?uprobe") int in_user(void *ctx) { return 0; }
SEC("tc") int police(void *ctx) { return 0; }
SEC("tp_btf/sched_switch") int on_switch(void *ctx) { return 0; }
SEC("tracepoint/sched/sched_switch") int traced(void *ctx) { return 0; }
SEC("fentry/do_exit") int entered(void *ctx) { return 0; }
SEC("mine") int odd(void *ctx) { return 0; }
"""


@pytest.fixture(scope="module")
def objects(tmp_path_factory, clang):
    """The paths of one program's objects for two byte orders, by arch."""
    folder = tmp_path_factory.mktemp("objects")
    (folder / "one.bpf.c").write_text(SOURCE)
    (folder / "include").mkdir()
    found = {}
    for name in ("x86_64", "aarch64", "s390x"):
        args = CompileArgs(tuple(clang), BY_NAME[name], "one.bpf.c", f"{name}.o", "", "include")
        found[name] = folder / f"{name}.o"
        found[name].write_bytes(compiled(args, {"one.bpf.c"}, str(folder)).data)
    return {name: str(path) for name, path in found.items()}


def made(objects, kind="bpfman", **more):
    """The layout of an image."""
    return image(ImageArgs("one", "1.2", kind, "one.bpf.o", objects, summary="Counts", license="GPL-2.0-only", **more), Observed())


def blob(files, descriptor):
    """A descriptor's blob, held against it."""
    data = files[f"blobs/{descriptor['digest'].replace(':', '/')}"]
    assert descriptor["digest"] == f"sha256:{hashlib.sha256(data).hexdigest()}" and descriptor["size"] == len(data)
    return data


def index_of(files):
    """The image's index and those of the descriptors beside it, of its papers."""
    top, *papers = json.loads(files["index.json"])["manifests"]
    return json.loads(blob(files, top)), papers, top


@pytest.mark.parametrize("kind", ["bpfman", "gadget"])
def test_each_descriptor_leads_to_its_blob(objects, kind):
    files = made({name: path for name, path in objects.items() if name != "s390x"}, kind)
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    index, papers, top = index_of(files)
    assert top["annotations"] == {"org.opencontainers.image.ref.name": "1.2"}
    reached = {top["digest"]}
    for descriptor in (*index["manifests"], *papers):
        manifest = json.loads(blob(files, descriptor))
        assert (manifest["schemaVersion"], manifest["mediaType"]) == (2, descriptor["mediaType"])
        parts = [manifest["config"], *manifest["layers"]]
        assert all(blob(files, part) for part in parts)
        reached |= {descriptor["digest"], *(part["digest"] for part in parts)}
    assert {f"blobs/{digest.replace(':', '/')}" for digest in reached} == files.keys() - {"oci-layout", "index.json"}


def test_bpfman_finds_its_labels_and_one_object_in_one_layer(objects):
    files = made(objects)
    index, _, _ = index_of(files)
    assert [each["platform"] for each in index["manifests"]] == [{"architecture": go, "os": "linux"} for go in ("arm64", "s390x", "amd64")]
    for name, descriptor in zip(sorted(objects), index["manifests"], strict=True):
        manifest = json.loads(blob(files, descriptor))
        (layer,), config = manifest["layers"], json.loads(blob(files, manifest["config"]))
        assert layer["mediaType"] == "application/vnd.oci.image.layer.v1.tar+gzip"
        tar = gzip.decompress(blob(files, layer))
        assert config["rootfs"] == {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}"]}
        (entry,) = tarfile.open(fileobj=io.BytesIO(tar))
        assert (entry.name, entry.isreg(), entry.mode, entry.mtime) == ("./one.bpf.o", True, 0o644, 315532800)
        assert tarfile.open(fileobj=io.BytesIO(tar)).extractfile(entry.name).read() == Path(objects[name]).read_bytes()
        told = config["config"]["Labels"]
        assert json.loads(told["io.ebpf.programs"]) == {
            "pass": "xdp", "on_exit": "probe", "in_user": "probe", "police": "tc", "on_switch": "tracepoint", "traced": "tracepoint",
            "entered": "tracing", "odd": "unspec",
        }  # fmt: skip
        assert json.loads(told["io.ebpf.maps"]) == {"stats": "per_cpu_array", "events": "ringbuf"}
        assert manifest["annotations"]["org.opencontainers.image.licenses"] == "GPL-2.0-only"


def test_inspektor_gadget_finds_its_object_and_its_metadata(objects, tmp_path):
    (tmp_path / "gadget.yaml").write_text("name: one\n")
    two = {name: path for name, path in objects.items() if name != "s390x"}
    files = made(two, "gadget", metadata=str(tmp_path / "gadget.yaml"))
    index, _, _ = index_of(files)
    for name, descriptor in zip(sorted(two), index["manifests"], strict=True):
        manifest = json.loads(blob(files, descriptor))
        assert manifest["artifactType"] == "application/vnd.gadget.v1+binary"
        assert manifest["config"]["mediaType"] == "application/vnd.gadget.config.v1+yaml"
        assert blob(files, manifest["config"]) == b"name: one\n"
        (layer,) = manifest["layers"]
        assert layer["mediaType"] == "application/vnd.gadget.ebpf.program.v1+binary"
        assert blob(files, layer) == Path(two[name]).read_bytes()
        assert descriptor["annotations"] == manifest["annotations"] == manifest["config"]["annotations"]
    without = json.loads(blob(made(two, "gadget"), index_of(made(two, "gadget"))[0]["manifests"][0]))
    assert without["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"


def test_the_papers_are_referrers_of_the_index(objects):
    files = made(objects)
    _, papers, top = index_of(files)
    kinds = [each["artifactType"] for each in papers]
    assert kinds == ["application/vnd.in-toto+json", "application/vnd.cyclonedx+json"]
    for descriptor in papers:
        manifest = json.loads(blob(files, descriptor))
        assert manifest["artifactType"] == descriptor["artifactType"] == manifest["layers"][0]["mediaType"]
        assert manifest["subject"] == {key: top[key] for key in ("mediaType", "digest", "size")}
        assert manifest["config"]["mediaType"] == "application/vnd.oci.empty.v1+json" and blob(files, manifest["config"]) == b"{}"
    statement, bill = (json.loads(blob(files, json.loads(blob(files, each))["layers"][0])) for each in papers)
    digest = top["digest"].removeprefix("sha256:")
    assert statement["subject"] == [{"name": "one", "digest": {"sha256": digest}}]
    assert bill["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": digest}]


def test_the_same_objects_give_the_same_bytes_in_any_order(objects):
    assert made(objects) == made(dict(reversed(objects.items())))


def test_every_type_has_bpfman_s_word():
    """Those that bpfman doesn't know yet are told here, so that a new one is looked at."""
    assert set(each.replace("percpu", "per_cpu") for each in MAP_TYPES) - set(MAPS_OF_BPFMAN) == {"insn_array", "rhash"}
    words = {"kprobe": "probe", "sched_cls": "tc"}
    ours = {{"socket_filter": "socket_filter", **words}.get(kind, kind) for kind in SECTIONS_BY_PROGRAM_TYPE}
    assert ours <= set(PROGRAMS_OF_BPFMAN)


def test_every_arch_but_one_is_a_platform():
    assert [arch.name for arch in EVERY_ARCH if not arch.go] == ["armeb"]
    assert len({arch.go for arch in EVERY_ARCH}) == len(EVERY_ARCH)


@pytest.mark.parametrize("kind, arch, said", [
    ("gadget", "s390x", "inspektor-gadget runs on x86_64 and aarch64, not on s390x"), ("bpfman", "armeb", "armeb is no platform of images"),
])  # fmt: skip
def test_an_arch_without_a_platform_is_told(objects, kind, arch, said):
    with pytest.raises(PackageError, match=said):
        made({arch: objects["s390x"]}, kind)


def test_what_is_no_object_is_told():
    with pytest.raises(ElfError, match="one.bpf.o"):
        labels(b"nothing", "one.bpf.o")


@given(st.binary(max_size=300).map(lambda data: data * 700))
def test_a_stored_gzip_is_read_by_every_reader(data):
    packed = gzip_stored(data)
    assert gzip.decompress(packed) == data == zlib.decompress(packed, wbits=31)
    assert packed[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
