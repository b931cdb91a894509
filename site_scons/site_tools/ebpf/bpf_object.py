"""BpfObject(source): a BPF object for each arch, compiled by the pinned clang from files that the graph knows.

A program's own minimized header is made by the step that compiles it, not by a node of its own: for a null build,
SCons's share of a node and of its folder is half of all that an object costs. MinimizedVmlinux is that node, for a set
of programs.
"""

import json
import os
from typing import NamedTuple

import SCons.Script

from .arguments import arches, file_of, flat, from_root, single, string
from .by_arch import ByArch
from .cached_compile import cacheable_object
from .cmdline import minimize_mode
from .command_targets import proving, register_header, register_object, register_program
from .compdb import Compilation, compile_db
from .compile_flags import check_foreign
from .compiling import (
    compile_args,
    compile_inputs,
    depends_nodes,
    depends_paths,
    explaining,
    header_kinds,
    known_paths,
    object_entry,
    pinned_read,
    source_node,
)
from .errors import StopError, check_name
from .header import vmlinux_header
from .libbpf import libbpf_headers
from .linked import declare_linked, object_node, of_arch, part_name
from .minimized import SCANNER, Minimizing, header_path, write_header
from .proof import acceptance, proof_node, proofs_wanted, prove_in_step
from .step import builder, output_path, step_args
from .uapi import uapi_headers
from .variants import in_variant


class _Options(NamedTuple):
    """What BpfObject was given for each of its sources; `explicit` tells if minimize= was given at all."""

    mode: str
    explicit: bool
    header: ByArch | None
    include_dirs: object
    cflags: object
    depends: list
    uapi: bool | None


def bpf_object(
    env, source, name=None, arch=None, minimize=None, header=None, include_dirs=(), cflags=(), depends=(), uapi=None
):
    """Returns the nodes of build/<arch>/<name>.bpf.o, one for each arch asked for.

    With `arch`, a name or a list, it is one for each of those. BpfObject(name, [source, …]) links several sources, each
    compiled by itself: `source` is then the name and `name` the list, as SCons's own builders take them. Objects that
    BpfObject returned may stand among the sources.

    name          the source's, without .bpf.c, unless given
    minimize      off, exact, lean or fields; MINIMIZE= on the command line overrides it, and exact is the default
    header        what MinimizedVmlinux gave for a set of programs, instead of a header of this program's own
    include_dirs  come behind EBPF_CPPPATH, cflags behind toolchain.toml's and EBPF_CFLAGS
    depends       files that the compile reads and the scanner can't see (`#include MACRO`)
    uapi          True or False puts the kernel's UAPI headers and clang's own in sight or out of it, whatever the
                  source names of them

    The program's own header is build/<arch>/minimized/<name>/vmlinux.h. One that includes none gets none.
    """
    check_foreign(env)
    if not (header is None or isinstance(header, ByArch)):
        raise StopError(f"header: {header!r} is not what MinimizedVmlinux returned; hand that over whole")
    asked = arches(env, arch)
    sources, name = _sources_and_name(env, source, name)
    nodes = [file_of(env, each, "source") for each in sources]
    env = in_variant(env, nodes)
    sources = [object_node(env, each) or source_node(env, each) for each in nodes]
    name = name or _name_of(sources)
    if "/" in name:
        what = "is no name for an object, which lies right in its arch's folder"
        raise StopError(f"{name!r} {what}; name it without a /")
    if not name.isprintable():  # SCons puts it on the terminal as it stands
        raise StopError(f"{name} is no name for an object; take letters, digits and signs that print")
    check_name(name, "name")  # of its header's folder, too
    mode = minimize_mode(env, minimize)
    options = _Options(mode, minimize is not None, header, include_dirs, cflags, depends_nodes(env, depends), uapi)
    if len(sources) == 1 and sources[0] not in env["EBPF"].compiled:
        made = {each.name: _declare(env, sources[0], name, each, options) for each in asked}
    else:
        if all(source in env["EBPF"].compiled for source in sources):
            _refuse_given(
                name,
                minimize=minimize,
                header=header,
                include_dirs=include_dirs,
                cflags=cflags,
                depends=depends,
                uapi=uapi,
            )
        made = {each.name: _declare_linked(env, sources, name, each, options) for each in asked}
    return ByArch(made.values(), made)


def _sources_and_name(env, source, name):
    """Returns the list of the sources, and the name or None.

    Before a list, and before a `.c` where it is none itself, the name comes first.
    """
    if not (name is None or isinstance(name, str)) or (name or "").endswith(".c") and not str(source).endswith(".c"):
        source, name = name, source
    sources = flat(env, source, "source")
    if not sources:
        what = "there are no sources" if name is None else f"{name} has no sources"
        raise StopError(f'BpfObject: {what}; name them: BpfObject("{name or "NAME"}", ["main.bpf.c", "lib.bpf.c"])')
    if not (name is None or isinstance(name, str)):
        raise StopError(f'BpfObject: {name} is no name; write BpfObject("NAME", [SOURCES])')
    return sources, string(env, name)


def _name_of(sources):
    """Returns the name of an object that has one source, without .bpf.c. Raises StopError for what is to be linked."""
    if len(sources) > 1 or sources[0].name.endswith(".o"):
        named = ", ".join(f'"{source.path}"' for source in sources)
        raise StopError(f'BpfObject: no name for what is linked; write BpfObject("NAME", [{named}])')
    return sources[0].name.removesuffix(".c").removesuffix(".bpf")


def _refuse_given(name, **arguments):
    """Stops at an argument that shapes how sources are compiled, where there is none."""
    for argument, value in arguments.items():
        if value:
            what = f"{name} is made of objects alone, and {argument}= shapes none"
            raise StopError(f"BpfObject: {what}; give it where they are made")


def _declare_linked(env, sources, name, arch, options):
    """Returns the node of an object that is linked, of sources and objects.

    Each source is compiled once for all that link it.
    """
    session, node = env["EBPF"], _object_node(env, arch, name)
    given = [source for source in sources if source in session.compiled]
    others = set(given).difference(of_arch(session, node, given, arch))
    parts = [
        source if source in session.compiled else _part(env, source, arch, options)
        for source in sources
        if source not in others
    ]
    return declare_linked(env, node, arch, parts)


def _part(env, source, arch, options):
    """Returns the node of the object of one source of several, declared unless another object links it already."""
    uapi = header_kinds(env, source, options.include_dirs, options.uapi).uapi
    session, args = env["EBPF"], compile_args(env, source, arch, "", "", options.include_dirs, options.cflags, uapi)
    header = str(options.header.by_arch.get(arch.name)) if options.header else ""
    shaped_by = [options.mode, header, session.inputs.flags(args), depends_paths(options.depends)]
    key = json.dumps([output_path(env, arch.name), source.path, *shaped_by])
    if key not in session.parts:
        taken = lambda name: env.fs.File(_object_path(env, arch, name)) in session.compiled  # noqa: E731
        name = part_name(session.files, source, key, taken)
        session.parts[key] = _declare(env, source, name, arch, options)
    return session.parts[key]


def _object_path(env, arch, name):
    return output_path(env, arch.name, f"{name}.bpf.o")


def _object_node(env, arch, name):
    """Returns the node of build/<arch>/<name>.bpf.o. Raises StopError where it is declared already."""
    node = env.fs.File(_object_path(env, arch, name))
    if node in env["EBPF"].compiled:
        raise StopError(f"{node.path} is declared twice; give one of the programs another name, or a variant_dir")
    return node


def _declare(env, source, name, arch, options):
    session, found = env["EBPF"], header_kinds(env, source, options.include_dirs, options.uapi)
    full = vmlinux_header(env, arch.name) if _has_vmlinux(found, options) else None
    node, mode, depends = _object_node(env, arch, name), options.mode, options.depends
    given, own = _headers(env, node, name, arch, mode, options.header, full)
    header = own or (given.path if given else "")
    args = compile_args(env, source, arch, node.path, header, options.include_dirs, options.cflags, found.uapi)
    session.run.commands[session.home].append(Compilation(args, full.path if full else ""))
    session.repair([node], stale=own and not session.ledger.intact(os.path.join(session.root, own)))
    if own:
        session.minimized[node] = Minimizing((args,), name, mode, full)
    if SCons.Script.GetOption("clean"):
        env.Clean(node, [proof_node(node), *([from_root(own)] if own else [])])
    seen = {"include_dirs": args.include_dirs, "uapi_dirs": args.uapi_dirs, "depends": depends_paths(depends)}
    step = step_args(args=args, arch=arch, full=full, own=own, **seen)
    session.compiled[node] = step["EBPF_STEP_ARGS"]
    OBJECT(env, target=node, source=source, **step)
    entry, more = object_entry(args, mode if own else None)
    inputs = compile_inputs(env, entry, args, **more)
    pinned = [full, libbpf_headers(env), uapi_headers(env) if args.uapi_dirs else None, None if own else given]
    node.add_dependency([inputs, *filter(None, pinned), *depends])
    node.add_prerequisite([compile_db(env)])
    if own:
        register_header(env, node, session.minimized[node])
    if proofs_wanted(env):
        prove_in_step(env, node)
    register_object(env, node)
    register_program(env, name, args, full, depends, node)
    return node


def _has_vmlinux(found, options):
    """Returns True if a program with these HeaderKinds is to have a vmlinux.h.

    One that includes a file that can't be looked into yet has, unless all that it names are UAPI headers and nothing
    was said of minimizing.
    """
    return found.vmlinux or bool(options.header) or (found.unknown and (options.explicit or not found.uapi))


def _headers(env, node, name, arch, mode, header, full):
    """Returns the header that a program includes: its node and None, or None and its own minimized one's path.

    None twice for a program without one.
    """
    if mode == "off" or not full:
        return full, None
    if not header:
        return None, header_path(env, arch, name)
    if arch.name not in header:
        raise StopError(f"{node.path}: its header is not made for {arch.name}, only for {', '.join(header.arches)}")
    return single(env, header[arch.name], "header"), None  # one of a sum of lists may be several


def _compile(target, source, env, said):
    """Makes an object and, where it has a proof as its second target, proves it before it is put in place."""
    from ebpfbuild.compile.object import compile_object

    session, step = env["EBPF"], env["EBPF_STEP_ARGS"]
    node, *proofs = target
    with explaining(env, step.full, (step.args,)):
        known = known_paths(env, node)
        if step.own:
            write_header(env, session.minimized[node], step.own, known, said)
            known.add(step.own)
        accept = acceptance(env, node, proofs, known)
        full = step.full.path if step.full else ""
        said.warn(compile_object(step.args, full, known, session.root, said.notice, accept))


OBJECT = builder(
    _compile, "CLANG    $TARGET", pinned_read, "compiled", proving, cacheable=cacheable_object, source_scanner=SCANNER
)
METHODS = {"BpfObject": bpf_object}
