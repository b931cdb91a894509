"""Finds where the project's files lie, and refuses those that lie outside of it or are no files."""

import os
from errno import ELOOP

from SCons.Util import is_Sequence

from ebpfbuild.files import UnfitFileError, require_regular, symlink_loop
from ebpfbuild.paths import Tree

from .arguments import file_of, flat
from .by_arch import ByArch
from .errors import StopError, check_mapped, check_name, unfit_input
from .nodes import variant_dir
from .run import refuse

BUILD = "build"  # the build folder where EBPF_BUILD names no other, and in objects always


class ProjectFiles:
    """The files below a project's root, and what a build makes outside of it.

    `build` is the path of the build folder, `run` the Run that prints notices.
    """

    def __init__(self, root, build, run):
        self.root, self._build, self._run = root, build, run
        self.tree = Tree(root)
        self._variants = set()  # each variant_dir outside of the project
        self._paths = {}  # by node
        self._checked = set()  # paths whose symlinks were looked at

    def path(self, node, what, otherwise=""):
        """Returns a node's path from the root; an absolute one in a build folder or variant_dir outside of the project.

        Raises StopError for any other outside; `what` names its argument, `otherwise` is another way out.
        """
        if node in self._paths:
            return self._paths[node]
        self._note_variant(node)
        path = self.tree.normalized(node.get_abspath())
        check_name(path.removeprefix(f"{self.root}{os.sep}"), what)
        self._check_loop(path, what)
        if os.path.isabs(path) and not self.made_place(path):
            path = self.tree.normalized(self.tree.real(path))  # the root may have another name
        if os.path.isabs(path) and not self.made_place(path):
            raise StopError(
                f"{what}: {node.path} is outside of the project; copy what you need of it into the project{otherwise}"
            )
        self._paths[node] = path
        return path

    def _note_variant(self, node):
        folder = variant_dir(node)
        if folder and os.path.isabs(folder.path):
            check_mapped(folder.path, "variant_dir")
            self._variants.add(folder.path)

    def made_place(self, path):
        """Returns the folder outside of the project that a path lies in and this build makes files in, or None."""
        if not os.path.isabs(path):
            return None
        folders = {name for each in (self._build, *self._variants) for name in (each, self.tree.real(each))}
        found = [each for each in folders if os.path.isabs(each) and is_below(path, each)]
        return max(found, key=len, default=None)

    def may_read(self, path):
        """Returns True if a compile may read a path where no builder makes a file: in the project or build folder.

        A variant_dir outside of them may be any folder of the machine.
        """
        return not os.path.isabs(path) or is_below(path, self._build) or is_below(path, self.tree.real(self._build))

    def names(self, source, paths):
        """Returns what objects are to call folders, where clang is told them otherwise: pairs of a folder and a name.

        The build folder has the name that it has by default, whatever EBPF_BUILD says, unless `source`, a node, is a
        file of the project's in it. A variant_dir outside of the project that the source or `paths` lie in is called as
        if it lay in the build folder.
        """
        own = not source.has_builder() and is_below(source.path, self._build)
        named = [] if own or self._build in (BUILD, os.curdir) else [(self._build, BUILD)]
        places = {self.made_place(path) for path in (source.path, *paths)} - {None}
        outside = sorted(place for place in places if not self.may_read(place))
        return (*named, *((folder, os.path.join(BUILD, os.path.basename(folder))) for folder in outside))

    def _check_loop(self, path, what):
        """Refuses a path that the kernel can't follow.

        SCons would name it as it lies on this machine, clang pass it over.
        """
        try:
            os.stat(os.path.join(self.root, path))
        except OSError as error:
            if error.errno == ELOOP:
                raise unfit_input(symlink_loop(os.path.join(self.root, path)), f"{what}: {path}") from None

    def check_symlinks(self, path, release):
        """Prints a notice of a symlink that leads out of the project. Raises StopError for one in a release.

        The build folder may be a link to anywhere.
        """
        if path in self._checked:
            return
        self._checked.add(path)
        made = is_below(path, self._build) or self.made_place(path)
        link = None if made else self.tree.outside_link(path)
        if link is None or (link in self._checked and link != path):
            return
        self._checked.add(link)
        what = f"{link} leads out of the project, to {self.tree.real(link)}"
        if release:
            refuse(
                self._run, f"{what}; a release is made of the project alone: copy what you need of it into the project"
            )
            return
        self._run.reporter.notice(f"{what}; another checkout may find something else there, and RELEASE=1 refuses it")

    def require_file(self, path):
        """Raises StopError for an input that is there and is no file: to hash a pipe, SCons would wait for ever."""
        name = os.path.relpath(path, self.root) if os.path.isabs(path) else path
        path = os.path.join(self.root, path)
        if not name.isprintable():  # SCons puts it on the terminal as it stands
            raise StopError(f"{name} is no name for a file of a build; take letters, digits and signs that print")
        try:
            require_regular(path)
        except UnfitFileError as error:
            raise unfit_input(error, name) from None
        except OSError:
            return  # who reads it will say why it can't be read


def is_below(path, folder):
    """Returns True if a path is a folder's or lies in it, by their names."""
    return f"{path}{os.sep}".startswith(f"{folder.rstrip(os.sep)}{os.sep}")


def file_nodes(env, files, what):
    """Returns the nodes of the files of a builder's argument, which `what` names.

    Raises StopError for one that no step makes and that is no file.
    """
    return _require_files(env, [file_of(env, file, what) for file in flat(env, files, what)])


def objects_of(env, objects):
    """Returns the nodes of a builder's argument `objects`: of what BpfProgram returned the objects alone.

    Raises StopError for what is no object.
    """
    nodes = file_nodes(env, _without_others(objects), "objects")
    for node in nodes:
        if not node.name.endswith(".o"):
            raise StopError(f"objects: {node.path} is no object; hand over what BpfObject or BpfProgram returned")
    return nodes


def _without_others(given):
    if isinstance(given, ByArch) and given.by_arch:
        return list(given.by_arch.values())
    return [_without_others(each) for each in given] if is_Sequence(given) else given


def dependency_nodes(env, files):
    """Returns the nodes of what a compile reads besides, which may be folders. Raises StopError as file_nodes does."""
    nodes = env.arg2nodes(flat(env, files, "depends"), env.fs.Entry)
    _require_files(env, [node for node in nodes if not os.path.isdir(node.abspath)])
    return nodes


def _require_files(env, nodes):
    for node in nodes:
        if not node.has_builder():
            env["EBPF"].files.require_file(node.path)
    return nodes
