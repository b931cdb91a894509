"""vendor.json, as set-up reads it: from a folder that anybody may have edited."""

import json

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from ebpfbuild.errors import VendorError
from ebpfbuild.vendor.manifest import VendorManifest, is_vendor_folder, read_vendor_manifest

DIGEST = "ab" * 32
WHOLE = VendorManifest(("x86_64",), ("3.11", "3.13"), ("aarch64",), {f"sha256/{DIGEST}": DIGEST, "wheels/a-1-py3-none-any.whl": DIGEST})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just(DIGEST),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


def test_a_manifest_says_what_was_written(tmp_path):
    (tmp_path / "vendor.json").write_bytes(WHOLE.as_json())
    assert is_vendor_folder(tmp_path) and read_vendor_manifest(tmp_path) == WHOLE


@pytest.mark.parametrize("change", [
    {"format": 2}, {"hosts": "x86_64"}, {"pythons": [3.11]}, {"files": []}, {"files": {"sha256/../../etc/passwd": DIGEST}},
    {"files": {"/etc/passwd": DIGEST}}, {"files": {f"sha256/{DIGEST}": "short"}}, {"files": {"wheels/a/b.whl": DIGEST}},
])
def test_another_manifest_is_refused_with_the_way_out(tmp_path, change):
    facts = json.loads(WHOLE.as_json()) | change
    (tmp_path / "vendor.json").write_text(json.dumps(facts))
    with pytest.raises(VendorError, match=r"is no manifest that this version reads; make the folder anew"):
        read_vendor_manifest(tmp_path)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.one_of(st.binary(max_size=80), st.dictionaries(st.sampled_from(["format", "hosts", "pythons", "arches", "files"]), JSON)))
def test_any_manifest_is_read_or_refused(tmp_path, content):
    (tmp_path / "vendor.json").write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    try:
        read_vendor_manifest(tmp_path)
    except VendorError:
        pass
