"""What `sizes`, `why` and `prove` are to know of what is declared; nothing where none of them is asked for."""

import SCons.Script

WORDS = SCons.Script.COMMAND_LINE_TARGETS
MINIMIZED = []  # for `why`: the environment, the node and the Minimizing of each minimized header


OBJECTS = []  # for `prove`: the environment and the node of each object


def object_declared(env, node):
    """Tells `sizes` and `prove` of an object."""
    if "sizes" in WORDS:
        env.Alias("sizes", node)
    if "prove" in WORDS:
        OBJECTS.append((env, node))
        env.Alias("prove", node)


def header_declared(env, node, step):
    """Tells `why` of a minimized header, by the node of the step that makes it."""
    if "why" in WORDS:
        MINIMIZED.append((env, node, step))
        env.Alias("why", [env.LibbpfHeaders(), step.full])
