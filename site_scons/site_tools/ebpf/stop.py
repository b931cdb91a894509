"""The error that stops SCons with one line."""

import SCons.Errors
from ebpfbuild.escape import printable


class StopError(SCons.Errors.StopError):
    """SCons's own, in one line that a terminal may get: names of files and arguments come from anywhere."""

    def __init__(self, text):
        super().__init__(printable(text))
