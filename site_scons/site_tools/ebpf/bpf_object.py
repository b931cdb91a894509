"""BpfObject(source): a BPF object for each arch, compiled by the pinned clang from files that the graph knows.

A program's own minimized header is made by the step that compiles it, not by a node of its own: for a null build,
SCons's share of a node and of its folder is half of all that an object costs. MinimizedVmlinux is that node, for a set
of programs.
"""

import os
import sys

import SCons.Script
from ebpfbuild.arch import arch_named
from ebpfbuild.compile.object import compile_object
from ebpfbuild.escape import printable_lines

from .command_targets import register_header, register_object
from .compdb import Compilation
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
from .minimized import SCANNER, Minimizing, header_path, write_header
from .proof import acceptance, proof_node, proofs_wanted, prove_in_step
from .errors import StopError, check_name, user_error
from .step import build_path, builder, step_args


def bpf_object(env, source, name=None, arch=None, minimize=None, header=None, include_dirs=(), cflags=(), depends=()):
    """Returns the nodes of build/<arch>/<name>.bpf.o, one for each arch asked for.

    With `arch`, a name or a list, it is one for each of those.

    name          the source's, without .bpf.c, unless given
    minimize      off, exact, lean or fields; MINIMIZE= on the command line overrides it, and exact is the default
    header        what MinimizedVmlinux gave for a set of programs, instead of a header of this program's own
    include_dirs  come behind EBPF_CPPPATH, cflags behind toolchain.toml's and EBPF_CFLAGS
    depends       files that the compile reads and the scanner can't see (`#include MACRO`)

    The program's own header is build/<arch>/minimized/<name>/vmlinux.h.
    """
    arches = [user_error(arch_named, each) for each in env.Flatten([arch])] if arch else env["EBPF_ARCHES"]
    source = source_node(env, source)
    name = name or source.name.removesuffix(".c").removesuffix(".bpf")
    if "/" in name:
        what = "is no name for an object, which lies right in its arch's folder"
        raise StopError(f"{name!r} {what}; name it without a /")
    if not name.isprintable():  # SCons puts it on the terminal as it stands
        raise StopError(f"{name} is no name for an object; take letters, digits and signs that print")
    check_name(name, "name")  # of its header's folder, too
    mode = env.MinimizeMode(minimize)
    depends = depends_nodes(env, depends)
    return [_declare(env, source, name, each, mode, header, include_dirs, cflags, depends) for each in arches]


def _declare(env, source, name, arch, mode, header, include_dirs, cflags, depends):
    session, full = env["EBPF"], env.VmlinuxHeader(arch.name)
    node = env.fs.File(build_path(env, arch.name, f"{name}.bpf.o"))
    if node in session.compiled:
        raise StopError(f"{node.path} is declared twice; give one of the programs another name")
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


OBJECT = builder(_compile, "CLANG    $TARGET", libbpf_read, "compiled", source_scanner=SCANNER)
METHODS = {"BpfObject": bpf_object}
