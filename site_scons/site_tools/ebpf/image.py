"""BpfImage(name, version, objects): an OCI image of one program's objects, for bpfman or inspektor-gadget."""

import hashlib
import os
import re
import shutil
from pathlib import Path

import SCons.Script

from ebpfbuild.arch import arch_named

from .arguments import single, string
from .command_targets import add_to_alias
from .errors import StopError, user_error
from .nodes import Output
from .package import made_here, packing_inputs, proofs_to_pack, provenance_by_object
from .papers import observed, paper_facts, paper_inputs
from .project_files import file_nodes, objects_of
from .step import builder, output_path, step_args
from .variants import in_variant, original

KINDS = ("bpfman", "gadget")
# As registries take repositories' names and tags (opencontainers/distribution-spec, "Pulling manifests").
_NAME = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")


class Layout(Output):
    """The index of a layout: `-c` removes the folder that it stands for."""

    __slots__ = ()

    def remove(self):
        """Removes the folder; returns True if there was one."""
        folder = os.path.dirname(self.get_abspath())
        there = os.path.isdir(folder) and not os.path.islink(folder)
        if there:
            shutil.rmtree(folder)
        return there

    def size_of_all(self):
        """Returns the bytes of all files of the layout. Raises OSError."""
        walked = os.walk(os.path.dirname(self.get_abspath()))
        return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in walked for name in names)


def bpf_image(env, name, version, objects, kind="bpfman", metadata=None, summary="", license=""):
    """Returns the node of build/images/<name>/index.json, which stands for the whole layout in that folder.

    objects   what BpfObject or BpfProgram returned, or the objects of one program in folders named after their arch
    kind      "bpfman" or "gadget", for inspektor-gadget, which takes x86_64 and aarch64 alone
    metadata  the gadget.yaml of a gadget
    license   the objects', as SPDX names it
    """
    name, version, kind, summary, license = (string(env, each) for each in (name, version, kind, summary, license))
    nodes = objects_of(env, objects)
    env = in_variant(env, nodes)
    metadata = single(env, metadata, "metadata")
    extra = [original(file) for file in file_nodes(env, metadata, "metadata")]
    by_arch = _checked(name, version, kind, nodes, extra)
    session, target = env["EBPF"], env.File(output_path(env, "images", name, "index.json"))
    proofs = proofs_to_pack(env, nodes, "BpfImage")
    own = [node for node in nodes if node in session.compiled]
    compiled, about = [session.compiled[node] for node in own], {"name": name, "version": version, "kind": kind}
    args = {**about, "summary": summary, "license": license, "file": nodes[0].name}
    known = _known(session, target)
    session.repair([target], stale=not _intact(session, target, known))
    before = (known or {}).get("arches", ())
    facts = step_args(args=args, objects=nodes, by_arch=by_arch, proofs=proofs, metadata=extra, before=before)
    IMAGE(env, target=target, source=[*nodes, *proofs, *extra], **facts)
    inputs = packing_inputs(env, compiled, "image/image.py", **paper_inputs(env, own), **args)
    target.add_dependency([inputs, *(each.full for each in compiled if each.full)])
    add_to_alias(env, name, [target])
    add_to_alias(env, "programs", [target])
    if SCons.Script.GetOption("clean"):
        env.Clean(target, target.dir)
    return target


def _checked(name, version, kind, nodes, metadata):
    """Returns the objects by arch. Raises StopError for what can't be an image."""
    if not (_NAME.fullmatch(name) and _TAG.fullmatch(version)):
        what = f"BpfImage: {name}:{version} is no name and tag of an image"
        raise StopError(f"{what}; take small letters and digits, parted by . _ or -")
    if kind not in KINDS:
        raise StopError(f"BpfImage: kind={kind!r} is none; take one of {', '.join(KINDS)}")
    if metadata and kind != "gadget":
        raise StopError('BpfImage: metadata is a gadget\'s; take kind="gadget", or leave it out')
    by_arch = {user_error(arch_named, node.dir.name, node.path).name: node for node in nodes}
    if not nodes or len(by_arch) < len(nodes) or len({node.name for node in nodes}) > 1:
        what = f"got {', '.join(node.path for node in nodes) or 'no object'}, and an image is of one program"
        raise StopError(f"BpfImage: {what}; hand it what one BpfObject or BpfProgram gave")
    from ebpfbuild.image.image import check_platforms

    user_error(check_platforms, kind, sorted(by_arch))
    return by_arch


def _intact(session, target, known):
    """Returns True if the layout is as its step left it: the index, and each blob that the ledger remembers of it."""
    folder, index = target.dir.get_abspath(), target.get_abspath()
    return known and all(session.ledger.intact(os.path.join(folder, each), by=index) for each in known["files"])


def _image(target, source, env):
    from ebpfbuild.image.image import ImageArgs, image
    from ebpfbuild.package.folder import unpack

    session, step, (node,) = env["EBPF"], env["EBPF_STEP_ARGS"], target
    made, provenance = made_here(env), provenance_by_object(env)
    args = ImageArgs(
        **step.args,
        objects={arch: each.abspath for arch, each in step.by_arch.items()},
        metadata=step.metadata[0].abspath if step.metadata else "",
        provenance={arch: provenance[each] for arch, each in step.by_arch.items() if each in provenance},
        facts=paper_facts(env, made),
    )
    files = image(args, observed(env, made))
    index = files.pop("index.json")
    folder = Path(node.dir.get_abspath())
    if lost := [arch for arch in step.before if arch not in step.by_arch]:
        what = f"no longer has {', '.join(lost)}, which the image before it had under the same tag"
        session.reporter.notice(f"{node.path} {what}; before you push it, build with ARCH= of them all")
    unpack(folder, {**files, "index.json": index}, {})  # the index last: it stands for the whole
    for place in files:
        session.ledger.built(str(folder / place), node.get_abspath())
    known = {"files": sorted(files), "arches": sorted(step.by_arch)}
    session.ledger.fact(_layout_key(hashlib.sha256(index).hexdigest()), lambda: known)


def _known(session, target):
    """Returns what the ledger knows of the layout that lies there, None where it doesn't."""
    try:
        return session.ledger.recall(_layout_key(session.ledger.digest(target.get_abspath())))
    except OSError:
        return None


def _layout_key(sha256):
    return f"layout {sha256}"


IMAGE = builder(_image, "IMAGE    $TARGET", None, "packed", kind=Layout)
METHODS = {"BpfImage": bpf_image}
