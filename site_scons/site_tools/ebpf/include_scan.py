"""Scans sources for the headers that they include, once a run, however many arches ask."""

import os
from errno import EISDIR
from functools import partial

import SCons.Node
import SCons.Node.FS
from SCons.Errors import StopError, UserError

from ebpfbuild.compile.directives import directives_only
from ebpfbuild.compile.includes import included_files
from ebpfbuild.escape import printable
from ebpfbuild.files import UnfitFileError, read_regular
from ebpfbuild.shortage import is_shortage

from .arguments import from_root
from .errors import check_name, unfit_input, user_error
from .project_files import is_below

_MADE = SCons.Node.executed, SCons.Node.up_to_date


class IncludeScan:
    """The headers of a session's sources, and the texts that they were found in."""

    def __init__(self, session):
        self._session = session
        self._headers = {}  # by source, include folders, declared dependencies and folders of UAPI headers
        self._resolved = {}  # what each file leads to, by include folders and folders of UAPI headers
        self._kinds = {}  # by source and include folders
        self._texts = {}  # by path
        self.uapi_files = {}  # the digests of the installed UAPI headers by path, once they are known

    def header_kinds(self, source, include_dirs):
        """Returns the core's HeaderKinds of a source. Files that are still to be made aren't read."""
        key = source, tuple(include_dirs)
        if key not in self._kinds:
            from ebpfbuild.uapi.header_kinds import header_kinds

            def read(path):
                if self._is_variant_own(path):
                    return None
                text = self._text(path)  # first: most paths have no file, and a look-up of a node is dearer
                return None if text is None or is_built(path) else text

            session = self._session
            libbpf = [f"bpf/{name}" for name in session.toolchain.libbpf.files]
            self._kinds[key] = user_error(
                header_kinds, source, include_dirs, read, libbpf, session.files.tree.normalized
            )
        return self._kinds[key]

    def headers(self, source, include_dirs, depends, env, uapi_dirs=()):
        """Returns the IncludedFiles of a source, paths from the root. Raises StopError.

        `uapi_dirs` are the folders of the UAPI headers that it has in sight, if any.
        """
        key = source, tuple(include_dirs), tuple(depends), tuple(uapi_dirs)
        if key in self._headers:
            return self._headers[key]
        session = self._session
        pinned = {"vmlinux.h", *(f"bpf/{name}" for name in session.toolchain.libbpf.files)}
        libbpf = env.LibbpfHeaders()
        made_by = {os.path.join(os.path.dirname(libbpf.path), "include"): libbpf}
        made_by |= {folder: env.UapiHeaders() for folder in uapi_dirs}
        below = tuple(f"{folder}{os.sep}" for folder in made_by)
        # Those in place may be an older pin's.
        generated = [node for node in dict.fromkeys(made_by.values()) if node.get_state() not in _MADE]

        def read(path):
            if path.startswith(below):
                return self._pinned_text(path, pinned)
            if not is_built(path):
                return None if path not in depends and self._is_left_over(path) else self._text(path)
            generated.append(path)  # it has still to be made, or made anew
            return (None if path in left_out else self._read(path)) or ""

        normalized, left_out = session.files.tree.normalized, set()
        same = tuple(include_dirs), tuple(uapi_dirs)
        resolved = {} if generated else self._resolved.setdefault(same, {})
        folders = read, pinned.__contains__, normalized, depends, made_by, resolved
        scan = partial(user_error, included_files, source, include_dirs, *folders, self._is_made)
        try:
            found = scan()
        except StopError:
            resolved.clear()  # it may hold the text of such a file
            left_out.update(path for path in generated if isinstance(path, str) and not is_made(path))
            if not left_out:
                raise
            found = scan()  # what is wrong may be in a file of an older build's, which is to be made anew
        self._check_shadows(source, found.own, include_dirs)
        for header in found.own:
            check_name(header, source)
            session.files.check_symlinks(header, env["EBPF_RELEASE"])
        if not generated:
            self._headers[key] = found
        else:
            self._resolved.pop(same, None)
        return found

    def _check_shadows(self, source, headers, include_dirs):
        """Refuses a file beside the sources where a builder makes that of the variant_dir: clang would take the first.

        It is one of an older build in the tree, say, or of another build system.
        """
        for variant in self._session.variants.values():
            if not any(is_below(folder, variant.folder) for folder in include_dirs):
                continue
            for path in (source, *headers):
                if os.path.isabs(path) or is_below(path, variant.folder):
                    continue
                place = os.path.relpath(path, variant.source)
                made = os.path.join(variant.folder, place)
                if not place.startswith(f"{os.pardir}{os.sep}") and is_built(made) and not _is_made_of(made, path):
                    what = f"{source}: takes {path} from beside the sources, and a builder makes {made}"
                    raise StopError(printable(f"{what}; remove the first, or give one of them another name"))

    def _is_made(self, path):
        """Tells of a file outside of the project if the build makes it, or if it may lie in the build folder anyway."""
        files, variant = self._session.files, self._variant(path)
        if not files.made_place(path):
            return False
        copied = variant and variant.copies and not self._is_variant_own(path)
        return files.may_read(path) or is_built(path) or bool(copied)

    def _pinned_text(self, path, pinned):
        """Returns the directives of a pinned header, remembered by its content.

        None where it hasn't been installed.
        """
        if path not in self.uapi_files and "/".join(path.split(os.sep)[-2:]) not in pinned:
            return None
        session = self._session
        try:
            digest = self.uapi_files.get(path) or session.ledger.digest(os.path.join(session.root, path))
        except OSError as error:
            if is_shortage(error):
                raise
            return None
        key = f"directives of {digest} by {session.inputs.code('compile/directives.py')}"
        return session.ledger.fact(key, lambda: {"text": directives_only(self._read(path) or "")})["text"]

    def _is_variant_own(self, path):
        """Returns True if a path in a variant_dir is of no source there: if there is a file, a builder makes it."""
        variant = self._variant(path)
        return variant and not os.path.lexists(os.path.join(self._session.root, self._source(path, variant)))

    def _is_left_over(self, path):
        """Returns True if a path without a builder lies in a variant_dir into which SCons copies nothing.

        A file there is an older build's, and no header: a clean build wouldn't have it. Outside of the project it is
        refused, see _is_made.
        """
        variant = self._variant(path)
        return bool(variant) and not variant.copies and not os.path.isabs(path)

    def _variant(self, path):
        """Returns the Variant that a path lies in; None for one in no variant_dir."""
        if not self._session.variants:
            return None
        found = [each for each in self._session.variants.values() if path.startswith(f"{each.folder}{os.sep}")]
        return max(found, key=lambda variant: len(variant.folder), default=None)

    def _drop_old_copy(self, copy, source):
        """Has SCons remove a file of a variant_dir whose source is gone and that nothing makes: clang would find it."""
        root = self._session.root
        if os.path.lexists(os.path.join(root, copy)) and not os.path.lexists(os.path.join(root, source)):
            SCons.Node.FS.get_default_fs().File(from_root(copy)).exists()

    def _source(self, path, variant):
        return os.path.normpath(os.path.join(variant.source, os.path.relpath(path, variant.folder)))

    def _text(self, path):
        """Returns a project file's text, for SCons's copy of a source the source's; None where there is no file."""
        variant = self._variant(path)
        if variant and variant.copies:
            copy, path = path, self._source(path, variant)
            if os.path.isabs(copy) and self._is_variant_own(copy):
                return self._read(copy)  # not the project's, and refused as such
            self._drop_old_copy(copy, path)
        if path not in self._texts:
            self._texts[path] = self._read(path)
        return self._texts[path]

    def _read(self, path):
        try:
            # A name in an #include is bytes, and so is one of the file system.
            text = read_regular(os.path.join(self._session.root, path)).decode("utf-8", "surrogateescape")
            return text.replace("\r\n", "\n").replace("\r", "\n")
        except OSError as error:
            if isinstance(error, UnfitFileError) and error.errno != EISDIR:
                raise unfit_input(error, path) from None  # clang would wait for a pipe for ever
            if is_shortage(error):  # to clang, which looks later, it may be there
                raise
            return None


def _is_made_of(made, path):
    """Returns True if a builder makes one file of another, as Install does: either will do."""
    fs = SCons.Node.FS.get_default_fs()
    return fs.File(from_root(path)) in fs.Entry(from_root(made)).sources


def is_made(path):
    """Returns True if a file that this build makes has been made, or is as it is to be."""
    return SCons.Node.FS.get_default_fs().Entry(from_root(path)).get_state() in _MADE


def is_built(path):
    """Returns True if a path below the root is one that this build makes."""
    try:
        return SCons.Node.FS.get_default_fs().Entry(from_root(path), create=False).has_builder()
    except UserError:  # no node has that path
        return False
