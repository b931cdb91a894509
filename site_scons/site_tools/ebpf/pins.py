"""The command `pins`: lists what is pinned, pins what is newer, adds a header, and checks pins by their sources."""

import json
import os
import re
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path

import SCons.Errors
import SCons.Script

from ebpfbuild.escape import printable
from ebpfbuild.files import read_regular

from .command_targets import changes_pins, pins_words, requested
from .compiling import known_paths
from .errors import StopError, user_error
from .fetching import fetch_options
from .run import run_of

USAGE = "pins takes nothing, update [libbpf] [--commit ID], add [--from FILE] ARCH, add --btf FILE KERNEL, or check"


def add_pins_options():
    """Has SCons take the options of `pins`, where the command line names that: their names are short."""
    if "pins" in requested():
        flag = {"action": "store_true", "default": False}
        SCons.Script.AddOption("--commit", dest="commit", nargs=1, type="string", default="", help="of pins update")
        SCons.Script.AddOption("--from", dest="kernel", nargs=1, type="string", default="", help="of pins add")
        SCons.Script.AddOption("--btf", dest="btf", nargs=1, type="string", default="", help="of pins add")
        SCons.Script.AddOption("--all", dest="all", help="of pins and pins update", **flag)
        SCons.Script.AddOption("--json", dest="json", help="of pins", **flag)
        SCons.Script.AddOption("--markdown", dest="markdown", help="of pins update", **flag)


def check_words(words):
    """Refuses words behind `pins` that are none of its commands, and options that do nothing there.

    A command's answer is then all that goes to standard output.
    """
    command, *rest = words or ["list"]
    changes = changes_pins() and rest != ["libbpf"]
    if _option("commit") and not changes:
        raise StopError("--commit: is of libbpf/vmlinux.h; it goes with pins update and pins add ARCH")
    if _option("all") and words and not changes_pins():
        raise StopError("--all: lists more; it goes with pins, pins update and pins add ARCH")
    if _option("markdown") and not changes_pins():
        raise StopError("--markdown: says what a change means; it goes with pins update and pins add ARCH")
    if _option("kernel") and (command != "add" or _option("commit") or _option("markdown")):
        raise StopError("--from: names a kernel; it goes with pins add ARCH, without --commit and --markdown")
    if _option("btf") and (command != "add" or any(map(_option, ("commit", "markdown", "json", "kernel")))):
        raise StopError("--btf: names what holds a kernel's BTF; it goes with pins add KERNEL alone")
    if _option("json") and _option("markdown"):
        raise StopError("--json and --markdown: both would go to standard output; take one")
    if not words:
        return
    if command not in WORDS:
        import difflib

        near = difflib.get_close_matches(command, WORDS, n=1)
        raise StopError(f"pins knows no {command!r}; " + (f"did you mean {near[0]}?" if near else USAGE))
    allowed = {"update": ([], ["libbpf"]), "check": ([],), "add": ([rest[0]] if len(rest) == 1 else None,)}
    if rest not in allowed[command]:
        raise StopError(f"pins {' '.join(words)}: not understood; {USAGE}")
    if SCons.Script.GetOption("no_exec"):
        raise StopError(f"pins {command}: does nothing with -n; run it without, and look at git diff")
    SCons.Script.SetOption("silent", True)


def pins_command(target, source, env):
    """Does what the words behind `pins` say."""
    command, *rest = pins_words() or ["list"]
    if WORDS.get(command, _list)(env, *rest) is False:
        raise SCons.Errors.BuildError(target[0], errstr="not all pins hold", status=1, exitstatus=1)


def _list(env):
    """Prints the pins that hold, for each toolchain.toml of the project's environments."""
    from ebpfbuild.fetch.store import Store, cache_folder
    from ebpfbuild.pins.effective import as_data, effective_pins, report

    store = Store(user_error(cache_folder, os.environ), env["EBPF"].reporter.notice)
    sessions = {session.toolchain_files: session for session in run_of(env.fs).sessions.values()}
    lists = [user_error(effective_pins, *files, kernels=each.has_own_pins) for files, each in sessions.items()]
    today = datetime.now(timezone.utc).date()

    def stored(pin):
        get = store.tree if pin.key == "libbpf" or pin.key.startswith("linker.") else store.get
        return bool(pin.sha256) and user_error(get, pin.sha256) is not None

    if _option("json"):
        print(json.dumps([row for pins in lists for row in as_data(pins, stored, today)], indent=1))
    else:
        shown = [each[1] if _option("all") else _without_guests(*each) for each in zip(sessions.values(), lists)]
        print("\n\n".join(report(pins, stored, today) for pins in shown))
        if left := sum(map(len, lists)) - sum(map(len, shown)):
            print(f"\npackages of the tool's own guests, left out: {left}; pins --all lists them, too")


def _without_guests(session, pins):
    """Returns the pins without those of guests that the project takes from the tool's toolchain.toml."""
    *own, base = session.toolchain_files
    if session.has_own_pins and not own:
        return pins
    return [each for each in pins if not (each.key.startswith("guests.") and each.place.startswith(f"{base}:"))]


def _update(env, what="vmlinux"):
    """Pins what upstream has newest, once it has said what that means."""
    return user_error(_update_libbpf if what == "libbpf" else _update_headers, env)


def _update_headers(env):
    from ebpfbuild.arch import BY_NAME
    from ebpfbuild.pins.edit import TomlFile
    from ebpfbuild.update import headers

    session = _session(env)
    file, pins = TomlFile(_own_file(session)), session.toolchain.vmlinux
    arches = headers.upstream_arches(file, pins.values())
    find, commit = _upstream_headers(env, _option("commit"))
    found = [find(BY_NAME[arch], pins[arch]) for arch in arches]
    same = all(each.sha256 == pins[each.arch].sha256 for each in found)
    report = _header_report(env, found, {arch: pins[arch] for arch in arches}, commit)
    if same and (not _option("commit") or report.old == report.new):
        return _say(headers.REPOSITORY, report, f"{file.path} has the bytes of the newest commit; nothing to write")
    headers.repin(file, found, commit)
    _write(env, file, headers.REPOSITORY, report)


def _add(env, name):
    """Pins one more header, of a kernel or of libbpf/vmlinux.h at the commit of the others; or a kernel's BTF."""
    user_error(_add_btf if _option("btf") else _add_kernel if _option("kernel") else _add_header, env, name)


def _add_btf(env, name):
    from ebpfbuild.console import amount
    from ebpfbuild.pins.edit import TomlFile
    from ebpfbuild.update.kernel_btf import add_kernel_btf

    session = _session(env)
    file = TomlFile(_own_file(session))
    added = add_kernel_btf(file, name, _option("btf"), fetch_options(env), session.reporter)
    _write_file(env, file)
    print(printable(f"{added.path}: {amount(added.packed)}, the {amount(added.size)} of BTF of kernel {name} packed"))


def _add_kernel(env, name):
    from ebpfbuild.arch import arch_named
    from ebpfbuild.pins.edit import TomlFile
    from ebpfbuild.update import headers, kernel_file
    from ebpfbuild.update.report import UpdateReport

    arch, session, path = arch_named(name, "pins add"), _session(env), _option("kernel")
    file, replaced = TomlFile(_own_file(session)), session.toolchain.vmlinux.get(arch.name)
    headers.require_unpinned(file, arch)
    found = kernel_file.find_kernel(arch, path, file, fetch_options(env), session.reporter)
    kernel_file.add_kernel(file, found)
    updates, used = _header_updates(env, [found.header], {arch.name: replaced})
    _write(env, file, path, UpdateReport(path, "", found.input_sha256, "", updates, used))


def _add_header(env, name):
    from ebpfbuild.arch import arch_named
    from ebpfbuild.pins.edit import TomlFile
    from ebpfbuild.update import headers

    arch, session = arch_named(name, "pins add"), _session(env)
    headers.require_upstream(arch)
    file, pins = TomlFile(_own_file(session)), session.toolchain.vmlinux
    headers.require_unpinned(file, arch)
    own = [pin for pin in pins.values() if pin.arch in file.data.get("vmlinux", {})]
    named = _option("commit") or headers.default_commit(own) or headers.default_commit(pins.values())
    find, commit = _upstream_headers(env, named)
    replaced = pins.get(arch.name)
    found = find(arch, replaced)
    headers.add_header(file, found, commit)
    _write(env, file, headers.REPOSITORY, _header_report(env, [found], {arch.name: replaced}, commit))


def _upstream_headers(env, named):
    """Returns the function that finds an arch's header at a commit, and that commit: the `named` or the newest."""
    from ebpfbuild.fetch.store import Store
    from ebpfbuild.update.headers import REPOSITORY, find_header

    github, options = _github(env, REPOSITORY)
    commit = github.commit(named) if named else github.newest()
    tree, store = github.tree(commit.id), Store(options.cache, env["EBPF"].reporter.notice)
    return lambda arch, old: find_header(github, tree, commit, arch, old, store), commit


def _github(env, repository):
    """Returns the core's GitHub for a repository, and the FetchOptions by which it is asked."""
    from ebpfbuild.fetch.github import TOKEN_VARIABLE, GitHub

    options = fetch_options(env, release=True)
    return GitHub(repository, options, env["EBPF"].reporter, os.environ.get(TOKEN_VARIABLE, "")), options


def _header_updates(env, found, old_pins):
    """Returns the core's HeaderUpdates of the headers found in the place of the pins of those arches, and their use."""
    from ebpfbuild.update.compare import compared
    from ebpfbuild.update.report import HeaderFacts, HeaderUpdate

    session, updates, used = env["EBPF"], [], []
    for new in found:
        old = old_pins[new.arch]
        changes = [] if old and old.sha256 == new.sha256 else None
        if changes is None and (index := _old_index(env, old)):
            index_of_new = session.indexes.get(new.file, new.sha256)
            changes, uses = compared(index, index_of_new, _programs(env, new.arch), session.root)
            used += uses
        before = HeaderFacts(*((old.kernel, old.sha256, old.size) if old else (None, None, None)))
        after = HeaderFacts(new.kernel, new.sha256, new.size)
        updates.append(HeaderUpdate(new.arch, before, after, changes))
    return updates, used


def _header_report(env, found, old_pins, commit):
    """Returns the core's UpdateReport: what the headers found mean in the place of the pins of those arches."""
    from ebpfbuild.update.headers import REPOSITORY, commit_of
    from ebpfbuild.update.report import UpdateReport

    updates, used = _header_updates(env, found, old_pins)
    commits = {commit_of(pin.source.location) for pin in old_pins.values() if pin}
    one = commits.pop() if len(commits) == 1 else ""
    return UpdateReport(
        REPOSITORY,
        one if re.fullmatch("[0-9a-f]{40}", one) else "",
        commit.id,
        commit.day.isoformat(),
        updates,
        used,
    )


def _old_index(env, pin):
    """Returns the index of the header that a pin had so far; None, with a notice, where that can't be had."""
    from ebpfbuild.errors import FetchError, MismatchError
    from ebpfbuild.fetch.obtain import obtain_header

    if not pin or not pin.sha256:
        return None
    try:
        had = obtain_header(pin._replace(alternates=()), fetch_options(env, release=True), env["EBPF"].reporter)
    except MismatchError:
        raise
    except FetchError as error:
        env["EBPF"].reporter.notice(f"nothing tells what changes for {pin.arch}: {error.what}")
        return None
    return env["EBPF"].indexes.get(had.path, had.sha256)


def _programs(env, arch):
    """Returns the core's Programs of an arch; what several are called by is told apart by their objects."""
    from ebpfbuild.update.compare import Program

    made = [each for each in run_of(env.fs).programs if each.args.arch.name == arch and each.full]
    often = Counter(each.name for each in made)
    return [
        Program(
            each.name if often[each.name] == 1 else each.node.path,
            each.args,
            frozenset(known_paths(each.env, each.node)),
        )
        for each in made
    ]


def _update_libbpf(env):
    from ebpfbuild.fetch.obtain import obtain_tree
    from ebpfbuild.fetch.store import Store
    from ebpfbuild.pins.edit import TomlFile
    from ebpfbuild.update import libbpf

    session = _session(env)
    file, pin = TomlFile(_own_file(session)), session.toolchain.libbpf
    libbpf.require_own(file)
    github, options = _github(env, libbpf.REPOSITORY)
    release = libbpf.newest_release(github, pin, Store(options.cache, session.reporter.notice))
    if release is None:
        return _say(libbpf.REPOSITORY, None, f"{file.path} has libbpf {pin.version}; nothing newer is released")
    old = obtain_tree(pin, options, session.reporter).files if pin.sha256 else {}
    changes = libbpf.libbpf_changes(old, release.files)
    used = [
        each
        for name, texts in _texts(env).items()
        for each in libbpf.words_used(
            changes, name, (read_regular(Path(session.root, path)).decode(errors="replace") for path in texts)
        )
    ]
    dropped = libbpf.repin_libbpf(file, release)
    _write(env, file, libbpf.REPOSITORY, libbpf.LibbpfReport(pin.version, release, changes, used, dropped))


def _texts(env):
    """Returns the paths of each program's own files, from the root, by the program's name."""
    found = {}
    for made_in, name, args, _, _ in run_of(env.fs).programs:
        own = made_in["EBPF"].includes.headers(args.source, args.include_dirs, (), made_in, args.uapi_dirs).own
        found.setdefault(name, set()).update({args.source, *own})
    return {name: sorted(paths) for name, paths in sorted(found.items())}


def _check(env):
    """Prints what each source of each pin gives; returns False where one gives other bytes, or none."""
    return user_error(_check_all, env)


def _check_all(env):
    from ebpfbuild.update.check import SAME, check_pins

    pins = {}
    for session in run_of(env.fs).sessions.values():
        chain, linker = session.toolchain, session.linker
        every = [chain.libbpf, *(linker.every_tree() if linker else ()), *chain.vmlinux.values()]
        every += chain.bundle.pins() if chain.bundle else []
        every += [file for kernel in chain.kernels.values() for file in kernel.files]
        every += [package for packages in chain.guests.values() for package in packages]
        pins |= {(pin.where, pin.sha256): pin for pin in every}
    found = []
    for each in check_pins(pins.values(), fetch_options(env, release=True), env["EBPF"].reporter):
        found.append(each)
        if not _option("json"):
            print("\n  ".join(map(printable, [each.line(), *each.details])), flush=True)
    bad = [each for each in found if each.outcome != SAME]
    if _option("json"):
        print(json.dumps([each.data() for each in found], indent=1))
    else:
        print(f"{len(found) - len(bad)} of {len(found)} sources have the pinned bytes")
    return not bad


def _session(env):
    """Returns the session whose pins are to change. Raises StopError where environments have several files."""
    files = list(dict.fromkeys(session.toolchain_files[0] for session in run_of(env.fs).sessions.values()))
    if len(files) > 1:
        raise StopError(f"pins: the project's environments have {', '.join(files)}; edit the one that you mean by hand")
    return env["EBPF"]


def _own_file(session):
    """Returns the path of the project's own toolchain.toml, there or not: never that of another checkout."""
    return Path(session.toolchain_files[0] if session.has_own_pins else "toolchain.toml")


def _write(env, file, repository, report):
    """Says what a change of pins means, then writes it."""
    _write_file(env, file, lambda: _say(repository, report, ""))


def _write_file(env, file, say=lambda: None):
    """Writes a changed file that a build takes, once `say` has told what the change means."""
    base = Path(env["EBPF"].toolchain_files[-1])
    file.check(base if base != file.path else None)
    say()
    file.write()
    env["EBPF"].reporter.notice(f"wrote {file.path}")


def _say(repository, report, instead):
    """Prints a report in the form asked for, or the text `instead` of one that nobody has to read."""
    from ebpfbuild.update import libbpf
    from ebpfbuild.update import report as headers

    text, markdown, data = (
        (libbpf.libbpf_text, libbpf.libbpf_markdown, libbpf.libbpf_data)
        if repository == libbpf.REPOSITORY
        else (headers.as_text, headers.as_markdown, headers.as_data)
    )
    if _option("json"):
        print(json.dumps(data(report) if report else {"repository": repository, "up_to_date": True}, indent=1))
    elif instead:
        print(printable(instead))
    else:
        print((markdown if _option("markdown") else text)(report, _option("all")))


def _option(name):
    """Returns an option of `pins`."""
    return SCons.Script.GetOption(name)


WORDS = {"update": _update, "add": _add, "check": _check}
