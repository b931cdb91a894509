"""Writes the manifest of one platform's object, as bpfman and as inspektor-gadget read it.

Sources: bpfman's docs/developer-guide/shipping-bytecode.md, bpfman/src/oci_utils/image_manager.rs and the names of
types in bpfman/src/types.rs; inspektor-gadget's docs/spec/oci.md and pkg/oci/build.go.
"""

import hashlib
from collections.abc import Mapping

from ..package.tar import build_tar
from ..spec.object import ObjectSpec
from .layout import CONFIG, EMPTY, LAYER, Blobs, Descriptor, gzip_stored, to_json

PROGRAMS, MAPS = "io.ebpf.programs", "io.ebpf.maps"
GADGET = "application/vnd.gadget.v1+binary"
GADGET_OBJECT = "application/vnd.gadget.ebpf.program.v1+binary"
GADGET_METADATA = "application/vnd.gadget.config.v1+yaml"
GADGET_PLATFORMS = ("amd64", "arm64")
# bpfman's words for program types, where they aren't libbpf's; tp_btf it calls a tracepoint, by its section.
_PROGRAM_TYPES = {"kprobe": "probe", "sched_cls": "tc", "": "unspec"}


def bpfman_manifest(blobs: Blobs, file: str, data: bytes, go_arch: str, annotations: Mapping[str, str]) -> Descriptor:
    """Adds the image of an object for bpfman: one layer with the object at its root, labels for programs and maps.

    Raises ElfError, BtfError for bytes that are no object.
    """
    tar = build_tar(".", {file: data}, {})
    layer = blobs.add(LAYER, gzip_stored(tar))
    config = {
        "architecture": go_arch,
        "os": "linux",
        "config": {"Labels": labels(data, file)},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}"]},
    }
    facts = {"config": blobs.add_json(CONFIG, config), "layers": [layer], "annotations": dict(annotations)}
    return blobs.add_manifest(facts, platform={"architecture": go_arch, "os": "linux"})


def gadget_manifest(
    blobs: Blobs, data: bytes, go_arch: str, annotations: Mapping[str, str], metadata: bytes = b""
) -> Descriptor:
    """Adds the image of an object for inspektor-gadget: the object itself as its layer, gadget.yaml as its config."""
    config = blobs.add(GADGET_METADATA, metadata) if metadata else blobs.add(EMPTY, b"{}")
    about = dict(annotations)
    facts = {
        "artifactType": GADGET,
        "config": {**config, "annotations": about} if about else config,
        "layers": [blobs.add(GADGET_OBJECT, data)],
        "annotations": about,
    }
    return blobs.add_manifest(facts, platform={"architecture": go_arch, "os": "linux"}, annotations=about)


def labels(data: bytes, file: str) -> dict[str, str]:
    """Returns bpfman's labels of an object: the types of its programs and of its maps by name, as JSON objects.

    Global data are no maps there. Raises ElfError, BtfError.
    """
    spec = ObjectSpec.from_bytes(data, file)
    programs = {each.name: _program_type(each.section, each.type) for each in spec.programs}
    maps = {each.name: each.type_name.replace("percpu", "per_cpu") for each in spec.maps}
    return {PROGRAMS: to_json(programs).decode(), MAPS: to_json(maps).decode()}


def _program_type(section: str, kind: str) -> str:
    if section.removeprefix("?").startswith("tp_btf"):
        return "tracepoint"
    return _PROGRAM_TYPES.get(kind, kind)
