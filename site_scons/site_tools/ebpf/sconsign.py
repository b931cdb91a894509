"""Guards SCons's reading of .sconsign.dblite: anything in that file's place costs a full build and no traceback.

SCons itself ends with a traceback for a folder, a pickle of something else, or one that raises an error it doesn't
expect, and waits for ever for a pipe. Nothing is unpickled here: it is SCons's own reading that is guarded.
"""

import os
import sys

import SCons.Node
import SCons.Node.FS
import SCons.SConsign
import SCons.Util

from ebpfbuild.errors import EbpfError
from ebpfbuild.files import make_room, require_regular
from ebpfbuild.rebuild.ledger import ITS_STEP, UNWRITABLE
from ebpfbuild.shortage import is_shortage, shortage_fix

from .errors import StopError, file_error
from .run import run_of

_SconsDB = SCons.SConsign.DB
_scons_write = SCons.SConsign.write
_ONCE_MORE = "or the next build makes this one's outputs once more"


class GuardedDB(_SconsDB):
    """One folder's records of the last build; none where they can't be read."""

    def __init__(self, dir):
        _open_database(dir)
        try:
            super().__init__(dir)
        except Exception as error:
            _notice(
                f"what SCons remembered of {dir.get_internal_path()} is damaged ({type(error).__name__}) and not used"
            )
            SCons.SConsign.Base.__init__(self)
            self.dir = dir
            SCons.SConsign.sig_files.append(self)


def guard():
    """Puts the guard around SCons's reading, unless the project keeps its signatures in another kind of file."""
    if SCons.SConsign.DB is _SconsDB:
        SCons.SConsign.DB = GuardedDB
        if SCons.SConsign.ForDirectory is _SconsDB:
            SCons.SConsign.ForDirectory = GuardedDB
    if SCons.SConsign.write is _scons_write:
        SCons.SConsign.write = _write


def _write():
    """Has SCons write what it remembers and then the ledgers keep what was made, unless there was no writing it."""
    _scons_write()
    run = run_of(SCons.Node.FS.get_default_fs())
    if run.recorded:
        try:
            _forget_failed(run.begun)
            for session in run.sessions.values():
                session.keep()
        except OSError as error:
            _notice(f"{file_error(error)}, {_ONCE_MORE}")


def _forget_failed(begun):
    """Has the ledgers forget the outputs of each step that failed once it had noted some.

    SCons knows them by the inputs of an earlier build, whose return would have them pass for what that made.
    """
    for target, ledger, before in begun:
        if ledger.noted > before and any(node.get_state() != SCons.Node.executed for node in target):
            for node in target:
                ledger.forget(node.abspath, by=ITS_STEP)


def was_read():
    """Returns True if SCons has read its file in this run."""
    return bool(SCons.SConsign.DataBase)


def is_kept_in(folder):
    """Returns True if SCons's file lies in a folder, by any of its usual names.

    While SConscripts are read, a hash_format that they set doesn't show in its name yet.
    """
    return any(name.startswith(".sconsign") and name.endswith(".dblite") for name in os.listdir(folder))


def _choose_place(fs):
    """Has SCons keep its file in a build folder outside of the project, unless the project says where (SConsignFile).

    So builds of one tree in several folders remember each its own, and the tree may be one that can't be written.
    """
    homes = run_of(fs).homes
    if SCons.SConsign.DB_Name is None and homes and fs.Top.get_abspath() not in homes:
        SCons.SConsign.File(os.path.join(homes[0], SCons.SConsign.current_sconsign_filename()))


def _open_database(dir):
    """Has SCons open the project's one file, and has it make a new one where that can't be done."""
    if dir.fs.Top in SCons.SConsign.DataBase or dir.fs.Top.repositories or SCons.SConsign.DB_Module is not SCons.dblite:
        return
    _choose_place(dir.fs)
    path = _path(dir.fs.Top)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.lexists(path):
            require_regular(path, None)
        database, _ = SCons.SConsign.Get_DataBase(dir)
        _guard_writing(database, dir.fs, path)
        if all(isinstance(entry, bytes) for entry in database.values()):
            return
        why = "holds something else"
    except OSError as error:
        if is_shortage(error):  # what it remembers is there yet
            raise file_error(error, path) from None
        why = error.strerror or "can't be read"
    except Exception as error:  # a pickle may raise anything
        why = f"is damaged ({type(error).__name__})"
    _start_anew(dir, path, why)


def _start_anew(dir, path, why):
    """Has SCons make a new file in the place of one that can't be read. Raises StopError."""
    database = SCons.SConsign.DataBase.pop(dir.fs.Top, None)
    if database is not None:
        SCons.SConsign.DB_sync_list.remove(database)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)  # its error says more than that of the file in it
        make_room(path)
        _guard_writing(SCons.SConsign.Get_DataBase(dir)[0], dir.fs, path)
    except EbpfError as error:
        raise StopError(str(error)) from None
    except OSError as error:
        raise StopError(f"{path}: {error.strerror}; {_fix(error)}, or have the build elsewhere: EBPF_BUILD") from None
    _notice(f"{os.path.basename(path)} {why}; everything is built anew")


def _guard_writing(database, fs, path):
    """Ends a build with a notice, not a traceback, where SCons can't write its file; silently if nothing was made."""
    write = database.sync

    def sync():
        try:
            write()
        except OSError as error:
            database._needs_sync = False  # or SCons tries once more as it ends
            run_of(fs).recorded = False
            if run_of(fs).made or error.errno not in UNWRITABLE:
                _notice(f"{os.path.basename(path)}: {error.strerror}; {_fix(error)}, {_ONCE_MORE}")

    database.sync = sync


def _fix(error):
    return shortage_fix(error) or "make it a file that this user can write"


def _path(top):
    """Returns the path of the file that SCons keeps below a top folder."""
    name = SCons.SConsign.DB_Name or SCons.SConsign.current_sconsign_filename()
    if os.path.splitext(name)[1] != ".dblite":
        name += ".dblite"
    return os.path.join(top.get_abspath(), name)


def _notice(text):
    from ebpfbuild import console

    console.console_for(sys.stderr, os.environ).notice(text)
