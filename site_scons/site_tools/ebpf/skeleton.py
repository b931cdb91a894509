"""BpfSkeleton(objects): the typed Python skeleton of a program's objects, and its stub."""

from pathlib import Path

from ebpfbuild.arch import arch_named
from ebpfbuild.files import write_file
from ebpfbuild.package.programs import stem_of
from ebpfbuild.skeleton.names import module_name

from .arguments import from_root, string
from .errors import StopError, user_error
from .project_files import objects_of
from .step import builder, output_path, step_args
from .variants import in_variant


def bpf_skeleton(env, objects, name=None, events=None):
    """Returns the nodes of <stem>_skel.py and <stem>_skel.pyi, one pair for the objects of all arches of a program.

    The object of one arch has them beside it, those of several in the build folder, which holds the arches' folders.
    A character that `import` can't name is an underscore in the stem: the module of tcp-rtt.bpf.o is tcp_rtt_skel.
    `name` is the program's, by default the objects' stem; `events` are the C types of the records of ring and perf
    buffers, by map: {"events": "struct event"}.
    """
    nodes, name = objects_of(env, objects), string(env, name)
    if not isinstance(events or {}, dict):
        raise StopError(f'BpfSkeleton: events={events!r} is no dict; write events={{"MAP": "struct TYPE"}}')
    files = sorted({node.name for node in nodes})
    if len(files) != 1:
        what = f"got {' and '.join(files)}" if files else "got no object"
        raise StopError(f"BpfSkeleton: {what}; hand it the objects of one program, those of all its arches together")
    by_arch = {user_error(arch_named, node.dir.name, node.path).name: node for node in nodes}
    if len(by_arch) < len(nodes):
        raise StopError(f"BpfSkeleton: got two objects {files[0]} for one arch; hand it one for each arch")
    return _declare(in_variant(env, nodes), by_arch, name or stem_of(files[0]), dict(events or {}))


def _declare(env, by_arch, name, events):
    session, (first, *others) = env["EBPF"], by_arch.values()
    module = module_name(stem_of(first.name))
    place = output_path(env, module) if others else from_root(f"{first.dir.path}/{module}")
    targets = [env.fs.File(f"{place}{ending}") for ending in (".py", ".pyi")]
    session.repair(targets)
    SKELETON(env, target=targets, source=[first, *others], **step_args(name=name, events=events, arches=list(by_arch)))
    inputs = session.inputs.node(env, "skeleton/skeleton.py", name=name, event=events, arch=list(by_arch))
    for target in targets:
        target.add_dependency([inputs])
    return targets


def _render(target, source, env):
    from ebpfbuild.skeleton.skeleton import skeleton

    args = env["EBPF_STEP_ARGS"]
    objects = {arch: Path(node.abspath).read_bytes() for arch, node in zip(args.arches, source, strict=True)}
    made = skeleton(objects, args.name, source[0].name, args.events)
    for node, text in zip(target, (made.module, made.stub), strict=True):
        write_file(Path(node.abspath), text.encode())
    for text in made.notices:
        env["EBPF"].reporter.notice(text)


SKELETON = builder(_render, "SKELETON $TARGET")
METHODS = {"BpfSkeleton": bpf_skeleton}
