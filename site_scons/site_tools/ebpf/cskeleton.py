"""BpfCSkeleton(objects): the C skeleton of each object, by the machine's bpftool: for images without Python."""

from pathlib import Path

from ebpfbuild.errors import ToolError
from ebpfbuild.files import write_file
from ebpfbuild.package.programs import stem_of

from .session import file_nodes
from .step import builder, told


def bpf_c_skeleton(env, objects, name=None):
    """The nodes of <stem>.skel.h beside each object; `name` is the struct's, by default the object's stem.

    EBPF_BPFTOOL is the bpftool to take, by default the first in the system's folders.
    """
    return [_declare(env, node, name) for node in file_nodes(env, objects)]


def _declare(env, node, name):
    from ebpfbuild.skeleton.c_skeleton import locate_bpftool

    session, stem = env["EBPF"], stem_of(node.name)
    target = node.dir.File(f"{stem}.skel.h")
    session.repair([target])
    try:
        tool = locate_bpftool(env.get("EBPF_BPFTOOL"), session.ledger)
    except ToolError as error:
        tool = error  # told by the step: another target may be built without it
    HEADER(env, target=target, source=node, **told(tool=tool, name=name or stem))
    env.Depends(target, session.value(env, "skeleton/c_skeleton.py", name or stem, getattr(tool, "fingerprint", None), str(tool)))
    return target


def _generate(target, source, env):
    from ebpfbuild.skeleton.c_skeleton import c_skeleton

    step = env["EBPF_TOLD"]
    if isinstance(step.tool, ToolError):
        raise step.tool
    write_file(Path(target[0].abspath), c_skeleton(step.tool, source[0].abspath, step.name))


HEADER = builder(_generate, "BPFTOOL  $TARGET")
METHODS = {"BpfCSkeleton": bpf_c_skeleton}
