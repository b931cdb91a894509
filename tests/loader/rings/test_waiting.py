"""When a reader sleeps rather than waits, by the clock that it is given."""

from bpfloader.rings.waiting import MAX_DELAY, Coalescer
from hypothesis import given
from hypothesis import strategies as st


def test_records_that_come_slowly_are_waited_for():
    coalescer = Coalescer()
    assert [coalescer.pause(10 + number / 1000, 48 * number, 1 << 20) for number in range(50)] == [0.0] * 50


def test_fast_records_gather_until_they_stop():
    coalescer, now, position = Coalescer(), 10.0, 0
    pauses = []
    for _ in range(20):
        pauses.append(coalescer.pause(now, position, 1 << 20))
        now, position = now + (pauses[-1] or 10e-6) + 20e-6, position + 48 * int(pauses[-1] / 10e-6 + 1)
    assert pauses[0] == 0.0 and set(pauses[1:]) == {MAX_DELAY}
    assert coalescer.pause(now, position, 1 << 20) == MAX_DELAY
    assert coalescer.pause(now + MAX_DELAY, position, 1 << 20) == 0.0  # nothing came: wait for the next one


@given(st.floats(1e-6, 1e-4), st.integers(8, 1 << 16), st.sampled_from([4096, 1 << 16, 1 << 20]))
def test_no_more_than_a_part_of_the_buffer_gathers(took, came, size):
    coalescer = Coalescer()
    coalescer.pause(10.0, 0, size)
    pause = coalescer.pause(10.0 + took, came, size)
    assert 0 < pause <= MAX_DELAY and pause / took * came <= 0.26 * size
