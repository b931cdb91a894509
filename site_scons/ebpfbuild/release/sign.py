"""Runs the user's command that signs a statement, or that checks its signature. Keys are the command's own."""

import errno
import os
import shlex
import shutil
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


def sign(command: str, statement: str, folder: str) -> str:
    """Has a statement signed, in `folder`; returns the program that did.

    Raises PaperError where the command is none, isn't there, or fails.
    """
    words = command_line(command, statement, "SIGN")
    _run(words, folder, "SIGN", "the release is unsigned; correct SIGN= and build again")
    return words[0]


def check_signature(command: str, statement: str) -> None:
    """Has a statement's signature checked by a command, which may read the statement from stdin, as ssh-keygen does.

    Raises PaperError where it is no command, isn't there, or doesn't end with 0.
    """
    where = "--signature-check"
    words = command_line(command, statement, where)
    # It may have found no signature, no key, or another one's: only the command knows.
    fix = "the signature isn't checked as good, for the reason that it gives above; don't install it"
    try:
        with open_regular(statement) as file:
            _run(words, None, where, fix, file)
    except OSError as error:
        fix = "don't install it; copy the release again"
        raise PaperError(f"can't be read: {error.strerror}", where=statement, fix=fix) from None


def check_program(command: str, folder: str, where: str) -> None:
    """Finds a command's program as a run of it in `folder` will. Raises PaperError where it is none or isn't there."""
    program = command_line(command, "", where)[0]
    place = os.path.join(folder, program) if os.sep in program else program
    if shutil.which(place) is None:
        raise _not_run(program, os.strerror(errno.EACCES if os.path.exists(place) else errno.ENOENT), where)


def _not_run(program: str, reason: str | None, where: str) -> PaperError:
    """Makes the error about a program that can't be run, by any of the commands."""
    fix = "install it, or name its path; nothing was signed or checked by it"
    return PaperError(f"{program} can't be run: {reason}", where=where, fix=fix)


def _run(words: list[str], folder: str | None, where: str, fix: str, stdin: FileIO | None = None) -> None:
    """Runs a command with this process's environment and terminal: it may ask for a password. Raises PaperError."""
    try:
        status = subprocess.run(words, cwd=folder, stdin=stdin).returncode
    except OSError as error:
        raise _not_run(words[0], error.strerror, where) from None
    if status:
        raise PaperError(f"{words[0]} ended with {status}", where=where, fix=fix)
