"""Runs `python -m socket_tracker`, from the command line to the exit status."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .bpfloader import BpfError, errno_text
from .displays import Display, LineDisplay, LiveTable, PrintedTables
from .filters import Filters
from .frame import View
from .options import filters, parser
from .render import Json, Table
from .screen import is_terminal, wants_colours
from .signals import StopSignals
from .tracker import start
from .watch import Watch, discard_output, say

if TYPE_CHECKING:
    from argparse import Namespace


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 1 after one error line on stderr.

    Ctrl-C, SIGTERM, --duration or a closed stdout end it.
    """
    _replace_missing_streams()
    options = parser().parse_args(arguments)
    stop_signals = StopSignals()
    stop_signals.listen()
    try:
        return _track(options, filters(options), stop_signals)
    except KeyboardInterrupt:
        return 0  # there is nothing to sum up yet
    except (BpfError, OSError) as error:
        say(str(error))
        return 1


def _replace_missing_streams() -> None:
    """Puts /dev/null where a caller closed a standard stream, before a BPF program's descriptor gets its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a thread's name that the terminal lacks


def _why_no_events(pid: int) -> str:
    """Returns why a process's events won't come: there is no such process, or it is a thread; "" if they will."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            status = file.read()
    except OSError:
        return f"no process {pid} runs here now"
    found = re.search(r"^Tgid:\s*(\d+)", status, re.MULTILINE)
    process = int(found[1]) if found else pid
    if process == pid:
        return ""
    return f"{pid} is a thread of the process {process}: nothing will show; use --pid {process}"


def _track(options: Namespace, wanted: Filters, stop_signals: StopSignals) -> int:
    for notice in filter(None, map(_why_no_events, wanted.pids)):
        say(notice)
    choice = start(wanted, options.variant, options.buffer << 10)
    status = 0
    with choice.object as tracker:
        for name, error in choice.refused.items() if options.verbose else ():
            say(f"{name} doesn't work here: {error.what}")
        watch = Watch(tracker, wanted, options.duration, stop_signals)
        try:
            _display_events(watch, options)
        except KeyboardInterrupt:
            pass
        except OSError as error:
            discard_output(sys.stdout)
            if error.errno != errno.EPIPE:
                status = 1
                say(f"can't write the events ({errno_text(error.errno or 0)}); give stdout another place")
        stop_signals.ignore()
        say(watch.summary())
    return status


def _display_events(watch: Watch, options: Namespace) -> None:
    """Shows events until a signal or --duration ends it; then those that have come until then."""
    display: Display
    if options.top:
        display = (LiveTable if is_terminal() else PrintedTables)(
            watch, View(options.by, options.sort), options.interval
        )
    else:
        display = LineDisplay(watch, Json() if options.json else _line_table())
    try:
        say(f"variant {watch.tracker.variant}; Ctrl-C ends")
        display.run()
    except KeyboardInterrupt:
        pass
    watch.finish()
    display.end()
    sys.stdout.flush()


def _line_table() -> Table:
    if not sys.stdout.isatty():
        return Table(None, False)
    return Table(shutil.get_terminal_size().columns, wants_colours())
