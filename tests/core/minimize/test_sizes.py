"""The table of what minimizing saves."""

from ebpfbuild.header import HeaderComment
from ebpfbuild.minimize.sizes import Size, table


def test_columns_fit_and_rows_are_sorted():
    comment = HeaderComment("exact", 3, 9)
    rows = [Size("b.bpf.c", "x86_64", comment, (10, 99), (100, 999), (0.0214, 0.1361)), Size("a.bpf.c", "arm", comment, (10, 99), (100, 999), (0.02, 0.13))]
    text = table(rows)
    assert text.splitlines() == [
        "program  arch    mode   declarations  lines     bytes       compile",
        "a.bpf.c  arm     exact  3 of 9        10 of 99  100 of 999  0.020 of 0.130 s",
        "b.bpf.c  x86_64  exact  3 of 9        10 of 99  100 of 999  0.021 of 0.136 s",
    ]
