"""The first process of a guest: mounts what BPF needs, does what /task/task.json says, reports, and switches it off."""

import ctypes
import fcntl
import gc
import json
import os
import socket
import struct
import sys
import time
from typing import Any

from .report import Reporter

MOUNTS = (
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("tmpfs", "/tmp"),
    ("tmpfs", "/run"),
    ("tracefs", "/sys/kernel/tracing"),
    ("debugfs", "/sys/kernel/debug"),
    ("securityfs", "/sys/kernel/security"),
    ("bpf", "/sys/fs/bpf"),
    ("cgroup2", "/sys/fs/cgroup"),
    ("devpts", "/dev/pts"),
    ("tmpfs", "/dev/shm"),
)
SYSCTLS = {
    "kernel/bpf_stats_enabled": "1",  # counts each program's runs
    "kernel/printk": "1 4 1 7",  # reports and the kernel's messages share a line
    "kernel/modprobe": "",  # there is none
    "kernel/hostname": "guest",
}
FINIT_MODULE = {"x86_64": 313, "aarch64": 273, "riscv64": 273, "armv7l": 379}  # the kernel's syscall tables
KERNEL_TYPES = "/task/kernel.btf"  # of a kernel without BTF of its own
POWER_OFF = 0x4321FEDC  # linux/reboot.h
SIOCSIFFLAGS, IFF_UP = 0x8914, 1  # linux/sockios.h, linux/if.h

libc = ctypes.CDLL(None, use_errno=True)


def mount_all() -> None:
    """Mounts all of MOUNTS; what this kernel doesn't have stays away."""
    for kind, place in MOUNTS:
        os.makedirs(place, exist_ok=True) if place.count("/") == 1 else None
        if place.startswith("/dev/"):
            os.makedirs(place, exist_ok=True)
        libc.mount(kind.encode(), place.encode(), kind.encode(), ctypes.c_ulong(0), None)
    for name, value in SYSCTLS.items():
        try:
            with open(f"/proc/sys/{name}", "w") as file:
                file.write(value)
        except OSError:
            pass


def load_modules(names: list[str]) -> list[str]:
    """Loads modules in their order; returns those that the kernel refused, with the reason."""
    refused = []
    for name in names:
        fd = os.open(f"/task/modules/{name}.ko", os.O_RDONLY)
        if libc.syscall(FINIT_MODULE[os.uname().machine], fd, b"", 0):
            refused.append(f"{name}: {os.strerror(ctypes.get_errno())}")
        os.close(fd)
    return refused


def bring_lo_up() -> None:
    """Switches the loopback interface on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def hide_btf() -> None:
    """Hides the kernel's BTF from user space, as on a kernel that was built without."""
    libc.mount(b"tmpfs", b"/sys/kernel/btf", b"tmpfs", ctypes.c_ulong(0), None)


def read(path: str) -> str:
    """Returns a small file's text; empty where there is none."""
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


def run_tests(tests: dict[str, Any]) -> None:
    """Runs the project's tests in a process of their own, where `folder` is the project; reaps what they leave."""
    paths = ":".join([*tests["python"], "/task"])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1", "BOOT_TEST": "1"}
    environment |= {"BOOT_BTF": KERNEL_TYPES} if os.path.exists(KERNEL_TYPES) else {}
    os.chdir(tests["folder"])
    runner = os.posix_spawn(sys.executable, [sys.executable, "-P", "-m", "guest.pytest_run"], environment)
    while os.wait()[0] != runner:
        pass


def main() -> None:
    """Runs the task and reports; whatever fails is reported, too."""
    gc.disable()  # emulated, looking for garbage takes a tenth of what a short life makes of it
    with open("/task/task.json") as file:
        task = json.load(file)
    report = Reporter(task["nonce"])
    mount_all()
    os.environ |= {"PATH": "/usr/sbin:/usr/bin", "HOME": "/tmp", "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
    refused = load_modules(read("/task/modules/order").split()) if task["modules"] else []
    bring_lo_up()
    if task["hide_btf"]:
        hide_btf()
    report(
        "guest",
        release=os.uname().release,
        machine=os.uname().machine,
        lsm=read("/sys/kernel/security/lsm"),
        page=os.sysconf("SC_PAGE_SIZE"),
        btf=os.path.exists("/sys/kernel/btf/vmlinux"),
        modules=refused,
        up=time.clock_gettime(time.CLOCK_BOOTTIME),
    )
    if task["objects"]:
        from .probe import probe_objects

        probe_objects(task["objects"], report)
    if task.get("tests"):
        run_tests(task["tests"])
    report("end", up=time.clock_gettime(time.CLOCK_BOOTTIME))


def run() -> None:
    """Runs the task, prints what went wrong, and switches the guest off, whatever happens."""
    try:
        main()
    except BaseException:
        import traceback  # only here: emulated, each import counts

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.sync()
        libc.reboot(POWER_OFF)
