"""BpfProgram(name, source): the macro that declares header, object, skeleton and wheel for every arch asked for."""

import SCons.Script


def bpf_program(env, name, source=None, version="0", app=None, summary="", events=None, c_skeleton=False, **options):
    """All nodes of one program; `scons <name>` builds them. The source is <name>.bpf.c unless given.

    `events` are the C types of the records of ring and perf buffers, by map: {"events": "struct event"};
    `c_skeleton=True` adds BpfCSkeleton's headers. `app` is a folder with the program's Python: its __init__.py and
    __main__.py become the wheel's. `options` are BpfObject's: minimize, header, include_dirs, cflags, depends.
    """
    objects = env.BpfObject(source or f"{name}.bpf.c", name, **options)
    skeletons = [env.BpfSkeleton(each, name, events) for each in objects]
    wheel = env.BpfPackage(name, version, objects, skeletons, app=app, summary=summary)
    made = [*objects, *env.Flatten(skeletons), wheel]
    if c_skeleton:
        made += env.BpfCSkeleton(objects, name)
    if env["EBPF_PROVE"] or env["EBPF_RELEASE"] or "prove" in SCons.Script.COMMAND_LINE_TARGETS:
        proofs = env.BpfProof(objects)
        env.Depends(wheel, proofs)  # what isn't proven isn't packed
        env.Alias("prove", proofs)
        made += proofs
    env.Alias(name, made)
    return made


METHODS = {"BpfProgram": bpf_program}
