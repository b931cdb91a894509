"""Leaves a process in sight of what it is given alone, by unshare(2), mount(2), chroot(2) and prctl(2).

It needs the standard library alone, as all that helper.py runs.
"""

import ctypes
import os
import struct
from errno import EINVAL

CLONE_FS, CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00000200, 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 1 << 12, 1 << 14, 1 << 18
MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
HOST = b"sandbox"

libc = ctypes.CDLL(None, use_errno=True)


def leave(place: str) -> None:
    """Gets this process namespaces of its own, without a network, and an empty file system in memory at `place`.

    As root, or as a plain user by a user namespace. Raises OSError that names the call which the machine refuses.
    """
    others = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET
    user, group = os.geteuid(), os.getegid()
    if libc.unshare(others) < 0:
        _check("unshare", libc.unshare(CLONE_NEWUSER | others))
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
    make_mounts_private()
    mount("sandbox", place, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    _check("sethostname", libc.sethostname(HOST, len(HOST)))


def make_mounts_private() -> None:
    """Has no mount that this process makes show up elsewhere. Raises OSError.

    A chroot's root is no mount that could be named. There the process steps out to its namespace's root, as setns(2)
    does, and back.
    """
    try:
        mount(None, "/", None, MS_REC | MS_PRIVATE)
        return
    except OSError as error:
        if error.errno != EINVAL:
            raise
    root = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    namespace = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check("setns", libc.setns(namespace, CLONE_NEWNS))
        mount(None, "/", None, MS_REC | MS_PRIVATE)
        os.fchdir(root)
        os.chroot(".")
    finally:
        os.close(namespace)
        os.close(root)


def own_folders() -> None:
    """Gets this thread a root, a working folder and a umask of its own. Raises OSError."""
    _check("unshare", libc.unshare(CLONE_FS))


def mount_read_only(source: str, target: str) -> None:
    """Shows a file or folder at another place, read-only. Raises OSError."""
    mount(source, target, None, MS_BIND)
    # In a user namespace the limits that the file system has already must be named again: mount_namespaces(7).
    found = os.statvfs(source).f_flag
    kept = found & (MS_NOSUID | MS_NODEV | MS_NOEXEC)
    times = {1024: 1 << 10, 2048: 1 << 11, 4096: 1 << 21}  # ST_NOATIME, ST_NODIRATIME, ST_RELATIME to MS_
    kept |= sum(flag for bit, flag in times.items() if found & bit)
    mount(None, target, None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | kept)


def show(source: str, target: str) -> None:
    """Shows a mount at another place, with its limits. Raises OSError."""
    mount(source, target, None, MS_BIND)


def hide(target: str) -> None:
    """Takes such a mount away, if it is used as well. Raises OSError."""
    _check(f"umount {target}", libc.umount2(os.fsencode(target), MNT_DETACH | UMOUNT_NOFOLLOW))


def give_up_on_exec() -> None:
    """Keeps this process's privileges, but has no program that it starts get or gain any. Raises OSError."""
    _check("prctl", libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    for capability in range(64):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 and ctypes.get_errno() == EINVAL:
            break  # the kernel knows no more
    # A program of root's gets what its starter has as inheritable, too: capabilities(7), as some containers leave it.
    header, sets = struct.pack("=Ii", 0x20080522, 0), ctypes.create_string_buffer(24)  # _LINUX_CAPABILITY_VERSION_3
    _check("capget", libc.capget(header, sets))
    words = list(struct.unpack("=6I", sets.raw))  # effective, permitted and inheritable, for 32 capabilities each
    words[2] = words[5] = 0
    _check("capset", libc.capset(header, struct.pack("=6I", *words)))


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    """Calls mount(2). Raises OSError."""
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind, options)]
    _check(f"mount {target}", libc.mount(*words[:3], ctypes.c_ulong(flags), words[3]))


def _check(call: str, status: int) -> None:
    if status < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), call)
