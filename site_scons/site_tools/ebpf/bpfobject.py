"""BpfObject(source): a BPF object for each arch, compiled by the pinned clang from files that the graph knows."""

import os
import sys

import SCons.Node.FS
import SCons.Scanner
from ebpfbuild.arch import arch_named
from ebpfbuild.compdb import CompileCommand
from ebpfbuild.compile import CompileArgs, compile_object
from ebpfbuild.scan import project_headers

from .session import user_error
from .step import build_path, builder, told


def bpf_object(env, source, arch=None, target=None, include_dirs=(), cflags=(), depends=()):
    """The object nodes of one source, one for each arch asked for, or for `arch` alone.

    include_dirs come behind EBPF_CPPPATH, cflags behind toolchain.toml's and EBPF_CFLAGS. `depends` declares files that
    the compile reads and the scanner can't see (`#include MACRO`). The default target is build/<arch>/<name>.bpf.o.
    """
    arches = [user_error(arch_named, arch)] if arch else env["EBPF_ARCHES"]
    source = env.File(source)
    return [_declare(env, source, each, target, include_dirs, cflags, depends) for each in arches]


def _declare(env, source, arch, target, include_dirs, cflags, depends):
    session = env["EBPF"]
    header, libbpf = env.VmlinuxHeader(arch.name), env.LibbpfHeaders()
    stem = source.name.removesuffix(".c").removesuffix(".bpf")
    node = env.File(target or build_path(env, arch.name, f"{stem}.bpf.o"))
    args = CompileArgs(
        clang=session.compiler.argv,
        arch=arch,
        source=source.path,
        output=node.path,
        header_dir=os.path.dirname(header.path),
        libbpf_dir=os.path.join(os.path.dirname(libbpf.path), "include"),
        include_dirs=tuple(env.Dir(folder).path for folder in [*env["EBPF_CPPPATH"], *include_dirs]),
        cpu=session.toolchain.cpu,
        cflags=(*session.toolchain.cflags, *env["EBPF_CFLAGS"], *cflags),
    )
    session.commands.append(CompileCommand(args.source, args.output, tuple(args.command())))
    session.repair([node])
    flags = [flag for pair in (args.flags(True), args.flags(False)) for flag in pair]
    inputs = session.value(env, "compile.py", session.compiler.fingerprint, flags)
    OBJECT(env, target=node, source=source, **told(args=args))
    env.Depends(node, [inputs, header, libbpf, *env.Flatten(depends)])
    env.Requires(node, env.CompileCommands())
    return node


def _scan(node, env, path):
    """The project's headers that a source includes."""
    args, session = env["EBPF_TOLD"].args, env["EBPF"]
    pinned = {"vmlinux.h", *(f"bpf/{name}" for name in session.toolchain.libbpf.files)}
    found = user_error(project_headers, node.path, args.include_dirs, session.text, pinned.__contains__)
    return [env.File("#" + header) for header in found]


def _compile(target, source, env):
    session, args = env["EBPF"], env["EBPF_TOLD"].args
    known = {child.path for child in target[0].all_children() if isinstance(child, SCons.Node.FS.File)}
    known |= {os.path.join(args.libbpf_dir, "bpf", name) for name in session.toolchain.libbpf.files}
    sys.stderr.write(compile_object(args, known, session.root))


OBJECT = builder(_compile, "CLANG    $TARGET", source_scanner=SCons.Scanner.Scanner(_scan, "ebpf"))
METHODS = {"BpfObject": bpf_object}
