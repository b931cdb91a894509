"""EbpfRun, EbpfTest, EbpfSizes, EbpfWhy: targets that start something for the user, in the user's own environment."""

import atexit
import os
import shlex
import subprocess
import sys

import SCons.Errors
import SCons.Script
from SCons.Errors import StopError

from .compiling import index_cache, known_paths
from .fetching import fetch_options
from .minimized import minimize_args
from .step import build_path


def run_target(env, name, nodes, module):
    """`scons <name>` builds the program and becomes `python -m <module>` out of its unpacked wheel; ARGS= goes to it."""

    def run(target, source, env):
        import shutil
        import zipfile

        wheel = source[0].abspath
        folder = env.Dir(build_path(env, "run", module)).abspath
        shutil.rmtree(folder, ignore_errors=True)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        command = [sys.executable, "-m", module, *_arguments()]
        environment = {**os.environ, "PYTHONPATH": folder}
        # SCons saves what it built on its way out; after that ^C and the exit status are the program's own.
        atexit.register(lambda: os.execve(sys.executable, command, environment))

    wheels = [node for node in env.Flatten(nodes) if node.name.endswith(".whl")]
    return env.AlwaysBuild(env.Alias(name, wheels, SCons.Script.Action(run, f"RUN      {module}")))


def test_target(env, name, folder):
    """`scons <name>` runs pytest on `folder` and ends with what was skipped and why; ARGS= goes to pytest.

    The tests find MIRROR= as SCONS_BPF_MIRROR.
    """

    def test(target, source, env):
        command = [sys.executable, "-m", "pytest", "-q", "-rs", "-n", str(os.cpu_count()), folder, *_arguments()]
        mirror = {"SCONS_BPF_MIRROR": fetch_options(env).mirror} if env["EBPF_MIRROR"] else {}
        status = subprocess.call(command, cwd=env["EBPF"].root, env={**os.environ, **mirror})
        if status:
            raise SCons.Errors.BuildError(target[0], errstr=f"pytest ended with {status}", status=2, exitstatus=2)

    return env.AlwaysBuild(env.Alias(name, [], SCons.Script.Action(test, f"TEST     {folder}")))


def sizes_target(env, name):
    """`scons <name>` prints what minimizing saves, for every program declared so far and every arch asked for."""
    compiled = env["EBPF"].compiled

    def sizes(target, source, env):
        from ebpfbuild.sizes import measure, table

        root = env["EBPF"].root
        minimized = [each for each in compiled.values() if each.args.vmlinux != each.full.path]
        print(table(measure(each.args, each.full.path, root) for each in minimized))

    return env.AlwaysBuild(env.Alias(name, list(compiled), SCons.Script.Action(sizes, None)))


def why_target(env, name):
    """`scons <name> sock skc_daddr` prints the chain by which each program keeps a type or a member in its header."""
    words = SCons.Script.COMMAND_LINE_TARGETS
    if name not in words:
        return None
    asked = words[words.index(name) + 1 :]
    if not asked:
        raise StopError(f"{name} explains a type or a member; say which: ./sconsw {name} sock")
    SCons.Script.BUILD_TARGETS[:] = [name]
    minimized = env["EBPF"].minimized

    def explain(target, source, env):
        from ebpfbuild.minimized import why_kept

        for node, step in minimized.items():
            known = known_paths(env, node)
            for word in asked:
                print(f"{step.name} ({step.compiles[0].arch.name}): {word}")
                lines = why_kept(minimize_args(env, step), index_cache(env), known, env["EBPF"].root, word)
                print("\n".join(f"  {line}" for line in lines))

    needed = [env.LibbpfHeaders(), *{step.full: None for step in minimized.values()}]
    return env.AlwaysBuild(env.Alias(name, needed, SCons.Script.Action(explain, None)))


def _arguments():
    return shlex.split(SCons.Script.ARGUMENTS.get("ARGS", ""))


METHODS = {"EbpfRun": run_target, "EbpfTest": test_target, "EbpfSizes": sizes_target, "EbpfWhy": why_target}
