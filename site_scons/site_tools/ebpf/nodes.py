"""SCons's nodes for the files that this tool's steps read and make: signed by content, whatever their mtime says.

SCons's own File believes a recorded signature while the mtime stands still (--max-drift), lets a user's Decider judge
every target by timestamps, takes dependencies from the last run (--implicit-cache) and hands targets to a CacheDir that
verifies nothing. Here a signature is the digest of the bytes, remembered by the ledger for one size, mtime, ctime and
inode.
"""

import os
from errno import EISDIR, ENOENT, ENOTDIR

import SCons.Action
import SCons.Node
import SCons.Util
from SCons.Errors import BuildError
from SCons.Node.FS import Dir, Entry, File

from .errors import file_error
from .run import run_of

# The class sets an index into SCons's table of deciders per node; the user's own one is kept below the property.
_KEPT = SCons.Node.Node.changed_since_last_build


class Input(File):
    """A file that a step of this tool reads."""

    __slots__ = ()

    @property
    def changed_since_last_build(self):
        """The index of the decider that looks at content, where the target is this tool's."""
        return _BY_CONTENT

    @changed_since_last_build.setter
    def changed_since_last_build(self, index):
        _KEPT.__set__(self, index)

    @property
    def __class__(self):
        """File, for SCons.

        Where classes differ in a variant_dir, Glob and srcnode make the one node the other's class.
        """
        return File

    def get_max_drift_csig(self):
        """Returns the signature of the file as it is now, empty if there is none: no age makes a recorded one true.

        SCons asks for it to record it, and for what was just built has the very same already.
        """
        if self.get_state() == SCons.Node.executed and hasattr(self.get_ninfo(), "csig"):
            return self.get_ninfo().csig
        try:
            return content_signature(self.rfile().get_abspath(), self.fs)
        except OSError:
            return ""

    def get_csig(self):
        """Returns the signature of the content.

        Raises OSError for a pipe or a device, which SCons would read for ever.
        """
        record = self.get_ninfo()
        if not hasattr(record, "csig"):
            try:
                record.csig = content_signature(self.rfile().get_abspath(), self.fs)
            except OSError as error:
                if error.errno in (ENOENT, ENOTDIR, EISDIR):
                    return super().get_csig()
                raise
        return record.csig


class Output(Input):
    """A file that a step of this tool makes."""

    __slots__ = ()

    def changed(self, node=None, allowcache=False):
        """Returns True if the file must be made anew, by the content of all that it depends on."""
        try:
            sign_by_content(self.children())
            return super().changed(node, allowcache)
        except OSError as error:  # SCons would print where it lies, or its own calls
            raise BuildError(self, errstr=str(file_error(error)), status=2, exitstatus=2) from None

    def sign_as_made(self, sha256):
        """Has SCons record the digest of what was just written here, without another look at the file.

        An action of the project's may change it yet (AddPostAction): then SCons looks.
        """
        if signs_by_sha256() and not self.get_executor().post_actions:
            self.attributes.made = sha256

    def get_csig(self):
        """Returns the signature of the content; see Input."""
        if made := vars(self.attributes).pop("made", None):
            self.get_ninfo().csig = made
        return super().get_csig()

    def get_binfo(self):
        """Returns the record of the inputs: with their content, also where nobody asked `changed` (AlwaysBuild)."""
        sign_by_content(self.children(scan=0))
        return super().get_binfo()

    def prepare(self):
        """Makes the folder, and room for the file: SCons would name both by where they lie, and not what to do."""
        folder = self.dir.get_abspath()
        try:
            if SCons.Action.execute_actions and not os.path.isdir(folder):
                os.makedirs(folder, exist_ok=True)
            super().prepare()
        except (OSError, BuildError) as error:
            cause = error.exc_info[1] if isinstance(error, BuildError) else error
            if not isinstance(cause, OSError):
                raise
            raise BuildError(self, errstr=str(file_error(cause)), status=2, exitstatus=2) from None

    def built(self):
        """Prints a notice of a file that an action of the project's (AddPostAction) has changed behind the step."""
        try:
            super().built()
        except OSError as error:  # only what SCons records of the file is missing: it is made anew then, if at all
            run_of(self.fs).reporter.notice(f"{file_error(error)}")
        if not self.get_executor().post_actions or not self.exists():
            return
        session = self.get_build_env()["EBPF"]
        if not session.ledger.intact(self.get_abspath()):
            what = "was changed after its step, by an action of the project's: each build makes it anew"
            session.run.notice_once(f"{self.path} {what}; change a copy of it (Command)")

    def get_stored_implicit(self):
        """Returns nothing: a header that is new and shadows an old one is in no list of the last run."""
        return None

    def explain(self):
        """Returns the text of --debug=explain, with the inputs of a step in words."""
        text, stored = super().explain(), self.get_stored_info()
        if not text or stored is None or not hasattr(stored.binfo, "bsources"):
            return text
        old, new = stored.binfo, self.get_binfo()
        old.prepare_dependencies()
        inputs = self.get_build_env()["EBPF"].inputs
        return inputs.explained(text, [*old.bsources, *old.bdepends], [*new.bsources, *new.bdepends])


def variant_dir(node):
    """Returns the variant_dir that a node lies in, or is; None for one in no variant_dir."""
    folder = node if isinstance(node, Dir) else node.dir
    while folder and not folder.srcdir:
        folder = folder.up()
    return folder


def output(node, kind=Output):
    """Makes a target one of this tool's: signed by content, and in no CacheDir.

    That would serve what nobody verified.
    """
    node.__class__ = kind
    node.set_nocache()


def sign_by_content(nodes):
    """Makes all files among the nodes ones that are signed by content."""
    for node in nodes:
        if type(node) is Entry:
            node.disambiguate()
        if type(node) is File:
            node.__class__ = Input
            _forget(node)


def content_signature(path, fs):
    """Returns the signature of a file's bytes as SCons writes it, in the hash format of this run. Raises OSError.

    The ledger of the run that hangs on SCons's file system `fs` remembers it.
    """
    ledger = run_of(fs).ledger
    if signs_by_sha256():
        return ledger.digest(path)
    return ledger.digest(path, SCons.Util.get_current_hash_algorithm_used(), SCons.Util.hash_file_signature)


def signs_by_sha256():
    """Returns True if this run's signature of a file is its sha256."""
    return SCons.Util.get_current_hash_algorithm_used() == "sha256"


def _forget(node):
    """Gives a node whose signature came from its mtime a record without one.

    A new record: a target of somebody else's that was decided by the old one refers to it, and is to be recorded with
    what it was decided by.
    """
    old = node.get_ninfo()
    if hasattr(old, "csig"):
        node.ninfo = node.new_ninfo()
        for field in ("timestamp", "size"):
            if hasattr(old, field):
                setattr(node.ninfo, field, getattr(old, field))


def _decide(node, target, previous, repository=None):
    if isinstance(target, Output):
        return node.changed_content(target, previous, repository)
    return SCons.Node._decider_map[_KEPT.__get__(node)](node, target, previous, repository)


_BY_CONTENT = len(SCons.Node._decider_map)  # as Node.Decider finds an index for a new one
SCons.Node._decider_map[_BY_CONTENT] = _decide
