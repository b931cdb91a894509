"""BpfPackage(name): the wheel of a program: objects, skeletons, the loader and the program's own Python."""

from pathlib import Path

from ebpfbuild.arch import BY_NAME
from ebpfbuild.files import write_file

from .step import build_path, builder, told

LOADER = Path(__file__).resolve().parents[3] / "loader" / "bpfloader"


def bpf_package(env, name, version, objects, skeletons, app=None, summary=""):
    """The node of build/dist/<name>-<version>-py3-none-<arches>.whl.

    `objects` and `skeletons` are nodes in folders named after their arch; `app` is a folder with the program's Python.
    """
    from ebpfbuild.wheel import wheel_name

    session = env["EBPF"]
    objects, skeletons = env.Flatten(objects), env.Flatten(skeletons)
    arches = sorted({node.dir.name for node in objects})
    target = env.File(build_path(env, "dist", wheel_name(name, version, [BY_NAME[arch] for arch in arches])))
    session.repair([target])
    folder = Path(env.Dir(app).srcnode().abspath) if app else None
    python = {"app": _files(folder) if folder else {}, "loader": _files(LOADER)}
    files = [env.File(str(path)) for each in python.values() for path in each.values()]
    WHEEL(env, target=target, source=[*objects, *skeletons, *files], **told(name=name, version=version, summary=summary, python=python))
    env.Depends(target, session.value(env, "package.py", name, version, summary, [sorted(each) for each in python.values()]))
    return target


def _files(folder):
    """The files that ship out of a folder: path below it to path on disk, without what Python leaves there."""
    return {
        path.relative_to(folder).as_posix(): str(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and path.suffix in (".py", ".typed")
    }


def _pack(target, source, env):
    from ebpfbuild.package import arch_files, package_files
    from ebpfbuild.wheel import build_wheel

    args = env["EBPF_TOLD"]
    arches = arch_files([Path(node.abspath) for node in source if node.is_derived()])
    app, loader = ({path: Path(file).read_bytes() for path, file in args.python[part].items()} for part in ("app", "loader"))
    files = package_files(args.name, app, loader, arches)
    write_file(Path(target[0].abspath), build_wheel(args.name, args.version, files, [BY_NAME[arch] for arch in arches], args.summary))


WHEEL = builder(_pack, "WHEEL    $TARGET")
METHODS = {"BpfPackage": bpf_package}
