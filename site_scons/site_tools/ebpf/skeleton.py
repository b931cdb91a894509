"""BpfSkeleton(object): the typed Python skeleton of an object, beside it."""

from pathlib import Path

from ebpfbuild.files import write_file

from .step import builder, told


def bpf_skeleton(env, objects, name=None):
    """The nodes of <stem>_skel.py beside each object; `name` is the program's, by default the object's stem."""
    return [_declare(env, node, name) for node in env.Flatten(objects)]


def _declare(env, node, name):
    session, node = env["EBPF"], env.File(node)
    stem = node.name.removesuffix(".o").removesuffix(".bpf")
    target = node.dir.File(f"{stem}_skel.py")
    session.repair([target])
    arch = node.dir.name
    SKELETON(env, target=target, source=node, **told(name=name or stem, arch=arch))
    env.Depends(target, session.value(env, "skeleton.py", name or stem, arch))
    return target


def _render(target, source, env):
    from ebpfbuild.skeleton import render

    data = Path(source[0].abspath).read_bytes()
    args = env["EBPF_TOLD"]
    text = render(data, args.name, args.arch, source[0].name)
    write_file(Path(target[0].abspath), text.encode())


SKELETON = builder(_render, "SKELETON $TARGET")
METHODS = {"BpfSkeleton": bpf_skeleton}
