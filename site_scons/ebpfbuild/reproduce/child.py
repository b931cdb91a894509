"""Starts a program in a changed world: `python child.py REPORT PLAN COMMAND…`, in a process of its own.

PLAN is JSON: `umask`, `cpus` (a list), `host` (a name), `preload` (a library for every program that is linked
dynamically). What the machine refuses is left as it is. REPORT is the file that gets, as JSON, why: the reasons by key.
A name of a host and the list of preloaded libraries are changed in namespaces of this process's own: unshare(2),
ld.so(8), and the kernel's overlayfs for a file in a folder that stays as it is.
"""

import ctypes
import json
import os
import sys
import tempfile
from collections.abc import Callable

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWUSER = 0x00020000, 0x04000000, 0x10000000
MS_REC, MS_PRIVATE, MS_RDONLY = 1 << 14, 1 << 18, 1
PRELOADED = "/etc/ld.so.preload"


def main(words: list[str]) -> None:
    """Changes what can be changed, writes the report, and becomes the program."""
    report, plan, *command = words
    wanted = json.loads(plan)
    refused: dict[str, str] = {}
    os.umask(wanted["umask"])
    attempt(refused, "cpus", lambda: os.sched_setaffinity(0, wanted["cpus"]))
    attempt(refused, "namespaces", own_namespaces)
    if "namespaces" not in refused:
        attempt(refused, "host", lambda: check(libc().sethostname(wanted["host"].encode(), len(wanted["host"]))))
        if wanted["preload"]:
            attempt(refused, "preload", lambda: preload(wanted["preload"]))
    if wanted["preload"] and {"preload", "namespaces"} & refused.keys():
        os.environ.update(LD_PRELOAD=wanted["preload"])
    with open(report, "w", encoding="utf-8") as file:
        json.dump(refused, file)
    os.execv(command[0], command)


def attempt(refused: dict[str, str], key: str, change: Callable[[], None]) -> None:
    """Makes a change, or notes why it can't be made."""
    try:
        change()
    except (OSError, AttributeError) as error:  # AttributeError: another system's Python or C library lacks the call
        refused[key] = getattr(error, "strerror", None) or str(error)


def own_namespaces() -> None:
    """Gets this process mounts and a host name of its own; as a plain user by a user namespace. Raises OSError."""
    user, group = os.geteuid(), os.getegid()
    try:
        check(libc().unshare(CLONE_NEWNS | CLONE_NEWUTS))
    except OSError:
        check(libc().unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWUTS))
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
    check(libc().mount(None, b"/", None, MS_REC | MS_PRIVATE, None))


def preload(library: str) -> None:
    """Has each program that is linked dynamically load a library first, whatever its environment. Raises OSError."""
    if os.path.exists(PRELOADED):
        raise OSError(0, f"{PRELOADED} is there already")
    folder = tempfile.mkdtemp(dir=os.path.dirname(library))
    with open(os.path.join(folder, os.path.basename(PRELOADED)), "w", encoding="utf-8") as file:
        file.write(f"{library}\n")
    os.chmod(folder, 0o755)
    layers = f"lowerdir={folder}:/etc".encode()
    check(libc().mount(b"overlay", b"/etc", b"overlay", MS_RDONLY, layers))


def libc() -> ctypes.CDLL:
    """Returns the C library."""
    return ctypes.CDLL(None, use_errno=True)


def check(status: int) -> None:
    """Raises OSError for a call of the C library's that failed."""
    if status < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


if __name__ == "__main__":
    main(sys.argv[1:])
