"""BpfPackage(name): the wheel of a program: objects, skeletons, the loader and the program's own Python."""

import os
from functools import cache
from pathlib import Path

from ebpfbuild.arch import BY_NAME, arch_named
from ebpfbuild.files import write_file
from SCons.Errors import StopError

from .session import user_error
from .step import build_path, builder, told

LOADER = Path(__file__).resolve().parents[3] / "loader" / "bpfloader"


def bpf_package(env, name, version, objects, skeletons, app=None, summary=""):
    """The node of build/dist/<name>-<version>-py3-none-<arches>.whl.

    `objects` and `skeletons` are nodes in folders named after their arch; `app` is a folder with the program's Python.
    """
    from ebpfbuild.wheel import wheel_name

    if not name.isidentifier():
        raise StopError(f"BpfPackage: {name!r} can't be imported; name it as a Python module: letters, digits and _")
    session = env["EBPF"]
    objects, skeletons = ([env.File(node) for node in env.Flatten(nodes)] for nodes in (objects, skeletons))
    arches = sorted({user_error(arch_named, node.dir.name, node.path) for node in objects})
    target = env.File(build_path(env, "dist", user_error(wheel_name, name, version, arches)))
    session.repair([target])
    folder = app and env.Dir(app).srcnode().abspath
    if app and not os.path.isdir(folder):
        raise StopError(f"app: there is no folder {app}; name the one that holds {name}'s Python")
    python = {"loader": _files(str(LOADER)), "app": _files(folder) if app else {}}
    WHEEL(env, target=target, source=[*objects, *skeletons], **told(name=name, version=version, summary=summary, python=python))
    digests = {part: {path: session.ledger.digest(file) for path, file in files.items()} for part, files in python.items()}
    env.Depends(target, session.value(env, "package.py", name, version, summary, digests))
    return target


@cache
def _files(folder):
    """The files that ship out of a folder: path below it to path on disk, without what Python leaves there."""
    found = {}
    for parent, _, names in os.walk(folder):
        kept = (os.path.join(parent, name) for name in names if name.endswith((".py", ".typed")))
        found |= {os.path.relpath(file, folder): file for file in kept}
    return dict(sorted(found.items()))


def _pack(target, source, env):
    from ebpfbuild.package import arch_files, package_files
    from ebpfbuild.wheel import build_wheel

    args = env["EBPF_TOLD"]
    arches = arch_files([Path(node.abspath) for node in source])
    app, loader = ({path: Path(file).read_bytes() for path, file in args.python[part].items()} for part in ("app", "loader"))
    files = package_files(args.name, app, loader, arches)
    write_file(Path(target[0].abspath), build_wheel(args.name, args.version, files, [BY_NAME[arch] for arch in arches], args.summary))


WHEEL = builder(_pack, "WHEEL    $TARGET")
METHODS = {"BpfPackage": bpf_package}
