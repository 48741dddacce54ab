"""`worker.json`, both ways."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from memdeep.rundir.workers import MAX_NAME, Worker, decode_worker, encode_worker

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=MAX_NAME)
sizes = st.integers(0, 2**62)


@given(
    st.builds(
        Worker, sizes, names, names, sizes, st.none() | sizes, st.none() | sizes, st.booleans()
    )
)
@examples(50)
def test_a_worker_is_read_as_it_was_written(worker: Worker) -> None:
    assert decode_worker(encode_worker(worker)) == worker


@given(st.binary(max_size=100))
@examples(50)
def test_a_damaged_file_is_no_worker(content: bytes) -> None:
    assert decode_worker(content) is None


def test_fields_of_other_types_are_no_worker() -> None:
    assert decode_worker(b'[1, "a", "b", 2, "much", null, false]') is None
    assert decode_worker(b'[true, "a", "b", 2, null, null, false]') is None
    assert decode_worker(b'[1, "\\ud800", "b", 2, null, null, false]') == Worker(
        1, "\ufffd", "b", 2
    )
