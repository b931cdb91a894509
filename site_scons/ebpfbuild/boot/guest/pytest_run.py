"""Runs the project's tests in a guest, and reports each: `python -m guest.pytest_run`, which init starts."""

import faulthandler
import json
import os
import sys
from typing import Any

from .report import Reporter

LINES = 60  # of a failure's text, its end
TEXT = 6000  # characters of it
HANGS = 300  # seconds after which a test ends the run, with where it stood


class Reports:
    """A plugin of pytest's: says which test begins and what came of it.

    A test that passed has one report, one that did not has one of each phase that went wrong.
    """

    def __init__(self, report: Reporter):
        self._report = report

    def pytest_collection_finish(self, session: Any) -> None:
        """Says how many tests will run."""
        self._report("tests", count=len(session.items))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Names the test before it may bring the guest down."""
        self._report("begin", test=nodeid[:400])

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Reports a phase: the test itself; set-up and tear-down where they didn't pass."""
        if report.when == "call" or not report.passed:
            self._result(report, "error" if report.failed and report.when != "call" else report.outcome)

    def pytest_collectreport(self, report: Any) -> None:
        """Reports a file that can't be imported, and one that is skipped whole."""
        if not report.passed:
            self._result(report, "error" if report.failed else report.outcome)

    def _result(self, report: Any, outcome: str) -> None:
        text = report.longrepr[2] if report.skipped and isinstance(report.longrepr, tuple) else report.longreprtext
        text = "\n".join(str(text).splitlines()[-LINES:])[-TEXT:]
        seconds = round(getattr(report, "duration", 0.0), 3)
        self._report("test", test=report.nodeid[:400], outcome=outcome, text=text, seconds=seconds)


def main() -> None:
    """Runs pytest as the task says, and reports the status that it ends with."""
    with open("/task/task.json") as file:
        task = json.load(file)
    report = Reporter(task["nonce"], os.dup(1))  # pytest puts another file in the place of 1
    import pytest

    faulthandler.enable()
    sys.path.insert(0, "")  # as `python -m pytest` has it
    options = ["-q", "--tb=short", "--color=no", "-p", "no:cacheprovider", "-o", f"faulthandler_timeout={HANGS}"]
    options += ["-o", "faulthandler_exit_on_timeout=true"]
    status = pytest.main([*options, *task["tests"]["words"]], plugins=[Reports(report)])
    report("pytest", status=int(status))
    sys.stdout.flush()
    os._exit(0)  # a thread that a test left can't hold the guest up


if __name__ == "__main__":
    main()
