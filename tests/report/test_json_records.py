"""JSON in lines: the same values as the standard library's, whatever was encoded before."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdeep.report.json import encoded, lines, listed, record

TEXT = st.text()
VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.dictionaries(TEXT, st.tuples(VALUE, st.booleans()), max_size=6)


@given(FIELDS)
def test_a_record_reads_the_same_whichever_of_its_fields_were_encoded_before(
    given_fields: dict[str, tuple[object, bool]],
) -> None:
    made = record(
        {name: encoded(value) if early else value for name, (value, early) in given_fields.items()}
    )
    wanted = [(name, value) for name, (value, _) in given_fields.items()]
    assert list(json.loads(made).items()) == wanted
    assert "\n" not in made


@given(st.lists(st.dictionaries(TEXT, VALUE, max_size=3), max_size=4), VALUE)
def test_each_field_and_each_record_of_a_document_has_a_line(
    records: list[dict[str, object]], value: object
) -> None:
    fields = {"plain": value, "records": iter(records), "early": encoded(value)}
    text = "".join(lines(fields))
    assert json.loads(text) == {"plain": value, "records": records, "early": value}
    assert text.count("\n") == 5 + len(records) + bool(records)


def test_a_list_of_encoded_values() -> None:
    assert json.loads(listed([encoded("a"), encoded(None)])) == ["a", None]
    assert listed([]) == "[]"


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        record({"share": float("nan")})
