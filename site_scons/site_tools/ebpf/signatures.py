"""Has statements signed (SIGN=), and removes a signature once the statement beside it is another one.

Where a signer puts a signature only the signer knows. What it made is seen by what its run changed: files beside the
package that are called as it is, and something more. The ledger keeps which statement each of them is of.
"""

import hashlib
import os
from contextlib import contextmanager

from ebpfbuild.files import read_regular, write_file

from .watch import state


def sign_statement(env, target, papers, signed):
    """Has the statement of a package signed, whose bytes are `signed`; `papers` are the paths beside it, that first."""
    from ebpfbuild.release.sign import sign

    session = env["EBPF"]
    statement = os.path.relpath(papers[0], session.root)
    with session.run.signing, _out_of_the_way(signatures(session, target, papers)):  # it may ask for a password
        before = _others(target, papers)
        program = sign(env["EBPF_SIGN"], statement, session.root)
        made = [path for path, now in _others(target, papers).items() if now != before.get(path)]
    for path in made:
        for key in _keys(session, path, signed):
            session.ledger.fact(key, dict)
    if not made:
        what = f"SIGN: {program} wrote nothing beside {statement}"
        session.reporter.notice(f"{what}; if its signature was to lie there, nothing is signed: see what it said")


@contextmanager
def _out_of_the_way(paths):
    """Has none of these signatures there, and puts those back in whose places nothing new lies then.

    A signer may ask whether to overwrite one, read no answer and end with 0: then another key's would stay.
    """
    held = {path: read_regular(path) for path in paths}
    for path in held:
        os.unlink(path)
    try:
        yield
    finally:
        for path, data in held.items():
            if not os.path.lexists(path):
                write_file(path, data)


def remove_stale(env, target, papers, statement):
    """Removes the signatures that SIGN= made of another statement than the one that is to lie there."""
    session = env["EBPF"]
    for path in signatures(session, target, papers):
        if session.ledger.recall(_keys(session, path, statement)[1]) is None:
            os.unlink(path)
            if not env["EBPF_SIGN"]:
                what = "is removed: it signed the papers of an earlier build, and these are others"
                session.reporter.notice(f"{os.path.relpath(path, session.root)} {what}; SIGN= signs them")


def signatures(session, target, papers):
    """Returns the paths of what SIGN= made beside a package, and nobody has changed since."""
    others = _others(target, papers)
    return [path for path in others if session.ledger.recall(_keys(session, path, b"")[0]) is not None]


def _others(target, papers):
    """Returns the states of the files beside a package that are called as it is and something more, but its papers."""
    try:
        names = sorted(os.listdir(os.path.dirname(target.abspath)))
    except OSError:  # nothing was built
        return {}
    named = (f"{target.abspath}{name[len(target.name) :]}" for name in names if name.startswith(f"{target.name}."))
    return {path: state(path) for path in named if path not in papers and os.path.isfile(path)}


def _keys(session, path, statement):
    """Returns the ledger's keys of a signature, and of what it is a signature of."""
    own = f"signature {session.ledger.digest(path)}"
    return own, f"{own} of {hashlib.sha256(statement).hexdigest()}"
