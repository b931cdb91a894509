"""Texts of scripts that stand in for programs, whatever the path of the checkout has: blanks, quotes."""

import shlex
import sys


def python_script(text: str) -> str:
    """Returns a script of the Python that runs the tests: a line #! takes no path with blanks, so it begins as one of sh."""
    return f"#!/bin/sh\n'''exec' \"{sys.executable}\" \"$0\" \"$@\"\n' '''\n{text}"


def wrapper(*words: str) -> str:
    """Returns a script of sh that becomes a program with words before its own arguments."""
    return f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n'
