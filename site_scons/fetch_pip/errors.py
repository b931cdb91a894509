"""Defines the errors that end set-up, or one place's turn."""

from ebpfbuild.escape import printable

MAX_LINE_LENGTH = 300  # characters of what others wrote, in a line for the user


class SetupError(Exception):
    """Ends set-up; the text is one line for the user."""


class Unavailable(Exception):
    """One place has no such wheel or can't be reached; the next one gets its turn. `passing`: another try may help."""

    def __init__(self, reason: str, passing: bool = False):
        self.passing = passing
        super().__init__(reason)


def one_line(text: str) -> str:
    """Returns the text with what could steer a terminal escaped, and no longer than a line should be."""
    text = printable(text)
    return text if len(text) <= MAX_LINE_LENGTH else f"{text[:MAX_LINE_LENGTH]}…"
