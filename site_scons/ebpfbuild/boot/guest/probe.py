"""Loads and attaches each program of an object on the kernel that runs, makes traffic, and counts how often it ran."""

import ctypes
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from .traffic import make_traffic

SECONDS = 120  # that an object may take, emulated
CGROUP, INTERFACE = "/sys/fs/cgroup", "lo"
# struct bpf_prog_info of linux/bpf.h: where run_cnt and verified_insns (since 5.16) are, and its size up to there.
RUN_CNT, VERIFIED_INSNS, INFO_SIZE = 200, 216, 232
MOST_TEXT = 2000  # characters of a refusal

Report = Callable[..., None]


def probe_objects(objects: list[dict[str, Any]], report: Report) -> None:
    """Probes each object in a process of its own, so that one can't break the next one.

    The last one's process is not waited for once it has reported: the kernel takes seconds to detach programs.
    """
    for number, spec in enumerate(objects):
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            signal.alarm(SECONDS)
            try:
                Probe(number, spec, report).run()
            except BaseException:
                import traceback  # only here: emulated, each import counts

                report("object", object=number, error=traceback.format_exc()[-MOST_TEXT:])
            finally:
                sys.stdout.flush()
                os.write(writing, b"done")
                os.close(writing)
                os._exit(0)
        os.close(writing)
        done = os.read(reading, 4)
        os.close(reading)
        if done and number == len(objects) - 1:
            return
        status = os.waitpid(pid, 0)[1]
        if not done:
            late = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM
            report("object", object=number, error=f"it took longer than {SECONDS} s" if late else "it was killed")


class Probe:
    """An object that is probed with the loader of its own wheel."""

    def __init__(self, number: int, spec: dict[str, Any], report: Report):
        sys.path[:0] = spec["path"]
        self._loader = import_module(spec["loader"])
        self._number, self._file, self._report = number, spec["file"], report
        self._give_sizes = import_module(f"{spec['loader']}.verifier.sizes").give_sizes
        self._open_object = self._skeleton(spec["loader"].rpartition(".")[0], spec["sha256"])
        self._opened: list[Any] = []
        self._sockets: list[socket.socket] = []
        self._libbpf = ctypes.CDLL("libbpf.so.1")

    def run(self) -> None:
        """Loads all programs at once or, where that is refused, each alone; attaches, makes traffic, reports."""
        found = self._loaded_together()
        attached = {name: self._attach(program) if program else "" for name, (program, _, _) in found.items()}
        links = [part.attach() for part in self._struct_ops()]
        refused = make_traffic()
        self._read_iterators()
        for name, (program, section, error) in found.items():
            runs, insns = self._counts(program.fd) if program else (0, 0)
            self._report(
                "program",
                object=self._number,
                program=name,
                section=section,
                load=error,
                attach=attached[name],
                events=runs,
                insns=insns,
            )
        self._report("object", object=self._number, error="", traffic=refused, links=len(links))

    def _skeleton(self, package: str, digest: str) -> Any:
        """Returns what opens the object: its skeleton's open, which brings what a wheel holds for kernels without BTF.

        Where no skeleton of the package is of these bytes, the loader's own.
        """
        files = os.listdir(import_module(package).__path__[0]) if package else []
        for name in sorted(file.removesuffix(".py") for file in files if file.endswith("_skel.py")):
            for kind in vars(import_module(f"{package}.{name}")).values():
                if isinstance(kind, type) and digest in getattr(kind, "OBJECTS", {}).values():
                    return kind.open  # type: ignore[attr-defined]
        return lambda: self._loader.Object.open(self._file)

    def _open(self) -> Any:
        bpf = self._open_object()
        self._give_sizes(bpf)  # the tool isn't there that sets them
        self._opened.append(bpf)
        return bpf

    def _loaded_together(self) -> dict[str, tuple[Any, str, str]]:
        """Returns for each program itself, or None where it was refused, its section, and the refusal."""
        bpf = self._open()
        sections = {program.name: program.section for program in bpf.progs}
        usual = [program.name for program in bpf.progs if program.autoload]
        found = {}
        try:
            if usual:
                bpf.load()
                found = {name: (getattr(bpf.progs, name), sections[name], "") for name in usual}
        except self._loader.BpfError:
            self._opened.remove(bpf)  # its maps of struct_ops are none
            bpf.destroy()
        return {name: found.get(name) or self._loaded_alone(name, section) for name, section in sections.items()}

    def _loaded_alone(self, name: str, section: str) -> tuple[Any, str, str]:
        try:
            bpf = self._open()
            bpf.select([name])
            bpf.load()
            return getattr(bpf.progs, name), section, ""
        except self._loader.BpfError as error:
            return None, section, str(error)[:MOST_TEXT]

    def _attach(self, program: Any) -> str:
        """Attaches a program where its section says, else to what a guest has; returns why it isn't attached."""
        try:
            self._link(program)
            return ""
        except self._loader.BpfError as error:
            return str(error)[:MOST_TEXT]

    def _link(self, program: Any) -> None:
        kind = type(program).__mro__
        names = {each.__name__ for each in kind}
        if "CgroupProgram" in names:
            program.attach(CGROUP)
        elif names & {"XdpProgram", "TcProgram"}:
            program.attach(INTERFACE)
        elif names & {"SocketFilterProgram", "ReuseportProgram"}:
            self._sockets.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            program.attach(self._sockets[-1])
        elif names & {"NetnsProgram"}:
            program.attach()
        elif "PerfEventProgram" in names:
            program.attach("cpu-clock", frequency=100)
        elif names & {"StructOpsProgram", "SyscallProgram", "NetkitProgram", "SockmapProgram", "NetfilterProgram"}:
            raise self._loader.AttachError("a guest has nothing to attach it to")
        elif program.attach_by_section() is None:
            raise self._loader.AttachError("its section names nothing to attach it to")

    def _struct_ops(self) -> list[Any]:
        """Returns the maps of struct_ops that were created."""
        found = []
        for bpf in self._opened:
            found += [part for part in bpf.maps if type(part).__name__ == "StructOpsMap" and part.autocreate]
        return found

    def _read_iterators(self) -> None:
        """Reads each iterator once, which is when its program runs."""
        for bpf in self._opened:
            for link in bpf.links:
                if hasattr(link, "read"):
                    link.read()

    def _counts(self, fd: int) -> tuple[int, int]:
        """Returns how often a program ran, and how many instructions the verifier looked at; 0 where it doesn't say."""
        info, size = ctypes.create_string_buffer(INFO_SIZE), ctypes.c_uint32(INFO_SIZE)
        if self._libbpf.bpf_obj_get_info_by_fd(fd, info, ctypes.byref(size)):
            return 0, 0
        (runs,) = struct.unpack_from("=Q", info.raw, RUN_CNT)
        (insns,) = struct.unpack_from("=I", info.raw, VERIFIED_INSNS)
        return runs, insns
