"""Gathers what shapes a compile beside its source: flags and include folders, of the environment and of one program."""

import shlex

from .arguments import flags, folders
from .errors import StopError
from .variants import both

FOREIGN = ("CFLAGS", "CCFLAGS", "CPPFLAGS")  # of SCons's own compilers
_OTHERWISE = {"CPPPATH": ", or declare the BPF programs in env.Clone(CPPPATH=[])"}


def check_foreign(env):
    """Refuses flags of this machine's compiler in an environment that declares BPF programs: most don't fit BPF."""
    for name in FOREIGN:
        if name in env and env[name]:
            fix = f"put those that are meant for BPF into EBPF_CFLAGS, and declare the programs in env.Clone({name}=[])"
            raise StopError(f"{name}: BPF programs take no flags of this machine's compiler ({env[name]}); {fix}")


def all_cflags(env, cflags):
    """Returns the flags of a compile in order: toolchain.toml's, EBPF_CFLAGS, CPPDEFINES, the program's own."""
    session = env["EBPF"]
    common = session.cflags(flags(env, env["EBPF_CFLAGS"], "EBPF_CFLAGS"), "EBPF_CFLAGS")
    own = session.cflags(flags(env, cflags, "cflags"), "cflags")
    return (*session.toolchain.cflags, *common, *_defines(env), *own)


def _defines(env):
    """Returns CPPDEFINES as flags, as the shell would hand them to SCons's own compilers."""
    if not ("CPPDEFINES" in env and env["CPPDEFINES"]):
        return ()
    from SCons.Defaults import processDefines

    texts = [env.subst(text) for text in processDefines(env["CPPDEFINES"])]
    words = (shlex.split(f'"{text}"' if " " in text else text) for text in texts)
    return env["EBPF"].cflags(tuple(f"-D{''.join(word)}" for word in words), "CPPDEFINES")


def include_paths(env, include_dirs):
    """Returns the paths, from the root, of the folders to search: EBPF_CPPPATH, CPPPATH, the program's own.

    In a variant_dir each is two, the variant's and the source's; and the source's own folder is searched, in both.
    """
    session = env["EBPF"]
    paths = []
    for what, given in (
        ("EBPF_CPPPATH", env["EBPF_CPPPATH"]),
        ("CPPPATH", env.get("CPPPATH")),
        ("include_dirs", include_dirs),
    ):
        for folder in folders(env, given, what):
            paths += [session.files.path(each, what, _OTHERWISE.get(what, "")) for each in both(folder)]
    if "EBPF_VARIANT" in env and env["EBPF_VARIANT"]:
        paths += env["EBPF_VARIANT"].searched
    for path in paths:
        session.files.check_symlinks(path, env["EBPF_RELEASE"])
    return tuple(dict.fromkeys(paths))
