"""BpfProof(objects): a proof of each object that the full vmlinux.h gives the same one, made by the object's own step.

So an object is proven before anything that depends on it runs, whoever declared that. Where a run doesn't ask for
proofs, the step has one target, and removes the proof of an older object.
"""

from functools import partial
from pathlib import Path

import SCons.Script

from ebpfbuild.files import make_room, write_file

from .by_arch import beside_objects
from .errors import StopError
from .nodes import output
from .project_files import objects_of


def bpf_proof(env, objects):
    """Returns the nodes of <stem>.proof.json beside each object that a minimized header was used for.

    `scons prove` makes them. With PROVE=1, RELEASE=1 and `prove` each object has one anyway.
    """
    proofs = [proof for node in objects_of(env, objects) if (proof := prove_in_step(env, node))]
    env.Alias("prove", proofs)
    return beside_objects(proofs)


def proofs_wanted(env):
    """Returns True if this run proves objects, and packs none that isn't proven."""
    return env["EBPF_PROVE"] or env["EBPF_RELEASE"] or "prove" in SCons.Script.COMMAND_LINE_TARGETS


def proof_node(node):
    """Returns the node of <stem>.proof.json beside an object."""
    return node.dir.File(f"{node.name.removesuffix('.o').removesuffix('.bpf')}.proof.json")


def prove_in_step(env, node):
    """Has an object's step prove it, and returns the proof's node.

    None where the object is made with the full header. An object that was made without a proof, or has one of other
    bytes, is made anew: to the same bytes, if all is well.
    """
    session = env["EBPF"]
    if node not in session.compiled:
        fix = "make it with BpfObject, which pins and proves what it is made of"
        raise StopError(f"BpfProof: {node.path} can't be proven; {fix}")
    if not minimized(session, node):
        return None
    if node not in session.proofs:
        for part in parts_of(session, node):
            prove_in_step(env, part)
        proof = session.proofs[node] = proof_node(node)
        session.repair([proof])
        _add_target(node, proof)
        if not _holds(env, node, proof):
            node.set_always_build()
            proof.set_always_build()
    return session.proofs[node]


def parts_of(session, node):
    """Returns the nodes of the objects that an object is linked of; none for one that clang makes."""
    return getattr(session.compiled[node], "parts", ())


def minimized(session, node):
    """Returns True if a minimized header is used for an object or, where it is linked, for one of its parts."""
    if parts := parts_of(session, node):
        return any(minimized(session, part) for part in parts)
    compiled = session.compiled[node]
    return compiled.full is not None and compiled.args.vmlinux != compiled.full.path


def prover(session, node):
    """Returns the digest of the code that proves an object."""
    return session.inputs.code("link/proof.py" if parts_of(session, node) else "prove/proof.py")


def _add_target(node, proof):
    """Makes a proof the second target of the step that makes an object."""
    step = node.get_executor()
    node.builder(node.env, target=[node, proof], source=list(node.sources))
    output(proof)
    both = node.get_executor()
    both.pre_actions, both.post_actions = step.pre_actions, step.post_actions
    proof.add_dependency(node.depends)
    proof.add_prerequisite(list(node.prerequisites or ()))


def _holds(env, node, proof):
    """Returns True if the proof in place is of the object in place, by this prover, and good enough for this run."""
    from ebpfbuild.prove.proof import read_proof

    session, found = env["EBPF"], read_proof(proof.abspath)
    if not found or not found.verdict.equal or found.prover != prover(session, node):
        return False
    if found.fallback and env["EBPF_RELEASE"]:
        return False
    try:
        return found.object == session.ledger.digest(node.abspath)
    except OSError:
        return False


def acceptance(env, node, proofs, known):
    """Returns the function that looks at an object before it is put in place, and refuses one that isn't proven."""
    return partial(_accept, env, env["EBPF_STEP_ARGS"], node, bool(proofs), known)


def _accept(env, step, node, wanted, known, made):
    """Proves an object where that is `wanted`, and writes the proof.

    Raises ProofError, in a release for a fallback, too.
    """
    if not wanted:
        make_room(Path(proof_node(node).abspath))  # of an older object's
        return
    from ebpfbuild.prove import proof

    session = env["EBPF"]
    if env["EBPF_RELEASE"]:
        proof.check_fallback(step.args, proof.fallback_of(step.args, made, session.root))
    found = proof.prove_object(step.args, made, step.full.path, known, session.root, prover(session, node))
    keep_proof(node, found)


def keep_proof(node, found):
    """Writes the proof of an object beside it. Raises ProofError where the object isn't the full header's."""
    from ebpfbuild.prove.proof import check_verdict

    place = proof_node(node)
    write_file(Path(place.abspath), found.to_json().encode())
    check_verdict(found.verdict, node.path, place.path)


METHODS = {"BpfProof": bpf_proof}
