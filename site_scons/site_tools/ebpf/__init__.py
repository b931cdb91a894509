"""The SCons tool `ebpf`: thin adapters over ebpfbuild, one builder a module.

env = Environment(tools=["ebpf"], toolpath=["path/to/scons-bpf/site_scons/site_tools"])
env.BpfProgram("filter", "filter.bpf.c")
"""

import inspect
import re
import sys
from errno import EEXIST
from pathlib import Path

# SCons undoes an edit of sys.path when a tool has loaded, so the core is imported while this one stands.
_SITE = str(Path(__file__).resolve().parent.parent.parent)
if _SITE not in sys.path:
    sys.path.insert(0, _SITE)

from SCons.Util import CLVar  # noqa: E402

import ebpfbuild  # noqa: E402, F401
from ebpfbuild.bytecode import believe_by_content  # noqa: E402

believe_by_content(_SITE)

from . import (  # noqa: E402
    bpf_object,
    c_skeleton,
    cmdline,
    commands,
    compdb,
    header,
    image,
    libbpf,
    minimized,
    package,
    program,
    proof,
    skeleton,
    uapi,
)
from .errors import StopError, file_error, user_error  # noqa: E402
from .session import session_of  # noqa: E402


def generate(env):
    """Adds the builders and the command line's options to `env`. Touches no network and starts no process."""
    cmdline.add_options(env)
    env.SetDefault(EBPF_BUILD="build", EBPF_CPPPATH=[], EBPF_CFLAGS=CLVar())
    env["EBPF"] = user_error(session_of, env)
    commands.add_commands(env)
    for module in (
        header,
        libbpf,
        uapi,
        minimized,
        bpf_object,
        proof,
        skeleton,
        c_skeleton,
        package,
        image,
        program,
        compdb,
        commands,
        cmdline,
    ):
        for name, method in module.METHODS.items():
            env.AddMethod(checked(name, method), name)


def checked(name, method):
    """Wraps a method so that a misspelt argument ends the build with one line.

    Python's TypeError would show the tool's inside. The method sees the session of the environment as it is now: a
    clone may have another EBPF_BUILD or EBPF_TOOLCHAIN.
    """

    def call(env, *args, **kwargs):
        session = user_error(session_of, env)
        if env["EBPF"] is not session:
            env["EBPF"] = session
        try:
            return user_error(method, env, *args, **kwargs)
        except TypeError as error:
            try:
                inspect.signature(method).bind(env, *args, **kwargs)
            except TypeError as unfit:
                raise StopError(f"{name}: {unfit}; {_accepted(inspect.signature(method), kwargs)}") from None
            if "found where file expected" in str(error):  # SCons's words for a folder in a file's place
                raise StopError(f"{error}; move the folder away") from None
            if in_the_way := re.fullmatch(r"File (.*) found where directory expected\.", str(error)):
                raise file_error(FileExistsError(EEXIST, "", in_the_way[1])) from None
            raise error

    return call


def _accepted(signature, given):
    """Says which arguments a method takes, but for `env`, which no caller writes; or which one was meant."""
    import difflib

    names = list(signature.parameters)[1:]
    for unknown in given.keys() - signature.parameters.keys():
        if near := difflib.get_close_matches(unknown, names, n=1):
            return f"did you mean {near[0]}="
    return f"it takes ({', '.join(map(str, list(signature.parameters.values())[1:]))})"


def exists(env):
    """Returns true: a missing compiler is an error, with the fix, once a program needs it."""
    return True
