"""The parent's readings come back as they were written, and damage is told from a reading."""

from __future__ import annotations

import pytest
from factories import COUNTS
from hypothesis import example, given
from hypothesis import strategies as st

from memdeep.rundir.journal import MAX_TIME_S
from memdeep.rundir.samples import (
    SAMPLES_TITLE,
    ProcessSample,
    damaged_lines,
    decode_samples,
    encode_sample,
)

TIMES_MS = st.integers(0, MAX_TIME_S * 1000)
KNOWN = st.none() | COUNTS
SAMPLES = st.lists(
    st.builds(ProcessSample, TIMES_MS, *[COUNTS] * 2, *[KNOWN] * 5)
    | st.builds(ProcessSample, TIMES_MS, *[COUNTS] * 2, KNOWN),
    max_size=8,
)


@given(samples=SAMPLES)
def test_samples_come_back_in_order(samples: list[ProcessSample]) -> None:
    lines = "".join(map(encode_sample, samples))
    assert decode_samples(SAMPLES_TITLE + lines) == samples
    assert damaged_lines(SAMPLES_TITLE + lines, len(samples)) == 0


@pytest.mark.parametrize(
    "line",
    [
        "",
        "1\t2",
        "1\t2\t3\t4\t5",
        "1\t2\t3\t4\t5\t6\t7",
        "1\t2\t3\t4\t5\t6\t7\t8\t9",
        "1\t2\t3\t4\t5\t6\t7\tx",
        "1\t2\t3\t4\t5\t6\t7\t",
        "1\t2\t-\t4\t5\t6\t7\t8",
        "1\t2\t3\t-",
        "1\t2\t-",
        "1\t2\t3\tx",
        "1\t2\t-3",
        "1\t2\t3.5",
        "1\t2\tx",
        "1 2 3",
        "1\t2\t",
        "１\t２\t３",
        "\x00\t1\t2",
        "1\t2\t" + "9" * 5000,
    ],
)
def test_a_damaged_sample_is_left_out(line: str) -> None:
    content = f"1\t2\t3\n{line}\n4\t5\t6\n"
    assert decode_samples(content) == [ProcessSample(1, 2, 3), ProcessSample(4, 5, 6)]
    assert damaged_lines(content, 2) == (line != "")


def test_a_line_says_what_is_known() -> None:
    lines = "1\t2\t3\n1\t2\t3\t4\n1\t2\t30\t4\t25\t20\t-\t8\n"
    plain, with_file, shared = decode_samples(lines)
    assert plain == ProcessSample(1, 2, 3)
    assert with_file == ProcessSample(1, 2, 3, 4)
    assert shared == ProcessSample(
        1, 2, 30, 4, pss_bytes=25, pss_anon_bytes=20, pss_shmem_bytes=None, uss_bytes=8
    )
    assert "".join(map(encode_sample, (plain, with_file, shared))) == lines


@pytest.mark.parametrize("torn", ["1\t2\t3\t4\t5\t6\t7\t8", "7", "7\t8", "7\t8\t", "7\t8\t91"])
def test_a_torn_last_sample_is_left_out(torn: str) -> None:
    # "7\t8\t91" may be the beginning of "7\t8\t91234567\n": a reading a millionth of the true one.
    content = f"1\t2\t3\n{torn}"
    assert decode_samples(content) == [ProcessSample(1, 2, 3)]
    assert damaged_lines(content, 1) == 0
    assert damaged_lines(content + "\0", 1) == 1  # nobody wrote that


@given(content=st.text(alphabet="0123456789\t\n\r\x0b\x1c\u2028 -.x", max_size=200))
@example(content="1\t2\t3\n")
def test_no_text_crashes_the_reader_of_samples(content: str) -> None:
    for sample in decode_samples(content):
        assert min(sample.time_ms, sample.pid, sample.rss_bytes) >= 0
