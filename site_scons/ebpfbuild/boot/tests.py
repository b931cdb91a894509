"""Holds what a project's tests did on booted kernels, as text and as the XML that CI servers read (JUnit's)."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple
from xml.sax.saxutils import escape, quoteattr

from .results import Guest
from .wire import text_of

OUTCOMES = ("passed", "failed", "error", "skipped")
BAD = ("failed", "error")
LINES = 12  # of a failure's text on the terminal; the XML has more
# pytest's exit codes that say that it ran tests; of the others, what they mean.
RAN = (0, 1)
STATUS: dict[int | None, str] = {
    2: "it was interrupted",
    3: "pytest failed itself",
    4: "pytest refused its options",
    5: "no test was found",
}
NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class CaseResult(NamedTuple):
    """A test on a kernel: its name as pytest has it, what came of it, the reason or the failure, seconds."""

    name: str
    outcome: str
    text: str
    seconds: float


class TestsRun(NamedTuple):
    """The tests on a kernel; `stopped` says why not all ran, empty where they did."""

    guest: Guest
    tests: tuple[CaseResult, ...]
    stopped: str

    @property
    def failed(self) -> list[CaseResult]:
        """The tests that failed, and those whose set-up, tear-down or file did."""
        return [test for test in self.tests if test.outcome in BAD]

    def counts(self) -> str:
        """Returns `12 passed, 3 skipped`; empty where no test ran."""
        found = Counter(test.outcome for test in self.tests)
        return ", ".join(f"{found[each]} {each}" for each in OUTCOMES if found[each])


def reported_tests(guest: Guest, reports: Sequence[dict[str, Any]]) -> TestsRun:
    """Returns what a guest reports of its tests."""
    tests, running, status = [], "", None
    for report in reports:
        kind = report.get("kind")
        if kind == "begin":
            running = text_of(report, "test", 400)
        elif kind == "test" and (outcome := text_of(report, "outcome", 10)) in OUTCOMES:
            name, said = text_of(report, "test", 400), text_of(report, "text", 6000)
            tests.append(CaseResult(name, outcome, said, _seconds(report)))
        elif kind == "pytest":
            running, status = "", report.get("status")
    stopped = guest.stopped
    if not stopped and status not in RAN:
        stopped = STATUS.get(status if isinstance(status, int) else None, "pytest did not come to its end")
    return TestsRun(guest, tuple(tests), f"{stopped}, in {running}" if stopped and running else stopped)


def _seconds(report: dict[str, Any]) -> float:
    value = report.get("seconds")
    return float(value) if isinstance(value, (int, float)) and 0 <= value < 1e6 else 0.0


def text(runs: Iterable[TestsRun]) -> str:
    """Returns a paragraph for each kernel: the counts, failures with the end of their text, and why tests skipped."""
    return "\n\n".join("\n".join(_lines(run)) for run in runs)


def _lines(run: TestsRun) -> Iterator[str]:
    guest = run.guest
    yield f"{guest.kernel} ({guest.seen or guest.release}, {guest.arch}): {run.counts() or 'no test ran'}"
    for test in run.failed:
        yield f"  {test.outcome}: {test.name}"
        yield from (f"    {line}" for line in test.text.splitlines()[-LINES:])
    reasons = Counter(_reason(test.text) for test in run.tests if test.outcome == "skipped")
    yield from (f"  skipped {count}: {reason}" for reason, count in reasons.most_common())
    if run.stopped:
        yield f"  {run.stopped}; its serial output: {guest.log}"


def _reason(text: str) -> str:
    return text.removeprefix("Skipped: ").partition("\n")[0]


def summary(runs: Sequence[TestsRun]) -> str:
    """Returns the last line: kernels, tests by what came of them, seconds."""
    found = Counter(test.outcome for run in runs for test in run.tests)
    counts = ", ".join(f"{found[each]} {each}" for each in OUTCOMES if found[each]) or "no test ran"
    seconds = sum(run.guest.seconds for run in runs)
    return f"{len(runs)} kernel{'' if len(runs) == 1 else 's'} booted in {seconds:.0f} s: {counts}"


def junit(run: TestsRun) -> bytes:
    """Returns the tests of a kernel as JUnit's XML, in the form of pytest's own --junit-xml."""
    found = Counter(test.outcome for test in run.tests)
    rows = "".join(map(_case, run.tests))
    if run.stopped:
        rows += _case(CaseResult("pytest", "error", run.stopped, 0.0))
    facts = {"name": run.guest.kernel, "tests": len(run.tests), "failures": found["failed"]}
    facts |= {"errors": found["error"] + bool(run.stopped), "skipped": found["skipped"]}
    facts |= {"time": f"{run.guest.seconds:.3f}"}
    head = " ".join(f"{name}={_quoted(str(value))}" for name, value in facts.items())
    suite = f"<testsuite {head}>{rows}</testsuite>"
    return f'<?xml version="1.0" encoding="utf-8"?>\n<testsuites>{suite}</testsuites>\n'.encode()


def _case(test: CaseResult) -> str:
    place, _, name = test.name.partition("::")
    place = place.removesuffix(".py").replace("/", ".")
    head = f'<testcase classname={_quoted(place)} name={_quoted(name)} time="{test.seconds:.3f}"'
    if test.outcome == "passed":
        return f"{head} />"
    kind = {"failed": "failure", "error": "error", "skipped": "skipped"}[test.outcome]
    short = _reason(test.text) if test.outcome == "skipped" else (test.text.splitlines() or [""])[-1]
    return f"{head}><{kind} message={_quoted(short)}>{escape(_printable(test.text))}</{kind}></testcase>"


def _quoted(text: str) -> str:
    return quoteattr(_printable(text))


def _printable(text: str) -> str:
    """Returns a text without what no XML may hold."""
    return NOT_XML.sub("?", text)
