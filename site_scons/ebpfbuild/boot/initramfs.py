"""Puts a guest's initramfs together: the userland, the kernel's modules, and the task with all that it needs."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .cpio import Device, File, Symlink, cpio

GUEST = Path(__file__).resolve().parent / "guest"
Tree = dict[str, File | Symlink | Device]


class GuestObject(NamedTuple):
    """An object that a guest loads: its name here, its bytes, its programs' sections by name, the Python that loads it.

    `python` is a folder of a Payload, `loader` the loader's package in it: `socket_tracker.bpfloader`.
    """

    name: str
    data: bytes
    programs: Mapping[str, str]
    python: str
    loader: str


def guest_files(loaders: Mapping[str, Mapping[str, bytes]]) -> Tree:
    """Returns a guest's own Python, and that of loaders by the folder that they get below /task."""
    own = {f"task/guest/{path.name}": File(path.read_bytes()) for path in sorted(GUEST.glob("*.py"))}
    given = {f"task/{folder}/{path}": File(data) for folder, files in loaders.items() for path, data in files.items()}
    return {**own, **given}


def init_script(python: str) -> Tree:
    """Returns /init, which the kernel starts, for an interpreter such as `usr/bin/python3.13`."""
    text = f'#!/{python} -IS\nimport sys\nsys.path.insert(0, "/task")\nfrom guest.init import run\nrun()\n'
    return {"init": File(text.encode(), 0o755)}


def module_files(modules: Mapping[str, bytes]) -> bytes:
    """Returns the archive of modules, and of the order in which init loads them."""
    tree: Tree = {f"task/modules/{name}.ko": File(data) for name, data in modules.items()}
    tree["task/modules/order"] = File("".join(f"{name}\n" for name in modules).encode())
    return cpio(tree)


def task_files(task: Mapping[str, Any], objects: Sequence[GuestObject], btf: bytes = b"") -> bytes:
    """Returns the archive with /task/task.json, which init reads, and the objects; `task` is what else stands there.

    `btf` becomes /task/kernel.btf, where there is any.
    """
    tree: Tree = {"task/kernel.btf": File(btf)} if btf else {}
    rows = []
    for number, each in enumerate(objects):
        file, sha256 = f"task/objects/{number}.bpf.o", hashlib.sha256(each.data).hexdigest()
        tree[file] = File(each.data)
        rows.append({"file": f"/{file}", "sha256": sha256, "path": [f"/task/{each.python}"], "loader": each.loader})
    tree["task/task.json"] = File(json.dumps({**task, "objects": rows}, sort_keys=True).encode())
    return cpio(tree)


def digest_of(*parts: bytes | str) -> str:
    """Returns a sha256 over parts, each with its length in front."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        whole.update(len(data).to_bytes(8, "little") + data)
    return whole.hexdigest()
