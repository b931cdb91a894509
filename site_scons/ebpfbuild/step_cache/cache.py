"""Finds and keeps what steps made, by the digest of their inputs, and believes nothing that it hasn't verified.

A result is an ActionResult under the sha256 of a step's inputs, which it holds itself as its stdout; its files lie
under their own sha256, and small ones in the result as well where that saves requests. Whatever is wrong with a
result, a file or the whole place is a miss and a notice.
"""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from .action_result import ActionResult, OutputFile, decoded, encoded
from .place import FILES, RESULTS, Entry, Place, PlaceError, UnfitEntryError
from .workers import TooLateError, Workers

Given = TypeVar("Given")  # what a place gives

MAX_RESULT_SIZE = 1 << 20  # bytes of an ActionResult: one of a hundred inputs has 10 kB beside its files' contents
MAX_SAID_SIZE = 1 << 16  # characters of what a step said
MAX_MADE_SIZE = 64 << 20  # bytes of all files of one step

SECONDS = 5.0  # that a result may take to come, or to be kept

# A cache may cost a build LOSS seconds more than it is worth: GIVEN for each result that it gave, which a compile takes
# at least, and a SHARE of the time that steps took whose results it will give others. All threads' seconds add up, so a
# busy machine, on which each answer and each compile is late, is no reason to give a cache up.
LOSS, GIVEN, SHARE = 2.5, 0.2, 0.5


@dataclass(frozen=True)
class Made:
    """What a step made and said: its files' bytes by name, its notices, and the compiler's warnings.

    `digests` are the files' sha256, where a cache gave them.
    """

    files: Mapping[str, bytes]
    notices: tuple[str, ...] = ()
    warnings: str = ""
    digests: Mapping[str, str] = field(default_factory=dict, compare=False)


class StepCache:
    """A cache at a place. Threads may share it. `notice` gets a line for each kind of trouble, once.

    A place that can't be used, is not done with a step within `seconds`, or costs more than it is worth isn't asked
    again.

    hits      how many results were taken
    misses    how many were not there, or not to be had
    rejected  how many of these were not what they should be
    trouble   why it isn't used as it was asked to be, for the last line of a build; empty if it is
    """

    def __init__(self, place: Place, notice: Callable[[str], None], read_only: bool = False, seconds: float = SECONDS):
        self._place, self._notice, self._seconds = place, notice, seconds
        self._readable, self._writable = True, not read_only
        self._lock, self._workers = threading.Lock(), Workers()
        self._cost, self._worth = 0.0, LOSS
        self._took = False
        self.hits = self.misses = self.rejected = 0
        self.trouble = ""

    def leave_out(self, trouble: str) -> None:
        """Has the place asked nothing in this build, and given nothing."""
        self._readable = self._writable = False
        self.trouble = trouble

    def find(self, inputs: str, names: Collection[str], check: Callable[[Mapping[str, bytes]], None]) -> Made | None:
        """Returns what a step with these inputs made, or None.

        `names` are the files that it makes, no more and no fewer. `check` looks at their bytes, and raises ValueError
        for what no such step makes.
        """
        made = None
        if self._readable:
            made = self._in_time(lambda: self._found(inputs, frozenset(names), check))
        with self._lock:
            self.hits += made is not None
            self.misses += made is None
            self._worth += GIVEN if made else 0.0
        return made

    def _found(self, inputs: str, names: frozenset[str], check: Callable[[Mapping[str, bytes]], None]) -> Made | None:
        entry = key = Entry(RESULTS, _sha256(inputs.encode()))
        try:
            data = self._timed(lambda: self._place.get(entry, MAX_RESULT_SIZE))
            if data is None:
                return None
            result = decoded(data)
            _check_result(result, inputs, names)
            notices, warnings = read_said(result)
            files = {}
            for file in result.files:
                entry = key if file.contents else Entry(FILES, file.sha256)
                content = file.contents or self._timed(lambda: self._place.get(entry, file.size))
                if content is None:  # evicted under a result that is still there
                    return None
                _check_file(content, file)
                files[file.path] = content
            entry = key
            check(files)
            return Made(files, notices, warnings, {file.path: file.sha256 for file in result.files})
        except (UnfitEntryError, ValueError) as error:
            self._reject(entry, str(error))
        except PlaceError as error:
            self._give_up(error)
        return None

    def keep(self, results: Mapping[str, Collection[str]], made: Made, seconds: float = 0.0) -> None:
        """Keeps what a step made in `seconds` under each text of inputs, with the files that are named there.

        Files come before the results that name them: whoever finds a result finds its files.
        """
        with self._lock:
            self._worth += SHARE * seconds
        said = sum(map(len, (*made.notices, made.warnings)))
        if not self._writable or said > MAX_SAID_SIZE or sum(map(len, made.files.values())) > MAX_MADE_SIZE:
            return
        files = {name: OutputFile(name, _sha256(data), len(data)) for name, data in made.files.items()}
        self._in_time(lambda: self._put_all(results, made, files))

    def _put_all(self, results: Mapping[str, Collection[str]], made: Made, files: Mapping[str, OutputFile]) -> None:
        try:
            for name, data in made.files.items():
                self._put(Entry(FILES, files[name].sha256), data)
            for inputs, names in results.items():
                result = ActionResult(tuple(files[name] for name in sorted(names)), inputs.encode(), b"")
                result = with_said(result, made.notices, made.warnings)
                self._put(Entry(RESULTS, _sha256(result.stdout)), self._encoded(result, made.files))
        except PlaceError as error:
            self._give_up(error)

    def _encoded(self, result: ActionResult, contents: Mapping[str, bytes]) -> bytes:
        """Returns a result's bytes, with the contents of the files that the place wants in it, if all that has room."""
        small = {name: data for name, data in contents.items() if len(data) <= self._place.inlines}
        files = tuple(file._replace(contents=small.get(file.path, b"")) for file in result.files)
        data = encoded(result._replace(files=files))
        return data if len(data) <= MAX_RESULT_SIZE else encoded(result)

    def _in_time(self, work: Callable[[], Given]) -> Given | None:
        """Returns what work in a thread of its own gives; None where that takes too long, and then it is the last.

        No time limit of a socket bounds the look-up of a name, or an answer of a byte a second; none of a file does.
        """
        try:
            return self._workers.run(work, self._seconds)
        except TooLateError as late:
            self._give_up(PlaceError(str(late)))
        return None

    def _put(self, entry: Entry, data: bytes) -> None:
        self._timed(lambda: self._place.put(entry, data))
        self._took = True

    def _timed(self, ask: Callable[[], Given]) -> Given:
        """Returns what the place gives, and counts what that cost. Raises PlaceError."""
        with self._lock:
            if self._cost > self._worth:
                raise PlaceError(f"it is too slow: it has cost {self._cost:.1f} s, more than it is worth")
        began = time.monotonic()
        try:
            return ask()
        finally:
            with self._lock:
                self._cost += time.monotonic() - began

    def _reject(self, entry: Entry, why: str) -> None:
        aside = self._place.set_aside(entry)
        with self._lock:
            self.rejected += 1
            first = self.rejected == 1
        if first:
            then = f"it is set aside as {aside}" if aside else "it is passed over"
            more = "; this is told once, and the last line counts them"
            self._notice(f"CACHE: {self._place.shown}/{entry.kind}/{entry.digest[:12]}… {why}; {then}{more}")

    def _give_up(self, error: PlaceError) -> None:
        """Uses the place no more, or no more to write; says so once."""
        with self._lock:
            told = self._readable if not error.writing else self._writable
            self._writable = False
            self._readable = self._readable and error.writing
            written = "takes nothing more" if self._took else "takes nothing"
            without = written if error.writing else "isn't used any more"
            self.trouble = without if told else self.trouble
        if told:
            self._notice(f"CACHE: {self._place.shown} {without} in this build, since {error.reason}")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _check_result(result: ActionResult, inputs: str, names: frozenset[str]) -> None:
    """Raises ValueError for a result that isn't of these inputs, or doesn't name just these files."""
    if result.stdout != inputs.encode():
        raise ValueError("is a result of other inputs")
    if {file.path for file in result.files} != names:
        raise ValueError("names other files than the step makes")
    if sum(file.size for file in result.files) > MAX_MADE_SIZE:
        raise ValueError("names files that are larger than a step's are")


def _check_file(content: bytes, file: OutputFile) -> None:
    if len(content) != file.size or _sha256(content) != file.sha256:
        raise ValueError("holds other bytes than its name says")


def with_said(result: ActionResult, notices: Sequence[str], warnings: str) -> ActionResult:
    """Returns a result with what its step said as its stderr: JSON, sealed by a sha256 over the whole result.

    By that a result is known to be whole, and not only its files. Contents that it holds are no part of the seal: their
    digests are, and a server may leave them out.
    """
    said = {"notices": list(notices), "warnings": warnings}
    files = tuple(file._replace(contents=b"") for file in result.files)
    seal = _sha256(encoded(result._replace(files=files, stderr=json.dumps(said).encode())))
    return result._replace(stderr=json.dumps({**said, "sha256": seal}).encode())


def read_said(result: ActionResult) -> tuple[tuple[str, ...], str]:
    """Returns the notices and the warnings of a result that `with_said` made. Raises ValueError for any other."""
    try:
        said = json.loads(result.stderr)
        notices, warnings = said["notices"], said["warnings"]
        if not all(isinstance(text, str) for text in (warnings, *notices)):  # whoever can write can seal
            raise TypeError
        sealed = with_said(result._replace(stderr=b""), notices, warnings)
    except (ValueError, KeyError, TypeError, RecursionError):
        sealed, notices, warnings = None, (), ""
    if sealed != result:
        raise ValueError("is damaged: its seal is of another result")
    return tuple(notices), warnings
