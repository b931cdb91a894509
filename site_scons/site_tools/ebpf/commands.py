"""Adds the commands of COMMANDS, such as `sizes` and `why`, to any project, and EbpfRun and EbpfTest."""

import atexit
import os
import shlex
import subprocess
import sys
from collections import Counter

import SCons.Errors
import SCons.Node
import SCons.Script

from ebpfbuild.escape import printable, printable_lines

from .arguments import flat, single, string
from .command_targets import boots_tests, build_too, pins_words, requested
from .compiling import known_paths
from .errors import StopError, user_error
from .fetching import fetch_options
from .minimized import minimize_args
from .pins import check_words, pins_command
from .project_files import file_nodes
from .reproduce import reproduce_command
from .run import run_of
from .summary import print_summary

# Options of pytest's whose value is the next word, and may be the name of a file.
WITH_VALUE = (
    *("-W", "-c", "-k", "-m", "-n", "-o", "-p", "-r", "--basetemp", "--confcutdir", "--deselect", "--ignore"),
    *("--ignore-glob", "--junit-xml", "--junitxml", "--log-file", "--rootdir"),
)


def run_target(env, name, nodes, module):
    """Makes `scons <name>` build and become `python -m <module>` out of its package's folder; ARGS= goes to it."""

    def run(target, source, env):
        folder = os.path.dirname(source[0].get_build_env()["EBPF_STEP_ARGS"].folder.path)
        # -P: a folder of the module's name where the build is called would be found first.
        command = [sys.executable, "-P", "-m", module, *_arguments()]
        # By sudo it leaves no file of root's: neither among the sources, which the folder links to, nor in the build.
        environment = {**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        # SCons saves what it built on its way out; after that ^C and the exit status are the program's own.
        atexit.register(_become, env.fs, command, environment)

    name, module = string(env, name), string(env, module)
    wheels = [node for node in file_nodes(env, nodes, "nodes") if node.name.endswith(".whl")]
    if not wheels:
        raise StopError(f"EbpfRun: {name} has no wheel to run; hand it what BpfProgram or BpfPackage returned")
    text = f"build and become python -m {module}; ARGS= goes to it"
    return _command(env, "EbpfRun", name, text, wheels, SCons.Script.Action(run, f"RUN      {module}"))


def _become(fs, command, environment):
    """Prints what was built, and gives this process to a program."""
    print_summary(fs)
    os.execve(sys.executable, command, environment)


def test_target(env, name, folder, *, boot_tests=None, boot_files=None, boot_packages=None):
    """Makes `scons <name>` run pytest on `folder` and end with what was skipped and why; ARGS= goes to pytest.

    Files, folders and tests that ARGS= names are run instead of `folder`.
    The tests find MIRROR= as SCONS_BPF_MIRROR, and --offline as SCONS_BPF_OFFLINE=1.
    `boot test` runs boot_tests of them, or all, in guests, which have the folder, boot_files and boot_packages.
    """

    name, folder = string(env, name), str(single(env, folder, "folder"))

    def test(target, source, env):
        # A test that hangs ends its worker, and with that the run, with where it stood.
        guard = ["-o", "faulthandler_timeout=300", "-o", "faulthandler_exit_on_timeout=true"]
        given = _arguments()
        asked = [] if _names_tests(env["EBPF"].root, given) else [folder]
        command = [sys.executable, "-m", "pytest", "-q", "-rs", *guard, "-n", str(os.cpu_count()), *asked, *given]
        variables = {"SCONS_BPF_MIRROR": fetch_options(env).mirror} if env["EBPF_MIRROR"] else {}
        variables |= {"SCONS_BPF_OFFLINE": "1"} if env["EBPF_OFFLINE"] else {}
        status = subprocess.call(command, cwd=env["EBPF"].root, env={**os.environ, **variables})
        if status:
            raise SCons.Errors.BuildError(target[0], errstr=f"pytest ended with {status}", status=2, exitstatus=2)

    if boots_tests():
        _for_guests(env, name, folder, boot_tests, boot_files, boot_packages)
    text = f"run the tests in {folder}; ARGS= goes to pytest"
    return _command(env, "EbpfTest", name, text, [], SCons.Script.Action(test, f"TEST     {folder}"))


def _for_guests(env, name, folder, tests, files, packages):
    """Keeps what `boot test` gives to guests; the files that a build makes are made before."""
    from .boot_tests import GuestTestsDeclared

    root = env["EBPF"].root
    nodes = [each if isinstance(each, SCons.Node.Node) else env.Entry(each) for each in flat(env, files, "boot_files")]
    env.Alias("boot", [node for node in nodes if node.has_builder()])
    given = _arguments()
    asked = [str(each) for each in flat(env, tests, "boot_tests")] or [folder]
    words = given if _names_tests(root, given) else [*asked, *given]
    places = [folder, *(os.path.relpath(node.abspath, root) for node in nodes)]
    declared = GuestTestsDeclared(tuple(words), tuple(places), tuple(map(str, flat(env, packages, "boot_packages"))))
    run_of(env.fs).project_tests[name] = declared


def _names_tests(root, arguments):
    """Returns True if arguments of pytest's name a file, a folder or a test below the root, and not for an option."""
    pairs = zip(["", *arguments], arguments)
    words = [word for before, word in pairs if not word.startswith("-") and before not in WITH_VALUE]
    return any(os.path.exists(os.path.join(root, word.split("::")[0])) for word in words)


def _command(env, builder, name, text, nodes, action):
    """Declares a command of the project's, with its text in -h, and returns its alias.

    Raises StopError for a second one of a name, as SConscripts of variants declare: only one would run.
    """
    names = run_of(env.fs).project_commands
    if name in names:
        raise StopError(f"{builder}: {name} is a command already; give each of them a name of its own")
    names.add(name)
    if SCons.Script.GetOption("help"):
        env.Help(printable(f"  {name:<13} {text}") + "\n")
    return env.AlwaysBuild(env.Alias(name, nodes, action))


def add_commands(env):
    """Makes those of COMMANDS that the command line names commands of any project."""
    commands = {} if SCons.Script.GetOption("question") else COMMANDS  # they have always something to do
    for name in [*requested(), *(["kernels"] if env["EBPF_CHECK_KERNELS"] else [])]:
        if name in commands and not env.Alias(name)[0].has_builder():
            env.AlwaysBuild(env.Alias(name, [], SCons.Script.Action(commands[name], None)))
            if name == "prove":
                atexit.register(_proven_so_far, run_of(env.fs))
    env.Alias("prove")
    if env["EBPF_CHECK_KERNELS"] and "kernels" in commands:
        build_too(env, "kernels")
    if boots_tests() and requested().count("test") == 1:
        SCons.Script.BUILD_TARGETS.remove("test")  # it is a word of boot's
    if "why" in requested():
        if not _names():
            raise StopError("why explains a type or a member; say which: ./sconsw why sock")
        SCons.Script.BUILD_TARGETS[:] = ["why"]
    elif "reproduce" in requested():  # the other targets are built in its two places
        SCons.Script.BUILD_TARGETS[:] = ["reproduce"]
    elif "vendor" in requested():
        SCons.Script.BUILD_TARGETS[:] = ["vendor"]
    elif "pins" in requested():
        check_words(pins_words())
        if pins_words():
            SCons.Script.BUILD_TARGETS[:] = ["pins"]


def _kernels(target, source, env):
    from .kernels import kernels

    kernels(env)


def _verify(target, source, env):
    from .verifier import verify

    verify(target, env)


def _boot(target, source, env):
    from .boot import boot

    boot(env)


def _fetch(target, source, env):
    from .vendoring import fetch

    fetch(env)


def _vendor(target, source, env):
    from .vendoring import vendor

    vendor(env)


def _sizes(target, source, env):
    """Prints what minimizing saves, for every program and every arch asked for."""
    from ebpfbuild.minimize.sizes import measure, table

    steps = [node.get_build_env()["EBPF_STEP_ARGS"] for node in source]
    minimized = [step for step in steps if step.full and step.args.vmlinux != step.full.path]
    sizes = [measure(step.args, step.full.path, env["EBPF"].root) for step in minimized]
    often = Counter(size[:2] for size in sizes)  # by source and arch: of variants, the object tells them apart
    rows = [
        size._replace(program=step.args.output) if often[size[:2]] > 1 else size for size, step in zip(sizes, minimized)
    ]
    print(printable_lines(table(rows)))


def _why(target, source, env):
    """Prints the chain by which each program keeps a type or a member in its header, for each word behind `why`."""
    from ebpfbuild.minimize.program import why_kept

    minimized = run_of(env.fs).minimized
    titles = [f"{each.name} ({each.compiles[0].arch.name})" for _, _, each in minimized]
    often = Counter(titles)  # of variants, the object tells them apart
    for title, (made_in, node, minimizing) in zip(titles, minimized):
        known = known_paths(made_in, node)
        for word in _names():
            print(printable(f"{node.path if often[title] > 1 else title}: {word}"))
            args = minimize_args(made_in, minimizing), made_in["EBPF"].indexes, known, env["EBPF"].root, word
            lines = user_error(why_kept, *args)
            print("\n".join(f"  {printable(line)}" for line in lines))


def _prove(target, source, env):
    """Prints a verdict a line, for every object, and the count."""
    _print_proofs(run_of(env.fs))


def _proven_so_far(run):
    """Prints the same for the objects that are made, where another one failed."""
    if SCons.Script.GetBuildFailures() and not SCons.Script.GetOption("no_exec"):
        _print_proofs(run, states=(SCons.Node.executed, SCons.Node.up_to_date))


def _print_proofs(run, states=()):
    """Prints the proofs of the objects, or of those only that are in one of SCons's `states`."""
    from ebpfbuild.prove.proof import FULL_HEADER, NO_HEADER, count, read_proof

    objects = [(made_in, node) for made_in, node in run.objects if not states or node.get_state() in states]
    proofs = []
    for made_in, node in sorted(objects, key=lambda each: each[1].path):
        session = made_in["EBPF"]
        if session.compiled[node].full is None:
            print(printable(f"{node.path}: {NO_HEADER}"))
            continue
        proof = session.proofs.get(node)
        proofs.append(proof and read_proof(proof.abspath))
        print(printable(f"{node.path}: {proofs[-1] or FULL_HEADER}"))
    print(count(proofs, unmade=len(run.objects) - len(objects), plain=len(objects) - len(proofs)))


def _names():
    """Returns the words behind `why` on the command line."""
    words = requested()
    return words[words.index("why") + 1 :]


def _arguments():
    """Returns the words of ARGS=, as a shell splits them."""
    return shlex.split(SCons.Script.ARGUMENTS.get("ARGS", ""))


COMMANDS = {
    "sizes": _sizes,
    "why": _why,
    "prove": _prove,
    "kernels": _kernels,
    "verify": _verify,
    "boot": _boot,
    "pins": pins_command,
    "reproduce": reproduce_command,
    "fetch": _fetch,
    "vendor": _vendor,
}
METHODS = {"EbpfRun": run_target, "EbpfTest": test_target}
