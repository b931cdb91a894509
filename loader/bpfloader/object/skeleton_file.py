"""The file of a skeleton's object: which it is, where it lies, and what to do where it is missing."""

from __future__ import annotations

import os
import sys
from typing import ClassVar

from ..arch import object_path, this_arch
from ..errors import REINSTALL, ObjectError
from ..files import missing_file_fix


class SkeletonFile:
    """What a skeleton's class says of its object's file. A base of Object, for which all of it is empty.

    `FILE` is the file's name, `OBJECTS` the sha256 of each object of that name by arch (see arch.object_path),
    `MANIFEST`, in a package, that of its manifest.json (see package/manifest.py).
    """

    FILE: ClassVar[str] = ""
    MANIFEST: ClassVar[str] = ""
    OBJECTS: ClassVar[dict[str, str]] = {}

    @classmethod
    def _default_path(cls) -> str:
        """Returns the path of the skeleton's object. Raises ObjectError without a skeleton."""
        if not cls.FILE or not cls._module():
            raise ObjectError("no BPF object was given", fix="call open(path), or use a generated skeleton")
        folder = cls._folder()
        if cls.MANIFEST:
            from ..package.manifest import packed_object

            return packed_object(folder, cls.FILE, cls.MANIFEST)
        return object_path(folder, cls.FILE, cls.OBJECTS)

    @classmethod
    def _folder(cls) -> str:
        """Returns the folder of the skeleton's module, which is the package's."""
        return os.path.dirname(cls._module())

    @classmethod
    def _module(cls) -> str:
        """Returns the path of the skeleton's module, which may not be the module of a derived class."""
        skeleton = next((each for each in cls.__mro__ if "OBJECTS" in vars(each)), cls)
        return getattr(sys.modules[skeleton.__module__], "__file__", None) or ""

    @classmethod
    def _missing_fix(cls, path: str) -> str:
        """Returns the next step if the skeleton's object, which is looked for at that path, is missing."""
        if cls.MANIFEST:
            return missing_file_fix(path, True, REINSTALL)
        folder = f" in a folder {this_arch()}" if len(cls.OBJECTS) > 1 else ""
        put = f"put {cls.FILE}{folder} beside {os.path.basename(cls._module())}, both from the same build"
        return missing_file_fix(path, False, put)
