"""The command line: options, the loop, the end."""

import argparse
import errno
import math
import os
import re
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from .bpfloader import BpfError, errno_text
from .render import Json, Table, kind_of
from .variants import VARIANTS, start

EPILOG = """\
JSON fields: time (ISO 8601, UTC), boot_ns, event (connect, fail, accept, close, send), protocol (tcp, udp, icmp,
icmp6), direction (out, in), pid, tid, uid, comm, local_address, local_port, remote_address, remote_port (an ICMP echo's
local_port is its identifier), socket, duration_ns, sent, received, error; null for what an event doesn't have.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, or 1 after one error line on stderr. Ends by Ctrl-C, SIGTERM, --duration, a closed stdout."""
    _replace_missing_streams()
    options = _parser().parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # a shell's background job ignores Ctrl-C
            signal.signal(number, _interrupt)
    try:
        return _track(options)
    except KeyboardInterrupt:
        return 0  # before there was anything to sum up
    except (BpfError, OSError) as error:
        _say(str(error))
        return 1


def _replace_missing_streams() -> None:
    """Puts /dev/null where a caller closed a standard stream, before a BPF program's descriptor gets its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))


def _interrupt(number: int, frame: object) -> None:
    """Lets SIGTERM end the program as Ctrl-C does; a second signal doesn't disturb the end."""
    for other in (signal.SIGINT, signal.SIGTERM):
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    about = "Shows who talks to whom, as it happens: TCP connect, accept and close, UDP and ICMP echo send. Wants root."
    parser = argparse.ArgumentParser(
        "socket_tracker", description=about, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="JSON lines instead of a table")
    parser.add_argument("--pid", type=_pid, default=0, help="only this process")
    parser.add_argument("--duration", type=_seconds, default=math.inf, metavar="SECONDS", help="end after so long")
    parser.add_argument("--variant", choices=VARIANTS, help="the hooks to use; else the first that this kernel takes")
    return parser


def _pid(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 1 << 22:  # PID_MAX_LIMIT of linux/threads.h
        raise argparse.ArgumentTypeError(f"{text!r} is no process id")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return seconds


def _notice(pid: int) -> str:
    """Why a process's events may not come: there is no such process, or it is a thread; "" if they will."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return f"no process {pid} runs here now"
    process = int(re.search(r"^Tgid:\s*(\d+)", status, re.MULTILINE)[1])
    return f"{pid} is a thread of the process {process}: nothing will show; use --pid {process}" * (process != pid)


def _track(options: argparse.Namespace) -> int:
    if options.pid and (notice := _notice(options.pid)):
        _say(notice)
    choice = start(options.pid, options.variant)
    counts: Counter[str] = Counter()
    status = 0
    with choice.object as skel:
        for name, error in choice.refused.items():
            _say(f"{name} doesn't work here: {error.what}")
        try:
            _say(f"variant {choice.variant}; Ctrl-C ends")
            _show(skel.maps.events, Json() if options.json else _table(), options.duration, counts)
        except KeyboardInterrupt:
            pass
        except OSError as error:
            _abandon(sys.stdout)
            if error.errno != errno.EPIPE:
                status = 1
                _say(f"can't write the events ({errno_text(error.errno or 0)}); give stdout another place")
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) or "none"
        _say(f"events: {kinds}; {skel.bss.dropped} dropped; {len(skel.maps.connections)} connections still open")
    return status


def _show(ring: Any, format: Json | Table, duration: float, counts: Counter[str]) -> None:
    """Writes events until `duration` seconds have passed, flushing whenever there is none to come."""

    def show(event: Any) -> None:
        counts[kind_of(event)] += 1  # first: a signal may come as soon as the line is out
        sys.stdout.write(format.line(event))

    end = time.monotonic() + duration
    sys.stdout.write(format.header())
    sys.stdout.flush()
    while (left := end - time.monotonic()) > 0:
        if ring.poll(None if left == math.inf else left):
            ring.consume(show)
            sys.stdout.flush()


def _table() -> Table:
    if not sys.stdout.isatty():
        return Table(None, False)
    colours = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"  # no-color.org
    return Table(shutil.get_terminal_size().columns, colours)


def _say(text: str) -> None:
    try:
        print(f"socket_tracker: {text}", file=sys.stderr, flush=True)
    except OSError:
        _abandon(sys.stderr)


def _abandon(stream: TextIO) -> None:
    """Lets what is still to be written to a broken stream vanish, so that Python's own flush at the end is quiet."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
