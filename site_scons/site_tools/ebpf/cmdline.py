"""The command line: ARCH=, MIRROR=, RELEASE=, --offline, and the help that teaches them."""

import atexit
import os
import platform
import re
import sys
from pathlib import Path

import SCons.Node.FS
import SCons.Script
from SCons.Util import flatten

from ebpfbuild.arch import ARCHES, arches_named, host_arch
from ebpfbuild.header import MODES
from ebpfbuild.pins.sources import given_header

from .arguments import string, switch
from .command_targets import changes_pins, is_unknown, requested
from .commands import COMMANDS
from .errors import StopError, user_error
from .fetching import mirror_from
from .pins import add_pins_options
from .release import source_date_epoch, watch
from .run import run_of
from .summary import print_summary

HELP = """
  NAME          build one program; programs: build all of them; one.bpf.o: build the output whose path ends so
  prove         compile every program with the full vmlinux.h, too, and compare the objects
  sizes         print what minimizing vmlinux.h saves
  why sock      print the chain by which a type or member got into the minimized vmlinux.h
  pins          print what is pinned: version, digest, age, in the store or not, in which file and line
  pins update [--commit ID]  pin the newest vmlinux.h of libbpf/vmlinux.h, or those of a commit;
                pins update libbpf: libbpf's newest headers; pins add ARCH: one more vmlinux.h. Each says before
                what of it the programs use: --all all that changes; --json; --markdown for a pull request
  pins check    fetch all that is pinned again, from each source, and compare
  fetch         fetch all that is pinned for ARCH= into the store, and build nothing
  vendor DIR    write a folder (or DIR.tar) from which a machine without a network builds, by MIRROR=DIR
  kernels       print what each program does on each kernel of toolchain.toml, without booting any: fields, functions
                and tracepoints, kfuncs, helpers, instructions; of each failure what to write
  verify        print what each program takes of this machine's verifier, and fail where one got dearer than
                verifier-figures.txt allows; --record: write that file
  boot          boot each kernel of toolchain.toml in QEMU, and load, attach and run every program there;
                --record: keep what the verifiers counted; --compare: fail for a program that is 20 % dearer
  boot test     run the tests that EbpfTest declares in these guests; ARGS= goes to pytest
  reproduce     build the other targets in two unlike places, and compare each output byte for byte;
                --against DIR|FILE.whl: compare with somebody else's build
  verify-release FILE.whl  as the first word: check a release by its papers, the pins and its signature

  ARCH=…        arches to build for: a name, an alias, a comma list or all (default: this machine's)
                x86_64 (x86), aarch64 (arm64), arm, riscv64 (riscv), powerpc (ppc64le), s390x, loongarch64 (loongarch);
                with a vmlinux.h of your own, or UAPI headers alone: mips64, mips64el, ppc64, armeb
  MIRROR=…      a folder or URL to take pinned artifacts from first: <mirror>/<origin's host>/<path>, or vendor's DIR
  VMLINUX=…     the kernel whose BTF gives the vmlinux.h: host, or a vmlinux, boot image, BTF file, .deb or .rpm
                of a module the two files, MODULE.ko,VMLINUX
  MINIMIZE=…    each program's vmlinux.h: exact (default), lean, fields or off; overrides what the program asks for
  PROVE=1       prove each object: compile it with the full header, too, and compare
  RELEASE=1     build a release: list what isn't pinned, committed or locked and stop, else prove every object
  SIGN=…        a command that signs: it gets the path of each package's statement (cosign sign-blob --yes …)
  SANDBOX=…     auto (default): what a step runs sees its declared inputs alone, where this machine allows that;
                require: or the build ends (default of RELEASE=1); off: what it read is checked afterwards
  CHECK_KERNELS=1  a program that fails on such a kernel fails the build, unless kernels-baseline.txt lists it;
                CHECK_KERNELS=record writes that file
  VERIFY_LIMIT=…  of verify and boot: how much dearer a program may be (20%)
  BOOT_JSON=… BOOT_SECONDS=…  of boot: a file to write; how long a guest may take (default: 600; of tests, 3600)
  KERNELS=… KERNELS_JSON=… KERNELS_HTML=…  of kernels: the kernels by name, `host`, or files that hold a kernel;
                files to write
  CACHE=…       a folder or URL that shares objects between checkouts and machines: bazel-remote, nginx with WebDAV
  CACHE_READONLY=1  take what is there, and put nothing there
  HOSTS=… PYTHONS=…  of vendor: the machines and Pythons that set up from its folder (default: this one's)
  --offline     never connect; name the artifact that is missing instead
  --debug=explain  say why each output is made anew
  -c            remove what was built        -j N          run N steps at once
  EBPF_CACHE    environment: the store, a folder of verified artifacts (default: $$XDG_CACHE_HOME/scons-bpf)
"""
SANDBOXES = ("auto", "require", "off")
PLAIN_SERVER = re.compile(r"(?!.*\.\.)https?://[\w.-]+(:\d{1,5})?(/[\w./-]*)?", re.ASCII)  # needs no closer look
NAMES = ("SANDBOX", "ARCH", "BOOT_JSON", "BOOT_SECONDS", "CACHE", "CACHE_READONLY", "CHECK_KERNELS", "HOSTS", "KERNELS",
         "KERNELS_HTML", "KERNELS_JSON", "MINIMIZE", "MIRROR", "PROVE", "PYTHONS", "RELEASE", "SIGN", "VERIFY_LIMIT",
         "VMLINUX")  # fmt: skip


def add_options(env):
    """Reads the command line's options into variables of the environment, such as EBPF_ARCHES."""
    given = SCons.Script.ARGUMENTS
    release = switch("RELEASE", given.get("RELEASE", "0"))
    try:
        SCons.Script.GetOption("offline")
    except AttributeError:  # the first environment of this run
        SCons.Script.AddOption("--offline", dest="offline", action="store_true", default=False, help="never connect")
        SCons.Script.AddOption("--against", dest="against", nargs=1, type="string", default="", help="of reproduce")
        SCons.Script.AddOption("--record", dest="record", action="store_true", default=False, help="of boot and verify")
        SCons.Script.AddOption("--compare", dest="compare", action="store_true", default=False, help="of boot")
        add_pins_options()
        env.Help(HELP)
        env.Alias("programs")
        atexit.register(print_summary, env.fs)
        atexit.register(_suggest_targets, env)
        atexit.register(_suggest_options, env)
        _check_places(env, given)
        _sign_by_content()
        run_of(env.fs).sandbox_mode = _sandbox_mode(given, release)
        if release:
            watch(env)
    env.SetDefault(
        EBPF_ARCHES=user_error(_arches, given.get("ARCH")),
        EBPF_CHECK_KERNELS=_check_kernels(given.get("CHECK_KERNELS", "0")),
        EBPF_MINIMIZE=given.get("MINIMIZE", ""),
        EBPF_PROVE=switch("PROVE", given.get("PROVE", "0")),
        EBPF_MIRROR=given.get("MIRROR", ""),
        EBPF_OFFLINE=SCons.Script.GetOption("offline"),
        EBPF_RELEASE=release,
        EBPF_SIGN=_signer(env, given.get("SIGN", "")),
        EBPF_STEP_CACHE="",
        EBPF_STEP_CACHE_READONLY=False,
    )
    switch("CACHE_READONLY", given.get("CACHE_READONLY", "0"))
    run_of(env.fs).vmlinux = user_error(_given_header, given.get("VMLINUX", ""), env["EBPF_ARCHES"])
    if release and (epoch := source_date_epoch(env)):
        env["ENV"] = {**env["ENV"], "SOURCE_DATE_EPOCH": epoch}


def _check_places(env, given):
    """Refuses a MIRROR= or CACHE= that names no place: also where this build would need nothing from there."""
    mirror, cache = mirror_from(env.fs.Top.get_abspath(), given.get("MIRROR", "")), given.get("CACHE", "")
    if mirror and not PLAIN_SERVER.fullmatch(mirror) and not os.path.isdir(mirror):
        from ebpfbuild.fetch.mirror import checked_mirror

        user_error(checked_mirror, mirror)
    if "://" in cache and not cache.startswith("file://") and not PLAIN_SERVER.fullmatch(cache):
        from ebpfbuild.step_cache.opening import checked_server

        user_error(checked_server, cache)


def _suggest_targets(env):
    """Says which command, alias or NAME= was meant by a target that nothing makes, after SCons's own words about it."""
    for word in requested():
        if not is_unknown(env, word):
            continue
        import difflib

        names = (*COMMANDS, "verify-release", *map(str, env.ans), *NAMES)
        near = [word.upper()] if word.upper() in NAMES else difflib.get_close_matches(word, names, n=1, cutoff=0.7)
        if near:
            meant = f"{near[0]}=" if near[0] in NAMES else near[0]
            run_of(env.fs).reporter.notice(f"{word}: no target is called so; did you mean {meant}?")


def _suggest_options(env):
    """Says which option was meant by one that SCons doesn't know, behind its own words about it."""
    parser = SCons.Script.Main.OptionsParser
    if parser.preserve_unknown_options:  # SCons didn't read all SConscripts: the rest may have added it
        return
    for word in sys.argv[1:]:
        name = word.partition("=")[0]
        if name.startswith("--") and not any(known.startswith(name) for known in parser._long_opt):
            import difflib

            if near := difflib.get_close_matches(name, parser._long_opt, n=1, cutoff=0.7):
                run_of(env.fs).reporter.notice(f"{name}: no option is called so; did you mean {near[0]}?")


def _arches(given):
    """Returns the arches of ARCH=; else this machine's or, where pins are to change, all that they may be about."""
    if given is not None:
        return arches_named(given)
    return ARCHES if changes_pins() else (host_arch(platform.machine()),)


def _given_header(text, arches):
    """Returns the header that VMLINUX= of the command line stands for, of the one arch that is built; None for none."""
    if not text:
        return None
    if len(arches) > 1:
        fix = "name the kernel's own"
        raise StopError(f"VMLINUX={text}: a kernel is of one arch, and ARCH= names {len(arches)}; {fix}")
    return given_header(arches[0].name, text, Path())


def _signer(env, command):
    """Returns SIGN= of the command line. Raises StopError before anything is built where it can't be run."""
    if command:
        from ebpfbuild.release.sign import check_program

        user_error(check_program, command, env.Dir("#").abspath, "SIGN")
    return command


def _check_kernels(text):
    """Returns CHECK_KERNELS= of the command line: True, False, or "record"."""
    return text if text == "record" else switch("CHECK_KERNELS", text)


def _sandbox_mode(given, release):
    """Returns SANDBOX= of the command line; a release requires one unless told otherwise."""
    mode = given.get("SANDBOX", "require" if release else "auto")
    if mode not in SANDBOXES:
        raise StopError(f"SANDBOX={mode}: no such mode; take one of {', '.join(SANDBOXES)}")
    return mode


def _sign_by_content():
    """Has SCons look at content in a project's own builders, too: what they make, a compile reads.

    A project's own setting stays.
    """
    if SCons.Script.GetOption("max_drift") == SCons.Node.FS.default_max_drift:
        SCons.Script.SetOption("max_drift", -1)


def minimize_mode(env, given):
    """Returns the minimizer's mode for a program that is given `given` or nothing.

    MINIMIZE= comes first, exact last.
    """
    mode = env["EBPF_MINIMIZE"] or (string(env, given) if isinstance(given, str) else given) or "exact"
    if mode not in MODES:
        asked = f"MINIMIZE={mode}" if env["EBPF_MINIMIZE"] else f"minimize={given!r}"
        raise StopError(f"{asked}: no such mode; take one of {', '.join(MODES)}")
    return mode


def check_arguments(env, *others):
    """Refuses a NAME=value on the command line that nothing reads.

    So ARHC=arm is no silent build for this machine.
    """
    known = (*NAMES, *map(str, flatten(others)))
    for name in SCons.Script.ARGUMENTS:
        if name not in known:
            import difflib

            near = difflib.get_close_matches(name.upper(), known, n=1)
            hint = f"did you mean {near[0]}=?" if near else f"there are {', '.join(known)}"
            raise StopError(f"{name}=: no such option; {hint}")


METHODS = {"EbpfCheckArguments": check_arguments, "MinimizeMode": minimize_mode}
