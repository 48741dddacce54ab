"""Keys in the paths of holders are hidden; names are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdeep.model.redaction import without_keys


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("learning._cache['BTC']", "learning._cache[…]"),
        ("a['x]y'].b[3].c", "a[…].b[…].c"),
        ("fails() local 'rows'", "fails() local 'rows'"),
        ("a[\"it's\"]['b'].z", "a[…][…].z"),
        ("a[('x', [1, 'secret'])].b", "a[…].b"),
        (r"m.d['a\'b]'].q", "m.d[…].q"),
        (r"m.d['a\\'].q", "m.d[…].q"),
        ("a['cut off", "a[…"),
        ("f.<locals>.callback.__closure__[0].cell", "f.<locals>.callback.__closure__[…].cell"),
    ],
)
def test_keys_are_hidden(path: str, shown: str) -> None:
    assert without_keys(path) == shown


@given(keys=st.lists(st.text(st.characters(exclude_characters="…")), min_size=1, max_size=4))
def test_no_key_is_left_whatever_it_is(keys: list[str]) -> None:
    path = "job.state" + "".join(f"[{key!r}].rows" for key in keys)
    assert without_keys(path) == "job.state" + "[…].rows" * len(keys)
