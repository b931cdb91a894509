"""Has statements signed (SIGN=), and removes a signature once the statement beside it is another one.

Where a signer puts a signature only the signer knows. What it made is seen by what its run changed: files beside the
package that are called as it is, and something more. The ledger keeps which statement each of them is of.
"""

import hashlib
import os

from .watch import state


def sign_statement(env, target, papers, signed):
    """Has the statement of a package signed, whose bytes are `signed`; `papers` are the paths beside it, that first."""
    from ebpfbuild.release.sign import sign

    session, before = env["EBPF"], _others(target, papers)
    with session.run.signing:  # it may ask for a password
        statement = os.path.relpath(papers[0], session.root)
        program = sign(env["EBPF_SIGN"], statement, session.root)
    made = [path for path, now in _others(target, papers).items() if now != before.get(path)]
    for path in made:
        for key in _keys(session, path, signed):
            session.ledger.fact(key, dict)
    if not made:  # some ask whether to overwrite what lies there, read no answer, and end with 0
        what = f"SIGN: {program} wrote nothing beside {statement}"
        session.reporter.notice(f"{what}; if its signature was to lie there, nothing is signed: see what it said")


def remove_stale(env, target, papers, statement):
    """Removes the signatures that SIGN= made of another statement than the one that is to lie there.

    One that is to be made again goes as well: a signer may keep what lies in its place, though its key is another one.
    """
    session = env["EBPF"]
    for path in signatures(session, target, papers):
        if env["EBPF_SIGN"] or session.ledger.recall(_keys(session, path, statement)[1]) is None:
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
