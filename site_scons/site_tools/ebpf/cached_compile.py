"""Describes the steps that run clang, for the cache: what their results depend on, in the same words in each checkout.

Objects name paths from the project's root, and the build folder by the name that it has by default: so does this. A
variant_dir that gives a program nothing to include is left out.
"""

import os
from functools import cache, partial

from SCons.Node.FS import File

from ebpfbuild.files import open_regular, read_regular

from .caching import Cacheable, Proven, inputs_of
from .compiling import compile_facts, kernel_of, object_entry
from .nodes import Output
from .project_files import is_below
from .proof import minimized, proof_node, prover


def cacheable_object(target, env):
    """Returns the Cacheable of an object's step, None for one whose result can't be kept."""
    from ebpfbuild.step_cache.checks import HEADER, OBJECT, check_object

    session, node = env["EBPF"], target[0]
    step, header = session.compiled[node], session.minimized.get(node)
    facts = _facts(env, node, (step.args,), header)
    if facts is None:
        return None
    files, checks, place = {OBJECT: node.abspath}, [partial(check_object, arch=step.arch)], ""
    if header:
        files[HEADER] = os.path.join(session.root, step.own)
        checks.append(_header_check(session, header))
        place = os.path.join(os.path.basename(os.path.dirname(step.own)), os.path.basename(step.own))
    return Cacheable(facts, files, partial(_check_all, checks), proof_of(session, node, len(target) > 1), place)


def cacheable_header(target, env):
    """Returns the Cacheable of the step of a MinimizedVmlinux, None for one whose result can't be kept."""
    from ebpfbuild.step_cache.checks import HEADER

    session, node = env["EBPF"], target[0]
    header = session.minimized[node]
    facts = _facts(env, node, header.compiles, header)
    return facts and Cacheable(facts, {HEADER: node.abspath}, _header_check(session, header))


def _header_check(session, header):
    from ebpfbuild.step_cache.checks import check_header

    return partial(check_header, full_sha256=session.ledger.digest(header.full.abspath), program=header.name)


def _check_all(checks, files):
    for check in checks:
        check(files)


def proof_of(session, node, wanted, compiles=()):
    """Returns the Proven of an object; where none is `wanted` as well, since an older one goes.

    `compiles` are the inputs of what it is linked of.
    """
    from ebpfbuild.step_cache.checks import check_proof

    code = prover(session, node) if wanted and minimized(session, node) else ""
    inputs = {"prover": code, "compiles": compiles}
    return Proven(inputs, proof_node(node).abspath, wanted, partial(check_proof, prover=code))


def _facts(env, node, compiles, header):
    """Returns all that a step's result depends on, as JSON has it, without a path that only this checkout has.

    `header` is the Minimizing of a header that the step makes, None for a step that makes none.
    """
    session, paths = env["EBPF"], [child.path for child in node.all_children() if isinstance(child, File)]
    name = _namer(compiles, paths)
    inputs = inputs_of(node, name)
    if inputs is None or _is_script(compiles[0].clang[0]):
        return None
    args = _renamed(_without_empty_variant(env, node, compiles[0]), name)
    entry, more = object_entry(args, header.mode if header else None)
    facts = {
        "step": session.inputs.text(code=session.inputs.code(entry), **compile_facts(env, args, **more)),
        "arch": args.arch.name,
        "sources": [name(each.source) for each in compiles],
        "inputs": inputs,
    }
    return facts | ({"header of": header.name, "kernel": kernel_of(header.full)} if header else {})


@cache
def _is_script(compiler):
    """Returns True for a compiler that is a script: its digest tells nothing of the program that it starts."""
    with open_regular(compiler, None) as file:
        return file.read(2) == b"#!"


def _namer(compiles, paths):
    """Returns the function that names a path as objects do; `str` where that would give two of them one name."""
    args = compiles[0]
    longest_first = sorted(args.names, key=lambda pair: -len(pair[0]))
    folders = [*args.include_dirs, *args.system_dirs, *(each.source for each in compiles)]

    def name(path):
        for folder, called in longest_first:
            if is_below(path, folder):
                return called + path[len(folder) :]
        return path

    own = {path for path in (*paths, *folders) if name(path) == path}
    return str if any(is_below(path, called) for path in own for _, called in args.names) else name


def _renamed(args, name):
    """Returns a compile with all its paths named by a function, which its `names` need no longer tell clang."""
    dirs = {field: tuple(map(name, getattr(args, field))) for field in ("include_dirs", "uapi_dirs")}
    one = {field: name(getattr(args, field)) for field in ("source", "header_dir", "libbpf_dir")}
    return args._replace(**dirs, **one, names=args.names if name is str else ())


def _without_empty_variant(env, node, args):
    """Returns a compile without the search folders of its variant_dir, where none of its inputs is found there.

    Then each name is found where it would be found without them, unless it leads out of a folder by `..`.
    """
    variant = env["EBPF_VARIANT"] if "EBPF_VARIANT" in env else None
    if not variant:
        return args
    files = [child for child in node.all_children() if isinstance(child, File)]
    texts = [file.rfile().get_abspath() for file in files if not isinstance(file, Output)]  # those are pinned
    inside = any(is_below(file.path, variant.folder) for file in files)
    if inside or any(b"../" in read_regular(path) for path in texts):
        return args
    kept = tuple(folder for folder in args.include_dirs if not is_below(folder, variant.folder))
    return args._replace(include_dirs=kept)
