"""Four tests that keep 15,000,000 bytes each."""

import pytest

kept = []


@pytest.mark.parametrize("number", range(4))
def test_keeps(number):
    kept.append(b"x" * (15_000_000 + number - number))  # KEPT
