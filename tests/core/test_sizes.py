"""The table of what minimizing saves."""

from ebpfbuild.sizes import Size, table


def test_columns_fit_and_rows_are_sorted():
    record = {"mode": "exact", "declarations": {"whole": 3, "declared": 1, "of": 9}, "lines": {"kept": 10, "of": 99}, "bytes": {"kept": 100, "of": 999}}
    text = table([Size("b.bpf.c", "x86_64", record, 0.0214, 0.1361), Size("a.bpf.c", "arm", record, 0.02, 0.13)])
    assert text.splitlines() == [
        "program  arch    mode   declarations  lines     bytes       compile",
        "a.bpf.c  arm     exact  3 of 9        10 of 99  100 of 999  0.020 of 0.130 s",
        "b.bpf.c  x86_64  exact  3 of 9        10 of 99  100 of 999  0.021 of 0.136 s",
    ]
