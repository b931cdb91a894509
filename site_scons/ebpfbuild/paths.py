"""Resolves a project's paths as the kernel does: links are followed and `..` is taken behind them."""

import os


class Tree:
    """A project's root. Relative paths are taken from there, where clang runs. Folders are resolved once."""

    def __init__(self, root: str):
        self.root = os.path.realpath(root)
        self._folders: dict[str, str] = {}

    def real(self, path: str) -> str:
        """Returns the absolute path without a symlink in it; what it names needn't exist."""
        folder, name = os.path.split(path)
        if name in ("", ".", ".."):
            return os.path.realpath(os.path.join(self.root, path))
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(os.path.join(self.root, folder))
        whole = os.path.join(self._folders[folder], name)
        return os.path.realpath(whole) if os.path.islink(whole) else whole

    def normalized(self, path: str) -> str:
        """Returns the path of the same file without `.`, `//` and `..`: from the root, or absolute if it is outside.

        `link/../x.h` lies beside the folder that the link leads to, not beside the link. Other links stay: clang
        searches a quoted name in the folder of the link by which it came to a file.
        """
        parts = path.split(os.sep)
        if os.pardir in parts:
            end = len(parts) - parts[::-1].index(os.pardir)
            path = os.path.join(self.real(os.sep.join(parts[:end])), *parts[end:])
        path = os.path.normpath(path)
        return path.removeprefix(self.root + os.sep) if path != self.root else "."

    def inside(self, path: str) -> bool:
        """Returns True if a path leads to the root or below it."""
        return f"{self.real(path)}{os.sep}".startswith(f"{self.root}{os.sep}")

    def outside_link(self, path: str) -> str | None:
        """Returns the first part of a path that is a symlink out of the root, or None for a path that stays inside."""
        if self.inside(path):
            return None
        if os.path.isabs(path):
            return path
        parts = path.split(os.sep)
        ways = (os.sep.join(parts[: count + 1]) for count in range(len(parts)))
        return next(way for way in ways if not self.inside(way))
