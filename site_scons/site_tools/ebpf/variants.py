"""Finds out which variant_dir a declaration belongs to: its outputs lie there, and both its folders are searched.

SCons maps a variant_dir to the folder of the sources (Node/FS.py: Dir.srcdir). As for stock objects, a file that a
builder makes in a variant_dir is that variant's alone, and all other files are the sources' own.
"""

import os

import SCons.Node.FS

from .by_arch import check_installs
from .nodes import variant_dir
from .session import build_folder, of_the_project


class Variant:
    """A variant_dir, its sources, the folder of its outputs and what is searched for headers: paths from the root.

    `copies` tells if SCons copies sources into it (duplicate=1).
    """

    def __init__(self, folder, source, copies, outputs, searched):  # no tuple: SCons's Override makes a list of one
        self.folder, self.source, self.copies = folder, source, copies
        self.outputs, self.searched = outputs, searched


def in_variant(env, nodes):
    """Returns the environment for what is made of nodes: one that knows their variant_dir, if any.

    It is that of the first node that lies in one, or else of the SConscript that is being read.
    """
    places = [node for node in nodes if isinstance(node, SCons.Node.FS.Base)]
    root = next((found for node in [*places, env.fs.getcwd()] if (found := variant_dir(node))), None)
    known = env["EBPF_VARIANT"] if "EBPF_VARIANT" in env else None
    if root is None and known is None:
        return env
    return env.Override({"EBPF_VARIANT": _variant(env, root, places) if root else None})


def _variant(env, root, nodes):
    session, outputs = env["EBPF"], root.path
    own = build_folder(env)
    if f"{own}{os.sep}".startswith(f"{outputs}{os.sep}"):
        outputs = own  # EBPF_BUILD may name a folder in the variant_dir
    sources = [node for node in nodes if node.name.endswith(".c") and variant_dir(node)]
    folders = dict.fromkeys(folder for node in sources for folder in both(node.dir))
    searched = tuple(session.files.path(folder, "variant_dir") for folder in folders)
    variant = Variant(root.path, root.srcdir.path, bool(root.duplicate), outputs, searched)
    if variant.folder not in session.variants:
        of_the_project(env, variant.folder)
        check_installs()
    session.variants[variant.folder] = variant
    return variant


def both(folder):
    """Returns a folder and, where it lies in a variant_dir, that of the sources behind it."""
    source = folder.srcnode()
    return (source,) if source is folder else (folder, source)


def original(node):
    """Returns the node of the file itself: in a variant_dir the source's, unless it is made there.

    What is neither made nor among the sources will be made by a builder that the SConscript has still to declare.
    """
    source = node.srcnode()
    return source if source is node or (not node.has_builder() and os.path.lexists(source.abspath)) else node
