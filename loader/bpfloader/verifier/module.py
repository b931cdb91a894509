"""Finds the objects of the skeletons in a Python module or a package, which `python -m bpfloader verify` imports."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

from ..errors import ObjectError

SKELETON = "_skel"  # the end of the names of modules that a build generates


def module_objects(name: str) -> list[str]:
    """Imports a module and returns the paths of its skeletons' objects; of a package, those of its modules *_skel too.

    Raises ObjectError for a name that is no module, or one without a skeleton.
    """
    from importlib import import_module

    what = f"{name} is no file, and no module that can be imported"
    if not all(part.isidentifier() for part in name.split(".")):
        raise ObjectError(f"{name} is no file", fix="give the path of an object, a wheel or a tar")
    try:
        module = import_module(name)
        modules = [module, *map(import_module, _skeletons(module))]
    except ImportError as error:
        raise ObjectError(f"{what} ({error})", fix="give the path of an object, a wheel or a tar") from None
    classes = dict.fromkeys(each for found in modules for each in vars(found).values() if _is_skeleton(each))
    if not classes:
        raise ObjectError(f"the module {name} has no skeleton", fix="name the module that the build generated")
    return sorted({each._default_path() for each in classes})


def _skeletons(package: ModuleType) -> Iterator[str]:
    """Yields the names of a package's modules that are skeletons."""
    from pkgutil import iter_modules

    for each in iter_modules(getattr(package, "__path__", ())):
        if each.name.endswith(SKELETON):
            yield f"{package.__name__}.{each.name}"


def _is_skeleton(value: Any) -> bool:
    """Returns True for a class with an object's file: it may be that of another copy of this loader, as in a wheel."""
    return isinstance(value, type) and bool(getattr(value, "FILE", "")) and hasattr(value, "_default_path")
