"""Finds where the project's files lie, and refuses those that lie outside of it or are no files."""

import os
from errno import ELOOP

from ebpfbuild.files import UnfitFileError, require_regular, symlink_loop
from ebpfbuild.paths import Tree

from .arguments import file_of, flat
from .errors import StopError, check_name, unfit_input
from .run import refuse


class ProjectFiles:
    """The files below a project's root. `build` is the path of the build folder, `run` the Run that prints notices."""

    def __init__(self, root, build, run):
        self.root, self._build, self._run = root, build, run
        self.tree = Tree(root)
        self._paths = {}  # by node
        self._checked = set()  # paths whose symlinks were looked at

    def path(self, node, what, otherwise=""):
        """Returns a node's path from the root.

        Raises StopError for one outside of the project; `what` names its argument, `otherwise` is another way out.
        """
        if node in self._paths:
            return self._paths[node]
        path = self.tree.normalized(node.get_abspath())
        check_name(path.removeprefix(f"{self.root}{os.sep}"), what)
        self._check_loop(path, what)
        if os.path.isabs(path):
            path = self.tree.normalized(self.tree.real(path))  # the root may have another name
        if os.path.isabs(path):
            raise StopError(
                f"{what}: {node.path} is outside of the project; copy what you need of it into the project{otherwise}"
            )
        self._paths[node] = path
        return path

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
        link = None if path.startswith(f"{self._build}{os.sep}") else self.tree.outside_link(path)
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


def file_nodes(env, files, what):
    """Returns the nodes of the files of a builder's argument, which `what` names.

    Raises StopError for one that no step makes and that is no file.
    """
    return _require_files(env, [file_of(env, file, what) for file in flat(env, files, what)])


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
