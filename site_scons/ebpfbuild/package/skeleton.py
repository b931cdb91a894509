"""Adapts a generated skeleton to its package: it imports the package's loader, and knows the manifest's digest."""

import ast
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from ..errors import PackageError

# The line by which a generated skeleton finds its loader. In a package the loader lies inside it, so that two programs'
# wheels, each with the loader that it was built with, can be installed side by side.
_IMPORT = re.compile(r"^import bpfloader$", re.MULTILINE)
_VENDORED = "from . import bpfloader"
_FILE = re.compile(r'^    FILE = "[^"\n]+"$', re.MULTILINE)


class _Objects(NamedTuple):
    """The file name of a skeleton's objects, and their sha256 by arch."""

    file: str
    digests: dict[str, str]


@dataclass(frozen=True)
class PackedSkeleton:
    """A skeleton's module and stub, as BpfSkeleton writes them; `name` is the module's file, for errors."""

    name: str
    module: str
    stub: str

    def files(self, manifest: str) -> dict[str, bytes]:
        """Returns its files, for a package with a manifest of that sha256. Raises PackageError if it is no skeleton."""
        text = self._replace_once(_FILE, rf'\g<0>\n    MANIFEST = "{manifest}"', self._vendored(self.module))
        return {self.name: text.encode(), f"{self.name}i": self._vendored(self.stub).encode()}

    def check(self, object_name: str, objects: Mapping[str, bytes]) -> None:
        """Raises PackageError unless it was made for just these objects, by arch."""
        file, digests = self._made_for
        if file != object_name:
            what = f"is the skeleton of {file}, the objects are {object_name}"
            raise PackageError(what, where=self.name, fix="hand BpfPackage the objects that BpfSkeleton was handed")
        if digests.keys() != objects.keys():
            what = f"is for {', '.join(sorted(digests))}, the objects are for {', '.join(sorted(objects))}"
            fix = "hand BpfSkeleton and BpfPackage the same objects, those of all arches together"
            raise PackageError(what, where=self.name, fix=fix)
        for arch, data in objects.items():
            if hashlib.sha256(data).hexdigest() != digests[arch]:
                what = f"was made for another {object_name} of {arch}"
                raise PackageError(what, where=self.name, fix="hand BpfPackage the objects that BpfSkeleton was handed")

    def exported(self) -> list[str]:
        """Returns the module's classes and constants that every arch has.

        In an `if ARCH`, each branch holds some arches' own.
        """
        found: dict[str, int] = {}
        for node in self._tree.body:
            branches = [(node, len(self.arches))] if not isinstance(node, ast.If) else []
            while isinstance(node, ast.If):
                count = sum(isinstance(part, ast.Constant) for part in ast.walk(node.test))
                branches += [(inside, count) for inside in node.body]
                node = node.orelse[0] if node.orelse else ast.Pass()
            for inside, count in branches:
                for name in _defined(inside):
                    found[name] = found.get(name, 0) + count
        return sorted(name for name, count in found.items() if count == len(self.arches))

    @property
    def arches(self) -> list[str]:
        """The arches that it was made for."""
        return sorted(self._made_for.digests)

    @property
    def module_name(self) -> str:
        """The name by which it is imported."""
        return self.name.removesuffix(".py")

    @property
    def program(self) -> str:
        """The name of the skeleton's class."""
        return self._class.name

    @cached_property
    def _tree(self) -> ast.Module:
        try:
            return ast.parse(self.module)
        except SyntaxError:
            raise self._no_skeleton() from None

    @cached_property
    def _class(self) -> ast.ClassDef:
        for node in self._tree.body:
            if isinstance(node, ast.ClassDef) and any(isinstance(row, ast.AnnAssign) for row in node.body):
                return node
        raise self._no_skeleton()

    @cached_property
    def _made_for(self) -> _Objects:
        """The objects that it was made for."""
        found = {}
        for row in self._class.body:
            if isinstance(row, ast.Assign | ast.AnnAssign) and row.value:
                target = row.targets[0] if isinstance(row, ast.Assign) else row.target
                found[ast.unparse(target)] = row.value
        try:
            return _Objects(ast.literal_eval(found["FILE"]), ast.literal_eval(found["OBJECTS"]))
        except (KeyError, ValueError):
            raise self._no_skeleton() from None

    def _vendored(self, text: str) -> str:
        return self._replace_once(_IMPORT, _VENDORED, text)

    def _replace_once(self, pattern: re.Pattern[str], by: str, text: str) -> str:
        changed, count = pattern.subn(by, text)
        if count != 1:
            raise self._no_skeleton()
        return changed

    def _no_skeleton(self) -> PackageError:
        return PackageError("is no skeleton made by this build", where=self.name, fix="build it with BpfSkeleton")


def _defined(node: ast.stmt) -> list[str]:
    """Returns the name of a class or of an enumerator, if it is one: `c`, the codecs, and ARCH are the module's own."""
    if isinstance(node, ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute):
        return [name for name in map(ast.unparse, node.targets) if name != "c"]
    return []
