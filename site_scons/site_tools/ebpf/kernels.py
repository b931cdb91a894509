"""The command `kernels`: what each program does on each kernel that toolchain.toml declares, without booting any."""

import json
import os
import platform
from collections import Counter
from pathlib import Path

import SCons.Script

from ebpfbuild.arch import host_arch
from ebpfbuild.errors import EbpfError, KernelCheckError
from ebpfbuild.escape import printable, printable_lines
from ebpfbuild.files import write_file

from .command_targets import requested
from .errors import user_error
from .fetching import fetch_options
from .run import run_of

BASELINE = "kernels-baseline.txt"
HOST = "host"


def kernels(env):
    """Prints the table and the problems, and holds the failures against the baseline where CHECK_KERNELS= says so.

    A build that only checks prints the last line alone. Raises StopError for new failures and for what can't be read.
    """
    user_error(_kernels, env)


def _kernels(env):
    from ebpfbuild.kernels import baseline, text
    from ebpfbuild.kernels.as_json import as_json
    from ebpfbuild.kernels.matrix import check

    objects = [(name, arch, spec) for name, arch, spec, _ in checked_objects(env)]
    opened = _opened(env, {arch for _, arch, _ in objects})
    matrix = check(objects, opened)
    if "kernels" in requested():
        parts = [text.table(matrix), text.problems(matrix)]
        print("\n\n".join(printable_lines(part) for part in parts if part), end="\n\n")
    print(printable(text.summary(matrix)), flush=True)
    root = Path(env["EBPF"].root)
    if wanted := SCons.Script.ARGUMENTS.get("KERNELS_JSON"):
        write_file(root / wanted, (json.dumps(as_json(matrix), indent=1) + "\n").encode())
    if wanted := SCons.Script.ARGUMENTS.get("KERNELS_HTML"):
        from ebpfbuild.kernels.as_html import as_html

        write_file(root / wanted, as_html(matrix).encode())
    if env["EBPF_CHECK_KERNELS"] == "record":
        print(printable(f"{BASELINE}: {baseline.record(matrix, root / BASELINE)} failures recorded"))
    elif env["EBPF_CHECK_KERNELS"]:
        baseline.require_no_new(matrix, root / BASELINE, BASELINE)


def checked_objects(env):
    """Yields the path, the arch, what it holds, and the bytes, of each object that is no part of another one."""
    from ebpfbuild.spec.object import ObjectSpec

    found = run_of(env.fs).for_kernels
    parts = {part for made_in, node in found for part in getattr(made_in["EBPF"].compiled[node], "parts", ())}
    for made_in, node in sorted(found, key=lambda each: each[1].path):
        if node not in parts:
            arch = made_in["EBPF"].compiled[node].arch.name
            data = Path(node.abspath).read_bytes()
            yield _name(made_in["EBPF"], node), arch, ObjectSpec.from_bytes(data, node.path), data


def _name(session, node):
    """Returns an object's path from the project's root; from its build folder where that lies outside."""
    return os.path.relpath(node.abspath, session.build) if os.path.isabs(session.build) else node.path


def _opened(env, arches):
    """Returns the kernels of some arches: those that KERNELS= names, else all that are declared.

    Raises KernelCheckError where there is none, and FetchError, KernelImageError and others for one that can't be read.
    """
    declared, names = declared_kernels(env), named_kernels()
    short = Counter(map(_short, names))
    found = []
    for name in names or declared:
        if name in declared:
            session, pin = declared[name]
            found += [declared_kernel(env, session, pin)] if pin.file.arch in arches else []
        else:
            shown = _short(name)
            found.append(_given(env, name, shown if short[shown] == 1 else name, arches, declared))
    if not found:
        what = f"no kernel of {' or '.join(sorted(arches)) or 'any arch'} is declared"
        fix = "add a table [kernels.NAME] to the project's toolchain.toml, or ask this machine's: KERNELS=host"
        raise KernelCheckError(what, where="kernels", fix=fix)
    return found


def _short(path):
    """Returns the name of a kernel's file; of a package of Debian's what stands before the version."""
    name = os.path.basename(path)
    return name.partition("_")[0] if name.endswith(".deb") else name


def declared_kernels(env):
    """Returns the kernels that the project itself declares by their names, each with its session."""
    sessions = run_of(env.fs).sessions.values()
    return {name: (session, pin) for session in sessions for name, pin in session.toolchain.kernels.items()}


def named_kernels():
    """Returns the words of KERNELS=."""
    return [name for name in SCons.Script.ARGUMENTS.get("KERNELS", "").split(",") if name]


def declared_kernel(env, session, pin):
    """Returns a kernel that toolchain.toml pins, its file fetched and verified.

    Raises KernelCheckError, FetchError, KernelImageError and others for one that can't be read.
    """
    from ebpfbuild.kernels.kernel import Kernel

    cache, file = _cache(session), pin.file
    if pin.btf:
        btf = cache.get(*_btf_file(env, session, pin.btf))
    else:
        btf = cache.get(*kernel_file(env, session, file), pin.member)

    _require_arch(btf, file.arch, file.where, 'write arch = "{}"')

    def modules():
        """Returns the modules of the kernel's package, or of the one that they have of their own."""
        return cache.modules(*kernel_file(env, session, pin.modules or file), btf)

    return Kernel(pin.name, file.arch, file.kernel, btf, not pin.uname, modules)


def stand_in_btf(env, session, pin):
    """Returns the BTF of a kernel that has none of its own, or hides it, as bytes; b"" for another one.

    Raises as declared_kernel does.
    """
    from ebpfbuild.kernel_image.open_btf import kernel_btf, read_kernel_file

    if not pin.uname:
        return b""
    path, _ = _btf_file(env, session, pin.btf) if pin.btf else kernel_file(env, session, pin.file)
    return kernel_btf(read_kernel_file(path), pin.file.where, "" if pin.btf else pin.member).data


def _require_arch(btf, arch, where, fix):
    """Raises KernelCheckError for a kernel with registers of another arch; `fix` has a place for that one's name."""
    from ebpfbuild.arch import BY_NAME
    from ebpfbuild.btf.types import Kind
    from ebpfbuild.header import arch_of_registers
    from ebpfbuild.kernels.moves import members_of

    registers = btf.find("pt_regs", Kind.STRUCT)
    names = "".join(f"\t{each.name};\n" for each in members_of(registers)) if registers else ""
    found = arch_of_registers(f"\nstruct pt_regs {{\n{names}\n}}".encode())
    if found and BY_NAME[found].kernel != BY_NAME[arch].kernel:
        raise KernelCheckError(f"is a kernel of {found}, not of {arch}", where=where, fix=fix.format(found))


def _btf_file(env, session, pin):
    """Returns the path and the digest of a kernel's BTF that was made of another file, which is fetched and verified.

    Of a file of the project's it is made once, and then taken from the store: pahole takes a minute for it.
    """
    from ebpfbuild.fetch.obtain import obtain_header
    from ebpfbuild.fetch.store import Store

    options = fetch_options(env)

    def obtained():
        found = obtain_header(pin, options, run_of(env.fs).reporter)
        return {"sha256": found.sha256, "path": str(found.path)}

    path = os.path.join(session.root, pin.source.file) if pin.source.in_project else ""
    if not os.path.isfile(path):
        return tuple(obtained()[key] for key in ("path", "sha256"))
    of = " ".join(map(str, (session.ledger.digest(path), pin.source.archive_sha256, pin.source.inside, pin.sha256)))
    known = session.ledger.fact(f"BTF of {of} {session.inputs.code('kernel_image/open_btf.py')}", obtained)
    had = Store(options.cache, session.reporter.notice).get(known["sha256"])
    return (had, known["sha256"]) if had else tuple(obtained()[key] for key in ("path", "sha256"))


def kernel_file(env, session, file):
    """Returns the path and the digest of a pinned kernel's file, fetched and verified."""
    from ebpfbuild.fetch.obtain import obtain_header

    if file.source.in_project:
        path = os.path.join(session.root, file.source.file)
        sha256 = session.ledger.digest(path)
        if sha256 != file.sha256:
            what = f"{file.source.shown} has the sha256 {sha256}, and the pin {file.sha256 or 'has none'}"
            fix = f'if that is the kernel that you mean, write sha256 = "{sha256}"'
            raise KernelCheckError(what, where=file.where, fix=fix)
        return path, sha256
    obtained = obtain_header(file, fetch_options(env), run_of(env.fs).reporter)
    return obtained.path, obtained.sha256


def _given(env, name, shown, arches, declared):
    """Returns this machine's kernel, or the one in a file, whose arch is that of the objects, by the name `shown`."""
    from ebpfbuild.btf.modules import Modules
    from ebpfbuild.kernel_image.modules import loaded_modules
    from ebpfbuild.kernels.kernel import Kernel
    from ebpfbuild.pins.pins import HOST_BTF

    session = env["EBPF"]
    if name == HOST:
        path, arch = HOST_BTF, host_arch(platform.machine()).name
    else:
        path = os.path.join(session.root, name)
        if not os.path.lexists(path):
            what = f"{name} is no file, and no kernel of toolchain.toml"
            raise KernelCheckError(what, where="KERNELS", fix=f"take of {', '.join([*declared, HOST])}, or a file")
        if len(arches) != 1:
            what = f"{name} may be of {' or '.join(sorted(arches))}"
            raise KernelCheckError(what, where="KERNELS", fix="name one arch: ARCH=x86_64")
        (arch,) = arches
    cache, sha256 = _cache(session), session.ledger.digest(path)
    try:
        btf = cache.get(path, sha256)
    except EbpfError as error:
        raise KernelCheckError(error.what, where=f"KERNELS={name}", fix=error.fix) from None
    _require_arch(btf, arch, name, "build for it: ARCH={}")
    if name == HOST:
        return Kernel(shown, arch, platform.release(), btf, read_modules=lambda: Modules(loaded_modules(), btf))
    return Kernel(shown, arch, cache.release(path, sha256), btf, read_modules=lambda: cache.modules(path, sha256, btf))


def _cache(session):
    """Returns the session's cache of kernels' BTF."""
    from ebpfbuild.fetch.store import cache_folder
    from ebpfbuild.kernel_image.open_btf import BtfCache

    if "kernels" not in session.shared:
        code = session.inputs.code("kernel_image/open_btf.py")
        folder, tell = cache_folder(os.environ), session.reporter.notice
        session.shared["kernels"] = BtfCache(folder, session.ledger.fact, code, tell)
    return session.shared["kernels"]
