"""BpfObject(source): a BPF object for each arch, compiled by the pinned clang from files that the graph knows.

A program's own minimized header is made by the step that compiles it, not by a node of its own: for a null build,
SCons's share of a node and of its folder is half of all that an object costs. MinimizedVmlinux is that node, for a set
of programs.
"""

import json
import os
import sys

import SCons.Script
from ebpfbuild.compile.object import compile_object
from ebpfbuild.escape import printable_lines

from .command_targets import proving, register_header, register_object
from .compdb import Compilation
from .compile_flags import check_foreign
from .compiling import (
    compile_args,
    compile_inputs,
    depends_nodes,
    depends_paths,
    explaining,
    known_paths,
    libbpf_read,
    source_node,
)
from .given import arches, flat, string
from .linked import declare_linked, object_node, part_name
from .minimized import SCANNER, Minimizing, header_path, write_header
from .proof import acceptance, proof_node, proofs_wanted, prove_in_step
from .errors import StopError, check_name
from .step import build_path, builder, step_args


def bpf_object(env, source, name=None, arch=None, minimize=None, header=None, include_dirs=(), cflags=(), depends=()):
    """Returns the nodes of build/<arch>/<name>.bpf.o, one for each arch asked for.

    With `arch`, a name or a list, it is one for each of those. BpfObject(name, [source, …]) links several sources, each
    compiled by itself: `source` is then the name and `name` the list, as SCons's own builders take them. Objects that
    BpfObject returned may stand among the sources.

    name          the source's, without .bpf.c, unless given
    minimize      off, exact, lean or fields; MINIMIZE= on the command line overrides it, and exact is the default
    header        what MinimizedVmlinux gave for a set of programs, instead of a header of this program's own
    include_dirs  come behind EBPF_CPPPATH, cflags behind toolchain.toml's and EBPF_CFLAGS
    depends       files that the compile reads and the scanner can't see (`#include MACRO`)

    The program's own header is build/<arch>/minimized/<name>/vmlinux.h.
    """
    check_foreign(env)
    asked = arches(env, arch)
    sources, name = _told_apart(env, source, name)
    sources = [object_node(env, each) or source_node(env, each) for each in sources]
    name = name or _name_of(sources)
    if "/" in name:
        what = "is no name for an object, which lies right in its arch's folder"
        raise StopError(f"{name!r} {what}; name it without a /")
    if not name.isprintable():  # SCons puts it on the terminal as it stands
        raise StopError(f"{name} is no name for an object; take letters, digits and signs that print")
    check_name(name, "name")  # of its header's folder, too
    mode = env.MinimizeMode(minimize)
    depends = depends_nodes(env, depends)
    how = mode, header, include_dirs, cflags, depends
    if len(sources) == 1 and sources[0] not in env["EBPF"].compiled:
        return [_declare(env, sources[0], name, each, *how) for each in asked]
    return [_declare_linked(env, sources, name, each, *how) for each in asked]


def _told_apart(env, source, name):
    """Returns the list of the sources, and the name or None.

    Before a list, and before a `.c` where it is none itself, the name comes first.
    """
    if not (name is None or isinstance(name, str)) or (name or "").endswith(".c") and not str(source).endswith(".c"):
        source, name = name, source
    sources = flat(env, source, "source")
    if not sources:
        raise StopError(f"BpfObject: {name} has no sources; name them: BpfObject(\"{name}\", [\"main.bpf.c\", \"lib.bpf.c\"])")
    if not (name is None or isinstance(name, str)):
        raise StopError(f"BpfObject: {name} is no name; write BpfObject(\"NAME\", [SOURCES])")
    return sources, string(env, name)


def _name_of(sources):
    """Returns the name of an object that has one source, without .bpf.c. Raises StopError for what is to be linked."""
    if len(sources) > 1 or sources[0].name.endswith(".o"):
        named = ", ".join(f'"{source.path}"' for source in sources)
        raise StopError(f"BpfObject: no name for what is linked; write BpfObject(\"NAME\", [{named}])")
    return sources[0].name.removesuffix(".c").removesuffix(".bpf")


def _declare_linked(env, sources, name, arch, mode, header, include_dirs, cflags, depends):
    """Returns the node of an object that is linked: of sources, each compiled once for all that link it, and of objects."""
    session, node = env["EBPF"], _object_node(env, arch, name)
    parts = []
    for source in sources:
        if source in session.compiled:
            parts += [source] if session.compiled[source].full is env.VmlinuxHeader(arch.name) else []
        else:
            parts.append(_part(env, source, arch, mode, header, include_dirs, cflags, depends))
    return declare_linked(env, node, arch, parts)


def _part(env, source, arch, mode, header, include_dirs, cflags, depends):
    """Returns the node of the object of one source of several; it is declared unless another object links it already."""
    session, args = env["EBPF"], compile_args(env, source, arch, "", "", include_dirs, cflags)
    shaped_by = [mode, header and header[arch.name].path, session.inputs.flags(args), depends_paths(depends)]
    key = json.dumps([arch.name, source.path, *shaped_by])
    if key not in session.parts:
        name = part_name(source, key, lambda name: env.fs.File(_object_path(env, arch, name)) in session.compiled)
        session.parts[key] = _declare(env, source, name, arch, mode, header, include_dirs, cflags, depends)
    return session.parts[key]


def _object_path(env, arch, name):
    return build_path(env, arch.name, f"{name}.bpf.o")


def _object_node(env, arch, name):
    """Returns the node of build/<arch>/<name>.bpf.o. Raises StopError where it is declared already."""
    node = env.fs.File(_object_path(env, arch, name))
    if node in env["EBPF"].compiled:
        raise StopError(f"{node.path} is declared twice; give one of the programs another name")
    return node


def _declare(env, source, name, arch, mode, header, include_dirs, cflags, depends):
    session, full = env["EBPF"], env.VmlinuxHeader(arch.name)
    node = _object_node(env, arch, name)
    given, own = _headers(env, node, name, arch, mode, header, full)
    args = compile_args(env, source, arch, node.path, own or given.path, include_dirs, cflags)
    session.run.commands.append(Compilation(args, full.path))
    session.repair([node], stale=own and not session.ledger.intact(os.path.join(session.root, own)))
    if own:
        session.minimized[node] = Minimizing((args,), name, mode, full)
    if SCons.Script.GetOption("clean"):
        env.Clean(node, [proof_node(node), *([f"#{own}"] if own else [])])
    step = step_args(args=args, full=full, include_dirs=args.include_dirs, depends=depends_paths(depends), own=own)
    session.compiled[node] = step["EBPF_STEP_ARGS"]
    OBJECT(env, target=node, source=source, **step)
    entry, more = ("minimize/program.py", {"mode": mode}) if own else ("compile/object.py", {"vmlinux.h of": args.header_dir})
    inputs = compile_inputs(env, entry, args, **more)
    node.add_dependency([inputs, full, env.LibbpfHeaders(), *([] if own else [given]), *depends])
    node.add_prerequisite([env.CompileCommands()])
    if own:
        register_header(env, node, session.minimized[node])
    if proofs_wanted(env):
        prove_in_step(env, node)
    register_object(env, node)
    return node


def _headers(env, node, name, arch, mode, header, full):
    """Returns the header that a program includes: its node and None, or None and its own minimized one's path."""
    if mode == "off":
        return full, None
    if not header:
        return None, header_path(env, arch, name)
    if not isinstance(header, dict):
        raise StopError(f"{node.path}: header={header!r} is not what MinimizedVmlinux returned; hand it over whole")
    if arch.name not in header:
        raise StopError(f"{node.path}: its header is not made for {arch.name}, only for {', '.join(header)}")
    return header[arch.name], None


def _compile(target, source, env):
    """Makes an object and, where it has a proof as its second target, proves it before it is put in place."""
    session, step = env["EBPF"], env["EBPF_STEP_ARGS"]
    node, *proofs = target
    with explaining(env, step.full, (step.args,)):
        known = known_paths(env, node)
        if step.own:
            write_header(env, session.minimized[node], step.own, known)
            known.add(step.own)
        accept = acceptance(env, node, proofs, known)
        warnings = compile_object(step.args, step.full.path, known, session.root, session.reporter.notice, accept)
    sys.stderr.write(printable_lines(warnings))


OBJECT = builder(_compile, "CLANG    $TARGET", libbpf_read, "compiled", proving, source_scanner=SCANNER)
METHODS = {"BpfObject": bpf_object}
