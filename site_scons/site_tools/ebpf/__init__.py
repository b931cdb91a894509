"""The SCons tool `ebpf`: thin adapters over ebpfbuild, one builder a module.

    env = Environment(tools=["ebpf"], toolpath=["path/to/scons-bpf/site_scons/site_tools"])
    env.BpfProgram("filter", "filter.bpf.c")
"""

import sys
from pathlib import Path

# SCons undoes an edit of sys.path when a tool has loaded, so the core is imported while this one stands.
_SITE = str(Path(__file__).resolve().parent.parent.parent)
if _SITE not in sys.path:
    sys.path.insert(0, _SITE)

import ebpfbuild  # noqa: E402, F401

from . import bpfobject, cmdline, commands, compdb, header, libbpf, minimized, package, program, proof, skeleton  # noqa: E402
from .session import Session  # noqa: E402


def generate(env):
    """Adds the builders and the command line's options to `env`. Touches no network and starts no process."""
    cmdline.add(env)
    env.SetDefault(EBPF_BUILD="build", EBPF_CPPPATH=[], EBPF_CFLAGS=[])
    env["EBPF"] = Session(env)
    for module in (header, libbpf, minimized, bpfobject, proof, skeleton, package, program, compdb, commands, cmdline):
        for name, method in module.METHODS.items():
            env.AddMethod(method, name)


def exists(env):
    """Always true: whether the pinned compiler is there is told, with the way out, when a program needs it."""
    return True
