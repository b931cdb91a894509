"""Registers objects and headers for `sizes`, `why` and `prove`, where the command line names one of them."""

import SCons.Node
import SCons.Script

from .run import run_of


def requested():
    """Returns the targets that the command line names: `why` and the words behind it among them."""
    return SCons.Script.COMMAND_LINE_TARGETS


def register_object(env, node):
    """Makes the node of an object that clang makes a source of `sizes` and `prove`."""
    if "sizes" in requested():
        env.Alias("sizes", node)
    register_linked(env, node)


def register_linked(env, node):
    """Makes the node of an object that is made of others a source of `prove`."""
    if "prove" in requested():
        run_of(env.fs).objects.append((env, node))
        env.Alias("prove", node)


def proving(target, env):
    """Returns how far `prove` has come: ` (3 of 7)` for its third object, those that are up to date among them; else nothing."""
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
