"""Writes and reads in-toto statements (v1) with an SLSA provenance predicate (v1).

Sources: in-toto/attestation spec/v1/statement.md and resource_descriptor.md; slsa.dev/spec/v1.0/provenance. No time and
no number of the run gets in, so that equal builds have equal statements.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..errors import PaperError
from .materials import Material

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:scons-bpf:package:1"
BUILDER = "urn:scons-bpf:builder:1"
_SHA256 = re.compile(r"[0-9a-f]{64}")


class BuildDefinition(NamedTuple):
    """How a package was made: parameters from outside and from toolchain.toml, inputs, and notes about inputs by name.

    `builder` is the digest over the code that made what is packed; empty where it isn't told.
    """

    external: Mapping[str, Any]
    internal: Mapping[str, Any]
    materials: Iterable[Material]
    notes: Mapping[str, Mapping[str, Any]] = {}
    builder: str = ""


class InTotoStatement(NamedTuple):
    """A statement as it was read: the sha256 of its subjects by name, its inputs by name, parameters from outside."""

    subjects: Mapping[str, str]
    dependencies: Mapping[str, Mapping[str, Any]]
    external: Mapping[str, Any]


def write_statement(subjects: Mapping[str, str], made: BuildDefinition) -> bytes:
    """Returns the bytes of a statement about subjects, which are sha256 by name: JSON with sorted keys."""
    builder: dict[str, Any] = {"id": BUILDER}
    if made.builder:
        builder["builderDependencies"] = [{"name": "ebpfbuild", "digest": {"dirHash": made.builder}}]
    facts = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": sha256}} for name, sha256 in sorted(subjects.items())],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": made.external,
                "internalParameters": made.internal,
                "resolvedDependencies": [_descriptor(each, made.notes.get(each.key, {})) for each in made.materials],
            },
            "runDetails": {"builder": builder},
        },
    }
    return to_json(facts)


def to_json(facts: Mapping[str, Any]) -> bytes:
    """Returns the bytes of a paper's JSON: sorted keys, ASCII, a line each."""
    return (json.dumps(facts, indent=1, sort_keys=True) + "\n").encode()


def read_statement(data: bytes, where: str) -> InTotoStatement:
    """Reads a statement of this project's. Raises PaperError for anything else."""
    facts = from_json(data, where)
    try:
        definition = facts["predicate"]["buildDefinition"]
        kinds = facts["_type"], facts["predicateType"], definition["buildType"]
        if kinds != (STATEMENT, PREDICATE, BUILD_TYPE):
            raise ValueError(kinds)
        subjects = {each["name"]: each["digest"]["sha256"] for each in facts["subject"]}
        dependencies = {each["name"]: each for each in definition["resolvedDependencies"]}
        external = definition["externalParameters"]
        whole = len(subjects) == len(facts["subject"]) and len(dependencies) == len(definition["resolvedDependencies"])
        digests = all(isinstance(each, str) and _SHA256.fullmatch(each) for each in subjects.values())
        forms = isinstance(external, dict) and all(map(_is_descriptor, dependencies.values()))
        if not (subjects and whole and digests and forms and all(isinstance(name, str) for name in subjects)):
            raise ValueError(subjects)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise not_ours(where, "statement") from None
    return InTotoStatement(subjects, dependencies, external)


def from_json(data: bytes, where: str) -> dict[str, Any]:
    """Reads a paper's JSON object. Raises PaperError."""
    try:
        facts = json.loads(data, object_pairs_hook=_each_once)
    except (ValueError, RecursionError):
        raise PaperError("is no JSON", where=where, fix="copy the release again") from None
    if not isinstance(facts, dict):
        raise PaperError("is no JSON object", where=where, fix="copy the release again")
    return facts


def not_ours(where: str, kind: str) -> PaperError:
    """Makes the refusal of a paper that this project's build can't have written."""
    return PaperError(f"is no {kind} that this build writes", where=where, fix="copy the release again")


def _is_descriptor(each: Mapping[str, Any]) -> bool:
    """Returns True if an entry has what _descriptor gives it. Raises KeyError, TypeError, AttributeError else."""
    digest, about = each.get("digest", {}), each["annotations"]
    texts = [each["name"], each["uri"], about["kind"], about.get("version", ""), about.get("arch", "")]
    return isinstance(digest, dict) and all(isinstance(text, str) for text in (*texts, *digest.values()))


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Makes an object of its members. Of two of one name, readers take the one or the other, so there may be no two."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _descriptor(each: Material, notes: Mapping[str, Any]) -> dict[str, Any]:
    about = {key: value for key, value in (("version", each.version), ("arch", each.arch)) if value}
    facts: dict[str, Any] = {"name": each.key, "uri": each.uri}
    facts |= {"digest": dict(each.digest)} if each.digest else {}
    return facts | {"annotations": {"kind": each.kind, **about, **notes}}
