"""BpfProof(objects): for each object the proof that the full vmlinux.h gives the same one."""

from pathlib import Path

import SCons.Script
from ebpfbuild.files import write_file

from .compiling import inputs_of, known_paths
from .step import builder, told


def bpf_proof(env, objects):
    """The nodes of <stem>.proof.json beside each object that a minimized header was used for; `scons prove` makes them."""
    made = (_declare(env, env.File(node)) for node in env.Flatten(objects))
    proofs = [node for node in made if node]
    env.Alias("prove", proofs)
    return proofs


def proofs_wanted(env):
    """Whether this run proves objects, and packs none that isn't proven."""
    return env["EBPF_PROVE"] or env["EBPF_RELEASE"] or "prove" in SCons.Script.COMMAND_LINE_TARGETS


def _declare(env, node):
    session, compiled = env["EBPF"], env["EBPF"].compiled[node]
    if compiled.args.vmlinux == compiled.full.path:
        return None
    target = node.dir.File(f"{node.name.removesuffix('.o').removesuffix('.bpf')}.proof.json")
    if target.has_builder():
        return target
    session.repair([target])
    PROOF(env, target=target, source=node, **told(**vars(compiled)))
    env.Depends(target, [inputs_of(env, "proof.py", compiled.args), compiled.full])
    return target


def _prove(target, source, env):
    from ebpfbuild.proof import check_verdict, prove_object

    step = env["EBPF_TOLD"]
    verdict = prove_object(step.args, step.full.path, known_paths(env, source[0]), env["EBPF"].root)
    write_file(Path(target[0].abspath), verdict.to_json().encode())
    check_verdict(verdict, step.args, target[0].path)


PROOF = builder(_prove, "PROVE    $TARGET")
METHODS = {"BpfProof": bpf_proof}
