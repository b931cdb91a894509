"""Gives BTF the text of source lines in folders that objects call by another name than their own.

clang looks for the text of a line under the name that the object has for its file. Where a prefix map gave the name,
nothing lies there, or a file of another build.
"""

import os
from collections.abc import Callable, Sequence
from functools import cache


def line_text(names: Sequence[tuple[str, str]], root: str) -> Callable[[str, int], bytes | None] | None:
    """Returns a function: a file's name in BTF and a line's number -> its text as clang has it, None for other files.

    `names` are pairs of a folder, relative to `root` or absolute, and what objects call it. None where there are none.
    """
    if not names:
        return None

    @cache
    def lines(path: str) -> list[bytes] | None:
        try:
            with open(path, "rb") as file:
                return file.read().split(b"\n")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def text(file: str, number: int) -> bytes | None:
        path = file.removeprefix("./")
        for folder, name in names:
            inside = path.startswith(f"{name}/")
            found = lines(os.path.join(root, folder, path.removeprefix(f"{name}/"))) if inside else None
            if found is not None:
                return found[number - 1].removesuffix(b"\r").partition(b"\0")[0] if 0 < number <= len(found) else b""
        return None

    return text
