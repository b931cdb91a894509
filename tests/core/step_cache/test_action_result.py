"""ActionResult on the wire: what protobuf's own library writes and reads, and nothing else is believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from remote_execution import ActionResult as Message
from remote_execution import Digest, OutputFile as FileMessage

from ebpfbuild.step_cache.action_result import ActionResult, OutputFile, decoded, encoded

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SHA256 = st.binary(min_size=32, max_size=32).map(bytes.hex)
FILES = st.lists(
    st.builds(OutputFile, st.text(st.characters(codec="utf-8"), min_size=1, max_size=20), SHA256, st.integers(0, (1 << 63) - 1), st.binary(max_size=40)),
    max_size=4,
    unique_by=lambda file: file.path,
).map(tuple)
RESULTS = st.builds(ActionResult, FILES, st.binary(max_size=300), st.binary(max_size=300))


def message(result, **more):
    """The same result as protobuf's library has it."""
    files = [FileMessage(path=file.path, digest=Digest(hash=file.sha256, size_bytes=file.size), contents=file.contents) for file in result.files]
    return Message(output_files=files, stdout_raw=result.stdout, stderr_raw=result.stderr, **more)


def test_golden_bytes():
    """Written by protobuf 7.36.2 from the published .proto."""
    result = ActionResult((OutputFile("object.o", EMPTY, 0), OutputFile("vmlinux.h", EMPTY, 300)), b"in", b"")
    golden = "124e0a086f626a6563742e6f12420a40" + EMPTY.encode().hex()
    golden += "12520a09766d6c696e75782e6812450a40" + EMPTY.encode().hex() + "10ac022a02696e"
    assert encoded(result).hex() == golden
    assert decoded(bytes.fromhex(golden)) == result
    inlined = ActionResult((OutputFile("a", EMPTY, 2, b"hi"),), b"", b"")
    assert encoded(inlined).hex() == "124d0a016112440a40" + EMPTY.encode().hex() + "10022a026869"


@given(RESULTS)
def test_it_is_what_protobuf_s_library_writes_and_reads(result):
    data = encoded(result)
    assert data == message(result).SerializeToString(deterministic=True)
    assert Message.FromString(data) == message(result)
    assert decoded(data) == result


@given(RESULTS, st.text(max_size=20), st.booleans())
def test_what_servers_and_other_clients_add_is_passed_over(result, worker, executable):
    other = message(result)
    other.execution_metadata.worker = worker
    other.stdout_digest.hash = EMPTY
    for file in other.output_files:
        file.is_executable = executable
        file.node_properties.properties.add(name="mtime", value="0")
    assert decoded(other.SerializeToString()) == result


def spoilt(**changes):
    result = message(ActionResult((OutputFile("a", EMPTY, 1),), b"", b""), **changes)
    return result


REFUSED = {
    "a failure": spoilt(exit_code=1),
    "a failure by a signal": spoilt(exit_code=-9),
    "a link": spoilt(output_symlinks=[{"path": "a", "target": "/etc/passwd"}]),
    "a link of the old kind": spoilt(output_file_symlinks=[{"path": "a", "target": "b"}]),
    "a folder": spoilt(output_directories=[{"path": "a", "tree_digest": {"hash": EMPTY}}]),
    "a name twice": Message(output_files=[{"path": "a", "digest": {"hash": EMPTY}}] * 2),
    "no digest": Message(output_files=[{"path": "a"}]),
    "a short digest": Message(output_files=[{"path": "a", "digest": {"hash": EMPTY[1:]}}]),
    "a digest that is a path": Message(output_files=[{"path": "a", "digest": {"hash": "../" * 21 + "x"}}]),
    "a capital digest": Message(output_files=[{"path": "a", "digest": {"hash": EMPTY.upper()}}]),
    "a size below nothing": Message(output_files=[{"path": "a", "digest": {"hash": EMPTY, "size_bytes": -1}}]),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_result_that_no_step_has_is_refused(what):
    with pytest.raises(ValueError):
        decoded(REFUSED[what].SerializeToString())


@given(st.binary(max_size=200))
def test_any_bytes_are_a_result_or_a_value_error(data):
    try:
        decoded(data)
    except ValueError:
        return


@given(RESULTS, st.data())
def test_a_result_that_is_cut_or_flipped_gives_no_other_error(result, data):
    whole = bytearray(encoded(result) or b"\x12")
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    for each in (bytes(whole), bytes(whole[:place])):
        try:
            decoded(each)
        except ValueError:
            continue
