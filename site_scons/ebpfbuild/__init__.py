"""The pure core of scons-bpf: pins, fetching, compiling, ELF and BTF, skeletons, wheels. Knows nothing of SCons.

Nothing is imported here: a null build pays for every module it loads, so each caller imports what it uses.
"""
