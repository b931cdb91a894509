"""BpfCSkeleton(objects): the C skeleton of each object, by the machine's bpftool: for images without Python."""

from pathlib import Path

from ebpfbuild.errors import ToolError
from ebpfbuild.files import write_file
from ebpfbuild.package.programs import stem_of

from .arguments import string
from .by_arch import beside_objects
from .project_files import objects_of
from .step import builder, step_args


def bpf_c_skeleton(env, objects, name=None):
    """Returns the nodes of <stem>.skel.h beside each object; `name` is the struct's, by default the object's stem.

    EBPF_BPFTOOL is the bpftool to take, by default the first in the system's folders.
    """
    name = string(env, name)
    return beside_objects([_declare(env, node, name) for node in objects_of(env, objects)])


def _declare(env, node, name):
    from ebpfbuild.skeleton.c_skeleton import Bpftool, locate_bpftool

    session, stem = env["EBPF"], stem_of(node.name)
    target = node.dir.File(f"{stem}.skel.h")
    session.repair([target])
    try:
        tool = locate_bpftool(string(env, env.get("EBPF_BPFTOOL")), session.ledger)
    except ToolError as error:
        tool = error  # raised by the step: another target may be built without it
    C_SKELETON(env, target=target, source=node, **step_args(tool=tool, name=name or stem))
    bpftool = f"{tool.version} {tool.fingerprint}" if isinstance(tool, Bpftool) else str(tool)
    env.Depends(target, session.inputs.node(env, "skeleton/c_skeleton.py", name=name or stem, bpftool=bpftool))
    return target


def _generate(target, source, env):
    from ebpfbuild.skeleton.c_skeleton import c_skeleton

    step = env["EBPF_STEP_ARGS"]
    if isinstance(step.tool, ToolError):
        raise step.tool
    write_file(Path(target[0].abspath), c_skeleton(step.tool, source[0].abspath, step.name, env["EBPF"].run.runner))


C_SKELETON = builder(_generate, "BPFTOOL  $TARGET")
METHODS = {"BpfCSkeleton": bpf_c_skeleton}
