"""A misspelt setting is an error and not a new attribute that nothing reads."""

import bpfloader
import pytest


@pytest.mark.parametrize(
    "where, name, value, said",
    [
        ("rodata", "target_pdi", 3, ".rodata has no target_pdi; nearest: target_pid"),
        ("maps.events", "max_entrys", 4096, "<RingBuffer events> has no max_entrys; nearest: max_entries"),
        ("maps", "evnts", 7, "has no evnts; nearest: events"),
        ("maps", "events", 7, "events can't be replaced; set its own attributes, or a map's entries"),
        ("progs.emit", "autolaod", False, "<TcProgram emit> has no autolaod; nearest: autoload"),
        ("", "target_pid", 3, "target_pid is a variable of .rodata; set it there"),
    ],
)
def test_a_misspelt_setting_names_the_nearest(opened, where, name, value, said):
    owner = opened
    for part in where.split(".") if where else ():
        owner = getattr(owner, part)
    with pytest.raises(AttributeError) as caught:
        setattr(owner, name, value)
    assert said in str(caught.value)


def test_a_class_of_ones_own_may_keep_more(skel, kernel):
    class Mine(skel.Probe):
        def __init__(self, handle):
            super().__init__(handle)
            self.cache = {}

    with Mine.open() as mine:
        mine.notes = "kept"
        assert (mine.cache, mine.notes) == ({}, "kept")
    with bpfloader.Object.open(skel.__file__.replace("_skel.py", ".bpf.o")) as plain:
        plain.title = "plain"
        assert plain.title == "plain"
