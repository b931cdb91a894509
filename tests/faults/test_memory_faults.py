"""What a build remembers, damaged at random."""

import random

import pytest
from rows import SEED, rounds, rows


def flip(data, draw):
    for _ in range(8):
        at = draw.randrange(len(data))
        data[at] ^= 1 << draw.randrange(8)


def cut(data, draw):
    at = draw.randrange(len(data))
    del data[at : at + draw.randint(1, 99)]


def put(data, draw):
    at = draw.randrange(len(data))
    data[at:at] = draw.randbytes(draw.randint(1, 9))


def end(data, draw):
    del data[draw.randrange(len(data)) :]


def swap(data, draw):
    at = draw.randrange(len(data))
    data[:] = data[at:] + data[:at]


DAMAGES = {"bits flipped": flip, "bytes cut out": cut, "bytes put in": put, "its end lost": end, "its halves swapped": swap}
FILES = {".sconsign": ".sconsign.dblite", "the ledger": "build/.ebpf-ledger"}
MEMORY = {f"{name} with {damage}": (path, DAMAGES[damage]) for name, path in FILES.items() for damage in DAMAGES}


@pytest.mark.slow
@rows(MEMORY)
def test_a_damaged_memory(staged, request, fault):
    """The right bytes, with a notice or without; the next build has nothing to do."""
    path, damage = fault
    file = staged.project.folder / path
    for number in range(rounds(len(MEMORY))):
        data, draw = bytearray(file.read_bytes()), random.Random(f"{SEED} {request.node.name} {number}")
        damage(data, draw)
        file.write_bytes(data)
        done = staged.build()
        assert done.returncode == 0 and "Traceback" not in done.stderr, (number, done.stdout + done.stderr)
        assert staged.now() == staged.outputs[staged.version], number
    staged.require_null()
