"""Measures SCons: a null build and one changed source, beside make on the same sources with the same flags.

    .venv/bin/python benchmarks/build.py [programs] [runs]

Prints medians of wall and CPU time in one run, and the two ratios that the project promises: a null build's CPU time at
most 1.6 times an empty SConstruct's (with 10 programs), a changed source at most its compile plus 0.4 s. No test: a busy
machine is no bug.
"""

import json
import os
import resource
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "bpf" / "socket_tracker.bpf.c"

SCONSTRUCT = """
SetOption("hash_format", "sha256")
DefaultEnvironment(tools=[])
env = Environment(tools=["ebpf"], toolpath=[{tool!r}], EBPF_TOOLCHAIN={pins!r}, ENV={{}})
for number in range({programs}):
    Default(env.BpfProgram(f"p{{number}}", f"src/p{{number}}.bpf.c"))
"""


def main(programs=10, runs=7):
    """Prints the table."""
    with tempfile.TemporaryDirectory() as scratch:
        project, empty = Path(scratch, "project"), Path(scratch, "empty")
        write(project, programs)
        empty.mkdir()
        (empty / "SConstruct").write_text("DefaultEnvironment(tools=[])\n")
        run(scons(), project)
        commands = [entry for entry in json.loads((project / "compile_commands.json").read_text())]
        makefile(project, commands)
        run(["make", "-s"], project)
        source = project / "src" / "p0.bpf.c"
        compile_p0 = next(
            command for target, command in make_commands(project, commands) if target.endswith("p0.make.o")
        )

        def edited(command):
            def go():
                source.write_text(source.read_text() + "\n// edited\n")
                return timed(command, project)

            return go

        rows = {
            "empty SConstruct": lambda: timed(scons(), empty),
            "null build": lambda: timed(scons(), project),
            "null build, make": lambda: timed(["make", "-s"], project),
            "changed source": edited(scons()),
            "changed source, make": edited(["make", "-s"]),
            "its compile alone": lambda: timed(compile_p0, project),
        }
        seconds = {name: [] for name in rows}
        for _ in range(runs):
            run(scons(), project)  # what was edited for make
            run(["make", "-s"], project)
            for name, measure in rows.items():
                seconds[name].append(measure())
    wall = {name: statistics.median(value[0] for value in values) for name, values in seconds.items()}
    cpu = {name: statistics.median(value[1] for value in values) for name, values in seconds.items()}
    print(f"{programs} programs, medians of {runs} runs, seconds:  wall     CPU")
    for name in rows:
        print(f"  {name:34} {wall[name]:7.3f} {cpu[name]:7.3f}")
    ratio = cpu["null build"] / cpu["empty SConstruct"]
    overhead = wall["changed source"] - wall["its compile alone"]
    print(f"  null build / empty SConstruct, CPU  {ratio:5.2f}x  (at most 1.6)")
    print(f"  changed source - its compile alone  {overhead:5.2f} s (at most 0.4)")


def write(project, programs):
    """Writes a project of copies of the tracker."""
    (project / "src").mkdir(parents=True)
    for header in PROGRAM.parent.glob("*.h"):
        shutil.copy(header, project / "src")
    for number in range(programs):
        shutil.copy(PROGRAM, project / "src" / f"p{number}.bpf.c")
    tool, pins = str(ROOT / "site_scons" / "site_tools"), str(ROOT / "toolchain.toml")
    (project / "SConstruct").write_text(SCONSTRUCT.format(tool=tool, pins=pins, programs=programs))


def make_commands(project, commands):
    """Yields make's targets and their commands: the compile of each object, into a file of its own."""
    sys.path.insert(0, str(ROOT / "site_scons"))
    from ebpfbuild.compile.clang import locate
    from ebpfbuild.rebuild.ledger import Ledger
    from ebpfbuild.pins.toolchain import load

    spec = load(ROOT / "toolchain.toml").compiler
    compiler = locate(spec.package, spec.path, spec.version, spec.where, Ledger(project / "ledger"))
    for entry in commands:
        target = entry["output"].replace(".bpf.o", ".make.o")
        arguments = [*compiler.argv, *entry["arguments"][1:-1], target, "-MD", "-MF", target + ".d"]
        yield target, arguments


def makefile(project, commands):
    """Writes a Makefile as people write it: depfiles, and nothing that a change of a flag would rebuild."""
    rules = {target: arguments for target, arguments in make_commands(project, commands)}
    text = f"all: {' '.join(rules)}\n-include {' '.join(target + '.d' for target in rules)}\n"
    for (target, arguments), entry in zip(rules.items(), commands):
        text += f"{target}: {entry['file']}\n\t{shlex.join(arguments)}\n"
    (project / "Makefile").write_text(text)


def scons():
    """Returns scons's command as sconsw runs it; the environment's MIRROR becomes the argument."""
    mirror = [f"MIRROR={os.environ['MIRROR']}"] if "MIRROR" in os.environ else []
    return [sys.executable, "-I", "-m", "SCons", "-Q", "--no-site-dir", *mirror]


def run(command, folder):
    """Runs a command that must succeed, in silence."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SCONS"))}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")


def timed(command, folder):
    """Returns the wall and the CPU seconds of a command that must succeed."""
    start, used = time.perf_counter(), _cpu()
    run(command, folder)
    return time.perf_counter() - start, _cpu() - used


def _cpu():
    """Returns the CPU seconds of all child processes that have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
