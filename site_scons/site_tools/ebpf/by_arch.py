"""The lists that builders return: plain lists of nodes, whose nodes can be asked for by arch as well."""

import sys
from functools import partial

from SCons.Util import NodeList

from ebpfbuild.arch import BY_NAME, arch_named

from .errors import StopError, user_error
from .nodes import Output


class ByArch(NodeList):
    """A list of nodes in which `nodes["aarch64"]` is that of an arch, by any of the arch's names.

    `arches` are the names of its arches, in the list's order; `"arm64" in nodes` asks for one. Of lists that are added
    up, `(a + b)["aarch64"]` is the list of both's nodes.
    """

    def __init__(self, nodes=(), by_arch=None):
        super().__init__(nodes)
        self.by_arch = dict(by_arch or {})
        if len(self.by_arch) > 1:
            check_installs()

    @property
    def arches(self):
        """The names of the arches, as folders of the build are named."""
        return tuple(self.by_arch)

    def __getitem__(self, index):
        if isinstance(index, slice):
            kept, found = {id(node) for node in self.data[index]}, {}
            for arch, nodes in self.by_arch.items():
                if left := [node for node in _several(nodes) if id(node) in kept]:
                    found[arch] = _one_or_all(left)
            return ByArch(self.data[index], found)
        if not isinstance(index, str):
            return self.data[index]
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

    def __add__(self, other):
        return ByArch([*self.data, *other], _added(self, other))

    def __radd__(self, other):
        return ByArch([*other, *self.data], _added(other, self))

    def __iadd__(self, other):
        self.extend(other)
        return self

    def extend(self, other):
        """Adds another list's nodes, and what it has by arch."""
        self.by_arch = _added(self, other)
        self.data.extend(other)
        if len(self.by_arch) > 1:
            check_installs()

    def copy(self):
        """Returns a list of the same nodes, which are found by arch as well."""
        return ByArch(self.data, self.by_arch)


def _added(first, second):
    """Returns what two lists have by arch, together: a list for an arch that both have."""
    found = {}
    for each in (first, second):
        for arch, nodes in each.by_arch.items() if isinstance(each, ByArch) else ():
            found[arch] = [*found.get(arch, ()), *_several(nodes)]
    return {arch: _one_or_all(nodes) for arch, nodes in found.items()}


def _several(nodes):
    return nodes if isinstance(nodes, NodeList) else [nodes]


def _one_or_all(nodes):
    return nodes[0] if len(nodes) == 1 else NodeList(nodes)


def beside_objects(nodes):
    """Returns a ByArch of nodes that lie in folders named after their arch, one for each."""
    return ByArch(nodes, {BY_NAME[node.dir.name].name: node for node in nodes if node.dir.name in BY_NAME})


def check_installs():
    """Has Install refuse to put outputs of two arches or variants in one place, which ends in its AssertionError."""
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
            fix = 'each arch a folder of its own: env.Install(f"…/{arch}", objects[arch])'
            if others[0].dir.name == made_of.dir.name:
                fix = 'each variant a folder of its own: env.Install(f"…/{variant}", objects)'
            raise StopError(f"Install: {what}; give {fix}")
    return before(target, source, env)
