"""Defines the errors that this project raises for a user's mistake: one line each, never a traceback."""

from .escape import printable


class EbpfError(Exception):
    """Base of them all. Its text says where, what is wrong, and what to do next, in that order.

    `where` is `file:line` or a key path such as `vmlinux.aarch64.sha256`; `fix` is the next step. Either may be empty.
    `details` are further lines (a compiler's diagnostics, a table of digests), printed below the first, indented.
    As text each of them is one line that a terminal may get, whatever a server, a file or its name put into it.
    """

    def __init__(self, what: str, *, where: str = "", fix: str = "", details: tuple[str, ...] = ()):
        self.what, self.where, self.fix, self.details = what, where, fix, tuple(details)
        super().__init__(what)

    def __str__(self) -> str:
        line = f"{self.where}: {self.what}" if self.where else self.what
        if self.fix:
            line += f"; {self.fix}"
        return "\n".join([printable(line), *(f"  {printable(detail, kept=chr(9))}" for detail in self.details)])


class PinError(EbpfError):
    """toolchain.toml says something that can't be used."""


class ArchError(EbpfError):
    """A name that is no arch, or an arch without a pin."""


class FetchError(EbpfError):
    """An artifact could not be had from any of its sources."""


class HurriedError(FetchError):
    """A source was given up early since others were left. More patience may help."""


class StoppedError(EbpfError):
    """Somebody interrupted the build while an artifact was fetched."""


class OfflineError(FetchError):
    """An artifact is not in the store and the build may not connect."""


class ShortageError(EbpfError):
    """This machine has run out of something while an artifact was fetched; no source is to blame."""


class VendorError(EbpfError):
    """A vendor folder can't be made, or lacks what a build asks for."""


class MismatchError(FetchError):
    """Bytes arrived whose size or sha256 is not the pinned one. Never retried."""


class ArchiveError(EbpfError):
    """An archive is malformed, lacks a member, or tries to write outside its folder."""


class HeaderError(EbpfError):
    """A vmlinux.h that does not fit the arch it is used for, or is no vmlinux.h at all."""


class CompilerError(EbpfError):
    """The pinned compiler is missing or is another version."""


class FlagError(EbpfError):
    """An option of clang's that a build can't pass on."""


class CompileError(EbpfError):
    """clang refused a program."""


class UndeclaredInputError(CompileError):
    """A compile read a file that the graph does not know."""


class LinkError(EbpfError):
    """Objects that can't be linked, or a linker that doesn't run here."""


class BundleError(EbpfError):
    """A libbpf that can't be built for a wheel, or that needs more than wheels may ask for."""


class ElfError(EbpfError):
    """Bytes that are not a BPF ELF object that this project can read."""


class BtfError(EbpfError):
    """Bytes that are not BTF that this project can read."""


class KernelImageError(EbpfError):
    """A file that holds no kernel's BTF that can be found."""


class CoreRelocationError(EbpfError):
    """A CO-RE relocation that libbpf refuses, and with it the object."""


class KernelCheckError(EbpfError):
    """Programs that fail on a kernel that the project declares, or a kernel that can't be asked for."""


class BootError(EbpfError):
    """A kernel that can't be booted, or programs that fail on one."""


class SkeletonError(EbpfError):
    """An object from which no skeleton can be generated."""


class ToolError(EbpfError):
    """A tool of the machine's that is missing, or does not do what was asked of it."""


class PackageError(EbpfError):
    """A wheel that can't be made from what was given."""


class PythonLockError(EbpfError):
    """A lock of Python packages that can't be understood."""


class PaperError(EbpfError):
    """Papers of a release that can't be written, or that don't say what they should."""


class OutputError(EbpfError):
    """A folder with files in it, which only its owner may remove, lies where the build writes a file."""


class LockError(EbpfError):
    """A build that can't get the project's folder for itself."""


class MovedInputError(EbpfError):
    """A file changed while a step was reading it."""


class CacheError(EbpfError):
    """The cache folder can't be read or written, or has no room left."""


class ProofError(EbpfError):
    """An object made with a minimized header differs from the one that the full header gives."""


class ReproduceError(EbpfError):
    """Two builds that can't be compared: one of them failed, or there is nothing to compare."""


class ReleaseError(EbpfError):
    """What RELEASE=1 refuses, all of it, before anything is built."""


class SandboxError(EbpfError):
    """A sandbox that this machine doesn't allow, or that broke."""
