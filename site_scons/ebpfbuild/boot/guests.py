"""Boots guests one after another: makes what each needs, runs it, and reads what it reports."""

import os
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..console import Reporter
from ..errors import BootError
from ..files import write_file
from . import qemu
from .bytecode import Interpreter, as_bytecode, with_bytecode
from .cpio import File, cpio
from .derived import Derived
from .initramfs import GuestObject, Tree, digest_of, guest_files, init_script, module_files, task_files
from .modules import KernelFiles, kernel_files
from .progress import Progress, followed
from .results import Guest, KernelRun, errors_of, programs_of
from .tests import TestsRun, reported_tests
from .userland import python_of, userland
from .wire import number_of, reports, start_of, text_of

# bpf in lsm= lets LSM programs attach; the rest are Debian's own. Emulated, tests of ciphers take long, and so does the
# start of a source of randomness (jitterentropy) that a guest has no use for.
ARGUMENTS = "lsm=landlock,lockdown,yama,bpf cryptomgr.notests initcall_blacklist=jent_mod_init"

PROJECT, PACKAGES = "project", "task/packages"  # where a guest has the project's files, and Python packages

TRAFFIC_CONTROL = re.compile(r"\??(tc|classifier|action|netkit)")  # sections of programs that WANTED modules are for

Package = tuple[str, Callable[[], bytes], str]  # where it is, what reads it, its sha256


class BootKernel(NamedTuple):
    """A kernel to boot: its packages, the image's path in the first one, and whether user space sees its BTF.

    `btf` are the types of a kernel whose own can't be seen there, as bytes, for a project's tests.
    """

    name: str
    arch: str
    release: str
    packages: tuple[Package, ...]
    member: str = ""
    hide_btf: bool = False
    btf: bytes = b""


class GuestTests(NamedTuple):
    """A project's tests: its files by path, Python packages by path in site-packages, and words for pytest."""

    files: Mapping[str, File]
    packages: Mapping[str, bytes]
    words: tuple[str, ...]

    def tree(self) -> Tree:
        """Returns the files of a guest that runs them."""
        packages = {f"{PACKAGES}/{path}": File(data) for path, data in self.packages.items()}
        return {**packages, **{f"{PROJECT}/{path}": file for path, file in self.files.items()}}

    def task(self, python: Sequence[str]) -> dict[str, Any]:
        """Returns what the guest's task says of them; `python` are the folders of wheels below /task."""
        folders = [*(f"/task/{each}" for each in python), f"/{PACKAGES}"]
        return {"tests": {"folder": f"/{PROJECT}", "python": folders, "words": list(self.words)}}


class Booter:
    """Boots kernels with userlands of pinned packages.

    `folder` is where serial output and what is made lie, `packages` returns those of an arch's userland, `host` is this
    machine's arch, `code` the digest of what makes a guest of them. `report` is told how far a guest is, and
    `interrupted` asked whether it is to be stopped.
    """

    def __init__(
        self,
        folder: Path,
        packages: Callable[[str], Sequence[Package]],
        host: str,
        code: str,
        report: Reporter,
        interrupted: Callable[[], bool] = lambda: False,
    ):
        self._folder, self._packages, self._host, self._code, self._report = folder, packages, host, code, report
        self._interrupted = interrupted
        self._derived = Derived(folder / ".made")
        self._interpreter: Interpreter | None = None
        self._accelerators: dict[str, str] = {}
        self._payload, self._objects, self._task = b"", list[GuestObject](), dict[str, Any]()

    def __enter__(self) -> "Booter":
        return self

    def __exit__(self, *error: object) -> None:
        if self._interpreter:
            self._interpreter.__exit__(*error)

    def give(self, python: Mapping[str, Mapping[str, bytes]], objects: Sequence[GuestObject]) -> None:
        """Gives all guests Python, by folders below /task, and the objects that they load.

        Raises BootError, FetchError and ArchiveError.
        """
        self._give(guest_files(python))
        self._objects, self._task = list(objects), {}

    def give_tests(self, python: Mapping[str, Mapping[str, bytes]], tests: GuestTests) -> None:
        """Gives all guests Python, by folders below /task, and a project's tests, which they run. Raises as give."""
        self._give({**guest_files(python), **tests.tree()})
        self._objects, self._task = [], tests.task(list(python))

    def _give(self, tree: Tree) -> None:
        key = digest_of("payload", self._code, cpio(tree), *(sha256 for _, _, sha256 in self._packages(self._host)))
        self._payload = self._derived.get(key, lambda: cpio(with_bytecode(tree, self._python())))

    def boot(self, kernel: BootKernel, seconds: float) -> "Booted":
        """Boots a kernel and returns what came of it.

        Raises BootError, FetchError, ArchiveError, OSError, and StoppedError for one that was interrupted.
        """
        machine, nonce = qemu.machine_for(kernel.arch), secrets.token_hex(8)
        place = self._folder / re.sub(r"[^\w+-]", "_", kernel.name)  # a quoted key of TOML may hold anything
        files = self._kernel_files(kernel)
        task = {"nonce": nonce, "hide_btf": kernel.hide_btf, "modules": self._need_modules(), **self._task}
        write_file(place / "kernel", files.image)
        own = task_files(task, self._objects, kernel.btf)
        write_file(place / "initramfs", b"".join([*self._archives(kernel), files.archive, own]))
        accel = self._accelerators.setdefault(kernel.arch, qemu.accelerator(kernel.arch))
        words = qemu.command(machine, accel, place / "kernel", place / "initramfs", ARGUMENTS)
        silence = qemu.KVM_SILENCE if accel == "kvm" else 0
        progress = Progress(sum(len(each.programs) for each in self._objects))
        with followed(place / "serial.log", nonce, progress, f"{kernel.name} ({accel})", self._report):
            log, sign = place / "serial.log", start_of(nonce)
            outcome = qemu.run(words, log, seconds, silence=silence, sign=sign, interrupted=self._interrupted)
        said = list(reports(outcome.serial, nonce))
        if accel == "kvm" and not said and not outcome.stopped.startswith(qemu.LATE):
            self._accelerators[kernel.arch] = "tcg"  # /dev/kvm opens, and doesn't work, or not with this kernel
            why = outcome.stopped or "it ended before it reported anything"
            self._report.notice(f"{kernel.name} (kvm): {why}; guests of {kernel.arch} are emulated now")
            return self.boot(kernel, seconds)
        return Booted(kernel, outcome, said, accel, os.path.relpath(place / "serial.log"))

    def run(self, kernel: BootKernel, seconds: float) -> KernelRun:
        """Boots a kernel, has all objects loaded there, and returns how far their programs came. Raises as boot."""
        booted = self.boot(kernel, seconds)
        objects = [(each.name, tuple(each.programs)) for each in self._objects]
        return KernelRun(booted.guest(errors_of(booted.said, objects)), programs_of(booted.said, objects))

    def run_tests(self, kernel: BootKernel, seconds: float) -> TestsRun:
        """Boots a kernel and has the tests run there. Raises as boot."""
        booted = self.boot(kernel, seconds)
        return reported_tests(booted.guest(errors_of(booted.said, ())), booted.said)

    def _need_modules(self) -> bool:
        """Returns True where tests run, or a program is of traffic control: emulated, loading takes a second."""
        sections = {section for each in self._objects for section in each.programs.values()}
        return bool(self._task) or any(TRAFFIC_CONTROL.match(section) for section in sections)

    def _archives(self, kernel: BootKernel) -> tuple[bytes, bytes]:
        packages = self._packages(kernel.arch)
        key = digest_of("userland", self._code, *(sha256 for _, _, sha256 in packages))
        return self._derived.get(key, lambda: cpio(self._userland(packages))), self._payload

    def _userland(self, packages: Sequence[Package]) -> Tree:
        tree = userland((where, read()) for where, read, _ in packages)
        return {**as_bytecode(tree, self._python()), **init_script(python_of(tree))}

    def _python(self) -> Interpreter:
        if self._interpreter is None:
            packages = self._packages(self._host)
            self._interpreter = Interpreter(userland((where, read()) for where, read, _ in packages))
        return self._interpreter

    def _kernel_files(self, kernel: BootKernel) -> "_KernelArchive":
        key = digest_of("kernel", self._code, kernel.member, *(sha256 for _, _, sha256 in kernel.packages))
        found: list[KernelFiles] = []

        def files() -> KernelFiles:
            if not found:
                found.append(kernel_files(((where, read()) for where, read, _ in kernel.packages), kernel.member))
            return found[0]

        image = self._derived.get(f"{key}.image", lambda: files().image)
        return _KernelArchive(image, self._derived.get(f"{key}.modules", lambda: module_files(files().modules)))


class _KernelArchive(NamedTuple):
    image: bytes
    archive: bytes


class Booted(NamedTuple):
    """A guest that has ended: what QEMU says, and what the guest reported."""

    kernel: BootKernel
    outcome: qemu.Outcome
    said: list[dict[str, Any]]
    accelerator: str
    log: str

    @property
    def stopped(self) -> str:
        """Why it did not end by itself; empty where it did."""
        ended = any(each.get("kind") == "end" for each in self.said)
        return self.outcome.stopped or ("" if ended else "it ended before all was done")

    def guest(self, errors: tuple[str, ...]) -> Guest:
        """Returns what the guest says of itself."""
        facts = next((each for each in self.said if each.get("kind") == "guest"), {})
        kernel = self.kernel
        return Guest(
            kernel.name,
            kernel.arch,
            kernel.release,
            text_of(facts, "release", 100),
            number_of(facts, "page") or 0,
            facts.get("btf") is True,
            self.outcome.seconds,
            self.stopped,
            errors,
            self.log,
            self.accelerator,
        )


def require_bootable(arches: Sequence[str], built: Sequence[str]) -> None:
    """Raises BootError where no kernel is to be booted, or one whose QEMU is missing: before anything is fetched.

    `arches` are those of the kernels, `built` those of the objects.
    """
    if not arches:
        what = f"no declared kernel of {', '.join(built)} has an image that can be booted"
        fix = "add a table [kernels.NAME] with the pool path of a kernel's .deb to the project's toolchain.toml"
        raise BootError(what, where="boot", fix=fix)
    for arch in dict.fromkeys(arches):
        qemu.machine_for(arch)
