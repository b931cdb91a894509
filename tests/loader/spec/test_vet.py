"""An object that no digest vouches for is opened or refused, whatever bytes are wrong in it; libbpf alone would crash."""

import subprocess
import sys

import bpfloader
import pytest
from bpfloader.spec.object import object_spec
from bpfloader.spec.vet import vet
from compiling import compile_program
from probing import LOADER

PROGRAMS = "probe kinds rings congestion freplace maps privileges externs broken".split()
# Opens objects with some bytes changed, where it hurts: in the BTF, the symbols, the sections' table. A crash ends it.
FUZZ = """
import random, sys
sys.path.insert(0, sys.argv[1])
import bpfloader
from bpfloader.spec.object import object_spec

objects = [open(path, "rb").read() for path in sys.argv[2:]]
specs = [object_spec(data, "x") for data in objects]
seen = {}
for seed in range(400):
    chance = random.Random(seed)
    which = chance.randrange(len(objects))
    data, spec = bytearray(objects[which]), specs[which]
    part = chance.choice(["", ".BTF", ".BTF", ".BTF.ext", ".symtab", "sections"])
    section = spec.elf.section(part) if part.startswith(".") else None
    table = 64 * len(spec.elf.sections)  # clang writes the sections' headers last
    start, size = (section.offset, section.size) if section else (len(data) - table, table) if part else (0, len(data))
    for _ in range(chance.randint(1, 6)):
        data[start + chance.randrange(size)] = chance.choice([0, 1, 128, 255, chance.randrange(256)])
    try:
        bpfloader.Object.open(bytes(data)).destroy()
        said = "opened"
    except bpfloader.ObjectError as error:
        assert len(error.what.splitlines()) == 1, error
        said = "refused"
    seen[said] = seen.get(said, 0) + 1
print(seen["opened"] > 50, seen["refused"] > 50)
"""


def test_no_bytes_crash_libbpf(clang, libbpf, tmp_path):
    paths = [tmp_path / f"{name}.bpf.o" for name in ("probe", "congestion", "freplace", "privileges", "externs")]
    for path in paths:
        path.write_bytes(compile_program(clang, path.name.split(".")[0]))
    done = subprocess.run([sys.executable, "-c", FUZZ, LOADER, *paths], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "True True\n"), done.stderr


@pytest.mark.parametrize("name", PROGRAMS)
def test_clangs_objects_pass(clang, name):
    vet(compile_program(clang, name), name)


def test_a_name_that_is_no_text_is_an_error_of_one_line(clang, libbpf):
    data = compile_program(clang, "freplace")
    names = object_spec(data, "x").elf.section(".strtab")
    place = data.index(b"replacement\0", names.offset)
    with pytest.raises(bpfloader.ObjectError, match="has a name at .* that is no text: b.*xff"):
        bpfloader.Object.open(data[:place] + b"\xff" + data[place + 1 :])
