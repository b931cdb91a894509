"""Runs the user's command that signs a statement, or that checks its signature. Keys are the command's own."""

import shlex
import subprocess
from io import FileIO

from ..errors import PaperError
from ..files import open_regular

PLACE = "{}"  # stands for the statement's path; a command without it gets the path as its last argument


def command_line(command: str, statement: str, where: str) -> list[str]:
    """Returns the words of a command about a statement, split as a shell does, without one. Raises PaperError."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise PaperError(f"{command!r} is no command ({error})", where=where, fix="close the quotation") from None
    if not words:
        raise PaperError("is empty", where=where, fix="name the command and its options: cosign sign-blob --yes")
    given = any(PLACE in word for word in words)
    return [word.replace(PLACE, statement) for word in words] + ([] if given else [statement])


def sign(command: str, statement: str, folder: str) -> None:
    """Has a statement signed, in `folder`. Raises PaperError where the command is none, isn't there, or fails."""
    _run(
        command_line(command, statement, "SIGN"),
        folder,
        "SIGN",
        "the release is unsigned; correct SIGN= and build again",
    )


def check_signature(command: str, statement: str) -> None:
    """Has a statement's signature checked by a command, which may read the statement from stdin, as ssh-keygen does.

    Raises PaperError where it is no command, isn't there, or doesn't end with 0.
    """
    where, fix = "--signature-check", "don't install it; the statement isn't signed by whom you asked for"
    words = command_line(command, statement, where)
    try:
        with open_regular(statement) as file:
            _run(words, None, where, fix, file)
    except OSError as error:
        raise PaperError(f"can't be read: {error.strerror}", where=statement, fix=fix) from None


def _run(words: list[str], folder: str | None, where: str, fix: str, stdin: FileIO | None = None) -> None:
    """Runs a command with this process's environment and terminal: it may ask for a password. Raises PaperError."""
    try:
        status = subprocess.run(words, cwd=folder, stdin=stdin).returncode
    except OSError as error:
        raise PaperError(f"{words[0]} can't be run: {error.strerror}", where=where, fix=fix) from None
    if status:
        raise PaperError(f"{words[0]} ended with {status}", where=where, fix=fix)
