"""Measures naming the frames of many processes' stacks: 10,000 frames of 50 processes, cold and again.

    .venv/bin/python benchmarks/symbols.py [processes] [frames]

Half of the processes run this Python, half run programs of the machine; frames are spread over the code that each has
mapped. The target is a second of CPU time for all of it, with the files read for the first time.
"""

import random
import shutil
import subprocess
import sys
import time

from build import ROOT

sys.path.insert(0, str(ROOT / "loader"))

from bpfloader.symbols import user
from bpfloader.symbols.regions import regions_of

DEPTH = 20  # frames of a stack
PROGRAMS = [["cat"], ["bash", "-c", "read line"], ["perl", "-e", "<STDIN>"], ["openssl"], ["gdb", "-q"], ["awk", "1"]]


def main(processes=50, frames=10_000):
    """Prints how long it takes, and how many of the frames have names."""
    programs = [command for command in PROGRAMS if shutil.which(command[0])]
    commands = [[sys.executable, "-c", "import ssl, sqlite3; input()"], *programs]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    running = [
        subprocess.Popen(commands[0] if number % 2 else commands[number // 2 % len(commands)], **pipes)
        for number in range(processes)
    ]
    try:
        time.sleep(2)  # until they have loaded their libraries
        stacks = [(each.pid, stack) for each in running for stack in made_up(each.pid, frames // processes)]
        print(f"{sum(len(stack) for _, stack in stacks)} frames of {processes} processes of {len(commands)} programs")
        for name in ("files read for the first time", "again"):
            start = time.process_time()
            names = [name for pid, stack in stacks for name in user.user_symbols(stack, pid, stack=True)]
            seconds = time.process_time() - start
            known = sum(not name.startswith("0x") for name in names)
            print(
                f"  {name:32} {seconds:6.2f} s of CPU time, {known} named; under a second: {'yes' if seconds < 1 else 'NO'}"
            )
    finally:
        for each in running:
            each.kill()
            each.wait()


def made_up(pid, count):
    """Returns stacks of addresses in the code that a process has mapped; the same ones in each run."""
    code = [region for region in regions_of(pid) if region.code and region.path.startswith("/")]
    choose = random.Random(count)
    places = [(choose.choice(code), choose.random()) for _ in range(count)] if code else []
    addresses = [region.start + int(part * (region.end - region.start)) for region, part in places]
    return [addresses[start : start + DEPTH] for start in range(0, len(addresses), DEPTH)]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
