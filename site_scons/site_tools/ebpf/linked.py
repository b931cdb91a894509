"""BpfObject of several sources: an object for each, shared by all that link it, and libbpf's linker over them."""

import hashlib
import os
from functools import partial
from pathlib import Path
from types import SimpleNamespace

from SCons.Script import GetOption

from ebpfbuild.errors import LinkError
from ebpfbuild.files import make_room, write_file

from .cached_compile import cacheable_object, proof_of
from .caching import Cacheable, build_name, inputs_of, inputs_text
from .command_targets import register_linked
from .compiling import known_paths, libbpf_read, uapi_read
from .errors import StopError
from .libbpf import install, pinned_tree
from .nodes import Input
from .proof import keep_proof, minimized, parts_of, proof_node, proofs_wanted, prove_in_step, prover
from .step import builder, step_args


def object_node(env, given):
    """Returns the node of an object that BpfObject declared, where that is `given`; else None, and it is a source."""
    node = env.File(given) if str(given).endswith(".o") else None
    return node if node in env["EBPF"].compiled else None


def part_name(files, source, key, is_taken):
    """Returns the name of the object of a source that is to be linked, whose path stays in it.

    `files` are the session's ProjectFiles. `key` is all that shapes the object; where `is_taken(name)`, by one of
    another key, a digest of it is added.
    """
    place = files.made_place(source.path)  # outside of the project
    path = os.path.relpath(source.path, place) if place else source.path
    name = f"parts/{path.removesuffix('.c').removesuffix('.bpf')}"
    return f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:8]}" if is_taken(name) else name


def of_arch(session, node, given, arch):
    """Returns those of the objects given for `node` that are made for an arch.

    Each has to be: an object that is left out of one arch's link would be missing there without a word. Raises
    StopError.
    """
    own = [part for part in given if session.compiled[part].arch is arch]
    names = {_without_arch(session, part) for part in own}
    for part in given:
        if _without_arch(session, part) not in names:
            what = f"{part.path} is not made for {arch.name}"
            raise StopError(f"{node.path}: {what}; make it for that arch as well, or link each arch's own: arch=")
    return own


def _without_arch(session, node):
    """Returns an object's path without its arch's folder: what its objects of all arches have in common."""
    before, _, behind = f"/{node.path}".rpartition(f"/{session.compiled[node].arch.name}/")
    return before, behind


def declare_linked(env, node, arch, parts):
    """Declares the step that links objects into one, and returns its node.

    Raises StopError for parts that can't be linked.
    """
    session = env["EBPF"]
    if len(set(parts)) < len(parts):
        twice = next(part for part in parts if parts.count(part) > 1)
        raise StopError(f"{node.path}: {_source(session, twice)} is named twice; name it once")
    full = next(filter(None, (session.compiled[part].full for part in parts)), None)
    session.repair([node])
    linker, libraries = _pinned_linker(env)
    session.compiled[node] = SimpleNamespace(parts=parts, arch=arch, full=full, linker=linker)
    LINK(env, target=node, source=parts, **step_args(linker=linker))
    pins = {f"pin {tree.key} sha256": tree.signature for tree in _trees(linker)}
    node.add_dependency([session.inputs.node(env, "link/linker.py", **pins), *libraries])
    if GetOption("clean"):
        env.Clean(node, proof_node(node))
    if proofs_wanted(env):
        prove_in_step(env, node)
    register_linked(env, node)
    return node


def linker_pin(compiled):
    """Returns the pin of the libbpf that links an object, by its entry in Session.compiled; None where none does."""
    trees = _trees(getattr(compiled, "linker", None))
    return trees[-1] if trees else None


def has_uapi(session, compiled):
    """Returns True if an object, or one that it is linked of, has UAPI headers in sight, by Session.compiled."""
    parts = getattr(compiled, "parts", ())
    return bool(getattr(compiled, "uapi_dirs", ())) or any(has_uapi(session, session.compiled[part]) for part in parts)


def is_linked(compiled):
    """Returns True if an object is linked, by its entry in Session.compiled."""
    return hasattr(compiled, "linker")


def _pinned_linker(env):
    """Returns the pins of the linker for this machine, and the nodes of their manifests.

    Where there is no such linker it is a LinkError, for the step to raise: another target may be built without it.
    """
    from ebpfbuild.link.libraries import libraries_for, this_machine

    session = env["EBPF"]
    if "linker" not in session.shared:
        try:
            needed = libraries_for(session.linker, *this_machine())
            session.shared["linker"] = needed, [_manifest(env, tree) for tree in _trees(needed)]
        except LinkError as error:
            session.shared["linker"] = error, []
    return session.shared["linker"]


def _trees(linker):
    """Returns the pins of all that is loaded, libbpf's last; none where there is no linker."""
    if linker is None or isinstance(linker, LinkError):
        return []
    return [*filter(None, [linker.c_library]), *linker.libraries]


def _manifest(env, tree):
    return pinned_tree(env, LINKER, tree, "files.sha256", ".", "linker", tree.key)


def _source(session, node):
    """Names an object as messages do: by its source, or where it is linked by its path."""
    return node.path if parts_of(session, node) else session.compiled[node].args.source


def _link(target, source, env, said):
    """Makes an object of others and, where it has a proof as its second target, proves it before it is put in place."""
    from ebpfbuild.link.libraries import linker
    from ebpfbuild.link.linker import linked_object
    from ebpfbuild.link.part import Part

    session, step = env["EBPF"], env["EBPF_STEP_ARGS"]
    if isinstance(step.linker, LinkError):
        raise step.linker
    node, *proofs = target
    in_place = linker(step.linker, lambda tree: Path(_manifest(env, tree).abspath).parent)._replace(
        scratch=node.dir.abspath, sandbox=session.run.runner
    )
    parts = [Part(_source(session, part), Path(part.abspath).read_bytes()) for part in source]
    data = linked_object(parts, in_place, node.path)
    if not proofs:
        make_room(Path(proof_node(node).abspath))  # of an older object's
    else:
        from ebpfbuild.link.proof import prove_linked
        from ebpfbuild.prove.proof import read_proof

        whole = [Part(_source(session, part), _made_with_full_header(env, part, in_place)) for part in source]
        found = [proof for part in source if (proof := read_proof(proof_node(part).abspath))]
        keep_proof(node, prove_linked(whole, data, found, in_place, node.path, prover(session, node)))
    write_file(Path(node.abspath), data)


def _cacheable(target, env):
    """Returns the Cacheable of a link, None for one whose result can't be kept."""
    from ebpfbuild.step_cache.checks import OBJECT, check_object

    session, node = env["EBPF"], target[0]
    proven = len(target) > 1
    # A proof is of what the parts are compiled of as well, and not of their bytes alone.
    compiles = [cacheable_object([part], part.get_build_env()) for part in _compiled_parts(session, node) if proven]
    inputs = inputs_of(node, build_name(session), without=node.sources)
    if inputs is None or None in compiles:
        return None
    sources = [[_source(session, part), session.ledger.digest(part.abspath)] for part in node.sources]
    facts = {"step": inputs_text(node), "sources": sources, "inputs": inputs}
    proof = proof_of(session, node, proven, [each.inputs for each in compiles])
    return Cacheable(facts, {OBJECT: node.abspath}, partial(check_object, arch=session.compiled[node].arch), proof)


def _compiled_parts(session, node):
    """Yields the nodes of the objects that clang made, of which an object is linked."""
    for part in parts_of(session, node):
        if parts_of(session, part):
            yield from _compiled_parts(session, part)
        else:
            yield part


def _made_with_full_header(env, node, in_place):
    """Returns the bytes that the full header gives for an object, made once a run: programs share their parts."""
    from ebpfbuild.compile.args import with_header
    from ebpfbuild.compile.object import compiled
    from ebpfbuild.link.linker import linked_object
    from ebpfbuild.link.part import Part

    session = env["EBPF"]
    if not minimized(session, node):
        return Path(node.abspath).read_bytes()
    if node not in session.full_objects:
        if parts := parts_of(session, node):
            given = [Part(_source(session, part), _made_with_full_header(env, part, in_place)) for part in parts]
            session.full_objects[node] = linked_object(given, in_place, node.path)
        else:
            args = session.compiled[node].args
            full = session.compiled[node].full.path
            session.full_objects[node] = compiled(with_header(args, full), known_paths(env, node), session.root).data
    return session.full_objects[node]


def _read(target, env):
    """Returns the linker's libraries, as Watch takes them.

    A step that proves compiles the parts once more: what they are compiled of comes with them.
    """
    linker = env["EBPF_STEP_ARGS"].linker
    folders = ((Path(_manifest(env, tree).abspath).parent, tree) for tree in _trees(linker))
    found = {str(folder / file): None for folder, tree in folders for file in tree.files}
    if len(target) > 1:
        found |= libbpf_read(target, env) | _sources_of(env, target[0])
    return found


def _sources_of(env, node):
    """Returns the files that an object's parts are compiled of, as Watch takes them."""
    session, found = env["EBPF"], {}
    for part in parts_of(session, node):
        files = (child for child in part.all_children() if isinstance(child, Input))
        found |= {file.rfile().get_abspath(): file for file in files} | _sources_of(env, part)
        if not parts_of(session, part):
            found |= uapi_read(part, session.compiled[part], env)
    return found


def _install(target, source, env):
    """Installs a library; a C library's program loader is started, so it is made a program."""
    from ebpfbuild.link.libraries import PROGRAM_LOADER

    install(target, source, env)
    for node in target:
        if node.name.startswith(PROGRAM_LOADER):
            Path(node.abspath).chmod(0o755)


LINKER = builder(_install, "LINKER   $TARGET")
LINK = builder(_link, "LINK     $TARGET", _read, "linked", cacheable=_cacheable)
