"""Names a project's sources as papers do: by git's commit, and by one digest over the files of its objects."""

from collections.abc import Mapping
from typing import NamedTuple

from ..escape import without_secrets
from ..git import git, last_commit
from .materials import SOURCE, Material
from .sums import sha256, sums

COMMIT, FILES = "git commit", "source files"


class Checkout(NamedTuple):
    """A project's git tree: the commit that is checked out, where it was cloned from, if files differ from the commit.

    All is empty for a project that lies in none.
    """

    commit: str = ""
    origin: str = ""
    modified: bool = False


def checkout_of(root: str) -> Checkout:
    """Asks git about a project's root. A path of this machine, and a password, aren't told as its origin."""
    commit = last_commit(root)
    if commit is None:
        return Checkout()
    origin = (git(root, "remote", "get-url", "origin") or [""])[0]
    modified = bool(git(root, "diff", "--name-only", "HEAD"))
    return Checkout(commit.name, without_secrets(origin) if "://" in origin else "", modified)


def source_materials(checkout: Checkout, files: Mapping[str, str]) -> tuple[Material, ...]:
    """Returns the sources as inputs: the commit, if there is one, and the files by the sha256 of each path, if any."""
    found = []
    if checkout.commit:
        uri = f"git+{checkout.origin}" if checkout.origin else "file:."
        found.append(Material(SOURCE, COMMIT, "", uri, {"gitCommit": checkout.commit}))
    if files:
        found.append(Material(SOURCE, FILES, "", "file:.", {"dirHash": sha256(sums(files))}))
    return tuple(found)
