"""Registers objects and headers for commands such as `sizes`, `why` and `prove`, where the command line names one."""

import os
from typing import NamedTuple

import SCons.Node
import SCons.Script
from SCons.Errors import UserError

from .run import run_of


def kernels_wanted(env):
    """Returns True if objects are to be checked against kernels: by the command line's `kernels` or CHECK_KERNELS=."""
    return bool(env["EBPF_CHECK_KERNELS"]) or "kernels" in requested()


def boots_tests():
    """Returns True if the command line says `boot test`: the project's tests are to run in guests."""
    words = requested()
    return "boot" in words and words[words.index("boot") + 1 :][:1] == ["test"]


def requested():
    """Returns the targets that the command line names: `why` and the words behind it among them."""
    return SCons.Script.COMMAND_LINE_TARGETS


def name_short(env, node):
    """Has the end of an output's path name it on the command line: `one.bpf.o`, or `x86_64/one.bpf.o` for one arch.

    A file that lies there, or a target of the project's, keeps its name.
    """
    named = run_of(env.fs).named
    for name in requested():
        if node.path.endswith(f"/{name}") and (name in named or not _is_target(env, name)):
            env.Alias(name, node)
            named.add(name)


def _is_target(env, name):
    """Returns True if a name of the command line is that of a file or target, seen from where scons was called."""
    place = os.path.join(SCons.Script.GetLaunchDir(), name)
    try:
        return (
            env.ans.lookup(name) is not None
            or os.path.lexists(place)
            or env.fs.Entry(place, create=False).has_builder()
        )
    except UserError:  # no node has that path
        return False


def is_unknown(env, name):
    """Returns True if SCons failed at a name of the command line, since nothing makes it and no file is called so."""
    try:
        node = env.fs.Entry(os.path.join(SCons.Script.GetLaunchDir(), name), create=False)
    except UserError:  # no node has that path: it was no target, but a word behind a command
        return False
    return node.get_state() == SCons.Node.failed and not _is_target(env, name)


def add_to_alias(env, name, nodes):
    """Has a name of the command line stand for nodes as well.

    env.Alias goes through a Builder each time, which takes ten times as long.
    """
    alias = env.Alias(name)[0]
    if alias.get_builder() is None:
        env.Alias(name, nodes)
    else:
        alias.add_dependency(nodes)


def build_too(env, name):
    """Has this run build an alias as well, whatever else the command line names."""
    targets = SCons.Script.BUILD_TARGETS
    if not requested():
        env.fs.Top.add_dependency([env.Alias(name)[0]])
        _keep_default(env.Alias(name)[0])
    elif name not in targets:
        targets.append(name)


def _keep_default(alias):
    """Has an alias be the last of what Default() names, whenever that is called; SCons reads the list only then."""
    defaults, set_defaults = SCons.Script.DEFAULT_TARGETS, SCons.Script._Set_Default_Targets

    def set_and_keep(env, targets):
        defaults[:] = [each for each in defaults if each is not alias]
        set_defaults(env, targets)
        defaults.append(alias)

    if alias not in defaults:
        defaults.append(alias)
        SCons.Script._Set_Default_Targets = set_and_keep


def register_object(env, node):
    """Makes the node of an object that clang makes a source of `sizes`, `prove`, `kernels` and `verify`."""
    if "sizes" in requested():
        env.Alias("sizes", node)
    register_linked(env, node)


def register_linked(env, node):
    """Makes the node of an object that is made of others a source of `prove`, `kernels`, `verify` and `boot`."""
    boots = "boot" in requested()
    if kernels_wanted(env) or boots:
        run_of(env.fs).for_kernels.append((env, node))
        env.Alias("kernels", node)
    if boots:
        env.Alias("boot", node)
    if "verify" in requested():
        run_of(env.fs).for_verify.append((env, node))
        env.Alias("verify", node)
    if "prove" in requested():
        run_of(env.fs).objects.append((env, node))
        env.Alias("prove", node)


def register_wheel(env, node):
    """Makes the node of a wheel a source of `boot`, which loads its objects by the loader in it."""
    if "boot" in requested():
        run_of(env.fs).wheels.append(node)
        env.Alias("boot", node)


def proving(target, env):
    """Returns how far `prove` has come: ` (3 of 7)` for its third object, those that are up to date among them.

    Empty where the command line doesn't ask for proofs.
    """
    run = run_of(env.fs)
    if not run.objects:
        return ""
    run.proving += 1
    current = sum(node.get_state() == SCons.Node.up_to_date for _, node in run.objects)
    return f" ({run.proving + current} of {len(run.objects)})"


def register_header(env, node, minimizing):
    """Has `why` explain a minimized header; `node` is of the step that makes it, `minimizing` its Minimizing."""
    if "why" in requested():
        run_of(env.fs).minimized.append((env, node, minimizing))
        env.Alias("why", [env.LibbpfHeaders(), minimizing.full])


class RegisteredProgram(NamedTuple):
    """A program that `pins` is about: its environment, name and CompileArgs, the node of its vmlinux.h or None, and
    that of the step that compiles it."""

    env: object
    name: str
    args: object
    full: object
    node: object


def pins_words():
    """Returns the words behind `pins` on the command line: a command of it, and what that is about."""
    words = requested()
    return words[words.index("pins") + 1 :] if "pins" in words else []


def changes_pins():
    """Returns True if this run is to change toolchain.toml, and says before what that means for all programs."""
    return pins_words()[:1] in (["update"], ["add"])


def register_program(env, name, args, full, depends, node):
    """Has `pins update` say what the program uses that a step compiles, the step of `node`.

    What clang -E reads is made before, but for the vmlinux.h.
    """
    if changes_pins():
        run_of(env.fs).programs.append(RegisteredProgram(env, name, args, full, node))
        made = [source for source in node.sources if source.has_builder()]
        env.Alias("pins", [env.LibbpfHeaders(), *([env.UapiHeaders()] if args.uapi_dirs else []), *made, *depends])
