"""Writes an OCI image layout: a folder of blobs by digest, with an index. Its bytes depend on nothing else.

Source: opencontainers/image-spec v1.1, image-layout.md, manifest.md, image-index.md, descriptor.md.
"""

import hashlib
import json
import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY = "application/vnd.oci.empty.v1+json"
NAMES = "org.opencontainers.image"  # the beginning of predefined annotations
INDEX_FILE = "index.json"
LAYOUT = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
_BLOCK = 0xFFFF  # bytes of a stored block of DEFLATE at most (RFC 1951, 3.2.4)

Descriptor = dict[str, Any]


class Blobs:
    """The blobs of a layout, by their place in it."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def add(self, media_type: str, data: bytes, **more: Any) -> Descriptor:
        """Keeps a blob, and returns its descriptor with `more` in it; what is empty is left out."""
        digest = hashlib.sha256(data).hexdigest()
        self.files[f"blobs/sha256/{digest}"] = data
        facts = {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}
        return facts | {key: value for key, value in more.items() if value}

    def add_json(self, media_type: str, facts: Mapping[str, Any], **more: Any) -> Descriptor:
        """Keeps a blob of JSON, and returns its descriptor."""
        return self.add(media_type, to_json(facts), **more)

    def add_manifest(self, facts: Mapping[str, Any], **more: Any) -> Descriptor:
        """Keeps an image manifest, and returns its descriptor."""
        whole = {"schemaVersion": 2, "mediaType": MANIFEST, **{key: value for key, value in facts.items() if value}}
        return self.add_json(MANIFEST, whole, **more)

    def add_referrer(self, kind: str, paper: bytes, title: str, subject: Descriptor) -> Descriptor:
        """Keeps a paper about the image `subject`, as registries find it: a manifest that names the image."""
        layer = self.add(kind, paper, annotations={f"{NAMES}.title": title})
        about = {key: subject[key] for key in ("mediaType", "digest", "size")}
        config = self.add(EMPTY, b"{}")
        facts = {"artifactType": kind, "config": config, "layers": [layer], "subject": about}
        return self.add_manifest(facts, artifactType=kind)

    def layout(self, manifests: Iterable[Descriptor]) -> dict[str, bytes]:
        """Returns all files of the layout by their place; its index has these descriptors."""
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(manifests)}
        return {**LAYOUT, INDEX_FILE: to_json(index), **self.files}


def to_json(facts: Mapping[str, Any]) -> bytes:
    """Returns JSON with sorted keys and no blanks."""
    return json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()


def gzip_stored(data: bytes) -> bytes:
    """Returns a gzip file (RFC 1952) that holds the bytes as they are: compressors differ by their versions."""
    blocks = [data[start : start + _BLOCK] for start in range(0, len(data), _BLOCK)] or [b""]
    out = [b"\x1f\x8b\x08\0\0\0\0\0\0\xff"]  # deflate, no flags, no time, of no known system
    for number, block in enumerate(blocks, 1):
        out.append(struct.pack("<BHH", number == len(blocks), len(block), len(block) ^ _BLOCK) + block)
    return b"".join([*out, struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)])
