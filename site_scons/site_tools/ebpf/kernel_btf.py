"""Makes the minimal BTF of a package's objects for kernels without BTF: BpfPackage(kernel_btf=…)."""

import json
import os
from pathlib import Path
from typing import NamedTuple

import SCons.Node.FS

from ebpfbuild.files import write_file
from ebpfbuild.package.programs import stem_of
from ebpfbuild.pins.pins import KernelPin

from .arguments import flat
from .errors import StopError
from .fetching import project_file_digests
from .step import builder, step_args

ALL = "all"


class ObjectBtf(NamedTuple):
    """The node of an object's minimal BTF for a kernel; its file is empty where the object has no CO-RE relocation."""

    object: SCons.Node.FS.File
    pin: KernelPin
    node: SCons.Node.FS.File


def kernel_btfs(env, objects, names):
    """Returns the ObjectBtfs of objects for the kernels that are named, each for those of its own arch.

    "all" names each declared kernel that has a `uname`. Raises StopError for a name that toolchain.toml doesn't have.
    """
    pins = _pins(env, [str(name) for name in flat(env, names, "kernel_btf")])
    return [
        ObjectBtf(node, pin, _declare(env, node, pin))
        for node in objects
        for pin in pins
        if pin.file.arch == node.dir.name
    ]


def _pins(env, names):
    if not names:
        return []
    declared, path = env["EBPF"].toolchain.kernels, env["EBPF"].toolchain.path
    usable = [name for name, pin in declared.items() if pin.uname]
    if ALL in names:
        names = usable
    for name in names:
        if name not in declared:
            known = f"declared are {', '.join(declared)}" if declared else f"add a table [kernels.{name}] to {path}"
            raise StopError(f"kernel_btf: no kernel is called {name}; {known}")
        if name not in usable:
            fix = f'write uname = "…" in {declared[name].file.key}, what `uname -r` says on that kernel'
            raise StopError(f"kernel_btf: nothing tells by what {name} is known when it runs; {fix}")
    if not names:
        raise StopError('kernel_btf: no declared kernel has a uname; write uname = "…", what `uname -r` says there')
    return [declared[name] for name in dict.fromkeys(names)]


def _declare(env, node, pin):
    """Returns the node of build/<arch>/btf/<kernel>/<stem>.btf, beside the object."""
    session = env["EBPF"]
    target = node.dir.File(f"btf/{pin.name}/{stem_of(node.name)}.btf")
    if target in session.shared:
        return target
    session.shared[target] = pin
    session.repair([target])
    inputs = {
        f"pin {pin.types.key} sha256": pin.types.signature,
        "member": pin.types.source.inside or pin.member,
        "pinned file of the project": project_file_digests(env, [pin.types.source]),
        "code that reads kernels": session.inputs.code("kernel_image/open_btf.py"),
    }
    KERNEL_BTF(env, target=target, source=node, **step_args(pin=pin))
    env.Depends(target, session.inputs.node(env, "core_relo/minimal.py", **inputs))
    return target


def _write(target, source, env):
    from ebpfbuild.core_relo.minimal import minimal_btf
    from ebpfbuild.core_relo.relocated import read_ext
    from ebpfbuild.spec.object import ObjectSpec

    from .kernels import declared_kernel

    spec = ObjectSpec.from_bytes(Path(source[0].abspath).read_bytes(), source[0].path)
    made = b""
    if read_ext(spec).relocations:
        kernel = declared_kernel(env, env["EBPF"], env["EBPF_STEP_ARGS"].pin)
        made = minimal_btf([spec], kernel.btf)
    write_file(Path(target[0].abspath), made)


def btf_files(found):
    """Returns the core's BtfFiles of a package, by the path of their object."""
    from ebpfbuild.package.pack import BtfFile

    files = {}
    for each in found:
        row = BtfFile(each.pin.name, each.pin.uname, each.pin.types.sha256, each.node.abspath)
        files.setdefault(each.object.abspath, []).append(row)
    return files


def packed_btfs(folder):
    """Returns the paths of the BTFs in a package's folder, by its manifest; none where that can't be read."""
    try:
        with open(os.path.join(folder, "manifest.json"), encoding="utf-8") as file:
            programs = json.load(file)["programs"].values()
        rows = [row for arches in programs for each in arches.values() for row in each.get("btfs", ())]
        return [os.path.join(folder, path) for path in dict.fromkeys(row["path"] for row in rows)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


KERNEL_BTF = builder(_write, "BTF      $TARGET")
