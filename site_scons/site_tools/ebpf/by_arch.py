"""The lists that builders return: plain lists of nodes, whose nodes can be asked for by arch as well."""

import sys
from functools import partial

from SCons.Util import NodeList

from ebpfbuild.arch import BY_NAME, arch_named

from .errors import StopError, user_error
from .nodes import Output


class ByArch(NodeList):
    """A list of nodes in which `nodes["aarch64"]` is that of an arch, by any of the arch's names.

    `arches` are the names of its arches, in the list's order; `"arm64" in nodes` asks for one.
    """

    def __init__(self, nodes=(), by_arch=None):
        super().__init__(nodes)
        self.by_arch = dict(by_arch or {})
        if len(self.by_arch) > 1:
            _check_installs()

    @property
    def arches(self):
        """The names of the arches, as folders of the build are named."""
        return tuple(self.by_arch)

    def __getitem__(self, index):
        if not isinstance(index, str):
            return NodeList(self.data[index]) if isinstance(index, slice) else self.data[index]
        name = user_error(arch_named, index, "arch").name
        if name not in self.by_arch:
            raise StopError(
                f"[{index!r}]: nothing is built for {name} here; there is {', '.join(self.by_arch) or 'no arch'}"
            )
        return self.by_arch[name]

    def __contains__(self, item):
        if isinstance(item, str):
            return item in BY_NAME and BY_NAME[item].name in self.by_arch
        return item in self.data


def beside_objects(nodes):
    """Returns a ByArch of nodes that lie in folders named after their arch, one for each."""
    return ByArch(nodes, {BY_NAME[node.dir.name].name: node for node in nodes if node.dir.name in BY_NAME})


def _check_installs():
    """Has Install refuse to put the files of several arches in one place, which would end in its AssertionError."""
    if "SCons.Tool.install" not in sys.modules:
        import SCons.Tool.install  # noqa: F401  a build of one arch needn't pay its 4 ms
    install = sys.modules["SCons.Tool.install"]
    before = install.add_targets_to_INSTALLED_FILES
    if isinstance(before, partial):
        return
    install.add_targets_to_INSTALLED_FILES = partial(_emit_installed, before)
    if install.BaseInstallBuilder is not None:
        install.BaseInstallBuilder.emitter.data[:] = [install.add_targets_to_INSTALLED_FILES]


def _emit_installed(before, target, source, env):
    for node, made_of in zip(target, source):
        others = [each for each in node.sources if each is not made_of and isinstance(each, Output)]
        if others:
            what = f"{node.path} would be both {others[0].path} and {made_of.path}"
            raise StopError(
                f'Install: {what}; give each arch a folder of its own: env.Install(f"…/{{arch}}", objects[arch])'
            )
    return before(target, source, env)
