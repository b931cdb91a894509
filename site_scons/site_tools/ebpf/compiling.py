"""What the builders that run clang have in common: its arguments, what they depend on, which files they know."""

import os

import SCons.Node.FS
from ebpfbuild.compile import CompileArgs


def compile_args(env, source, arch, target, header, include_dirs, cflags):
    """The core's CompileArgs for one source, with vmlinux.h in the folder of the node `header`."""
    session, libbpf = env["EBPF"], env.LibbpfHeaders()
    return CompileArgs(
        clang=session.compiler.argv,
        arch=arch,
        source=source.path,
        output=target.path,
        header_dir=os.path.dirname(header.path),
        libbpf_dir=os.path.join(os.path.dirname(libbpf.path), "include"),
        include_dirs=tuple(env.Dir(folder).path for folder in [*env["EBPF_CPPPATH"], *include_dirs]),
        cpu=session.toolchain.cpu,
        cflags=(*session.toolchain.cflags, *env["EBPF_CFLAGS"], *cflags),
    )


def inputs_of(env, entry, args, *parts):
    """The Value of a step that runs clang: its code, the compiler's fingerprint, the flags with and without the extension."""
    session = env["EBPF"]
    return session.value(env, entry, session.compiler.fingerprint, args.flags(True), args.flags(False), *parts)


def known_paths(env, target):
    """The paths that the graph knows a step's compile to read."""
    session = env["EBPF"]
    libbpf = os.path.dirname(env.LibbpfHeaders().path)
    known = {child.path for child in target.all_children() if isinstance(child, SCons.Node.FS.File)}
    return known | {os.path.join(libbpf, "include", "bpf", name) for name in session.toolchain.libbpf.files}
