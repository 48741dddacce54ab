"""Settings of the property tests: the same examples on every run, or examples by chance.

`make test` shall give one answer to one state of the code, so the examples follow from the test
alone. `make fuzz` looks for new ones: with HYPOTHESIS_PROFILE=fuzz they follow from pytest's
`--hypothesis-seed`, and there are more of them. Time plays no part in either: a slow machine is no
reason for a law to fail.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

SAME, FUZZ = "same", "fuzz"
EXAMPLES = 40
FACTORS = {SAME: 1, FUZZ: 2}  # of the number of examples
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", SAME)


def load_profile() -> None:
    """Set how examples are found from now on. Call it before any property test is imported."""
    for name, factor in FACTORS.items():
        settings.register_profile(
            name,
            max_examples=EXAMPLES * factor,
            derandomize=name == SAME,
            database=None,
            deadline=None,
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow],
        )
    settings.load_profile(PROFILE)


def examples(count: int = EXAMPLES, *, share_fixtures: bool = False) -> settings:
    """Ask for another number of examples than `EXAMPLES`; `make fuzz` takes a multiple of it.

    With ``share_fixtures`` all examples of a test may get the same function-scoped fixtures.
    """
    allowed = [HealthCheck.too_slow]
    if share_fixtures:
        allowed.append(HealthCheck.function_scoped_fixture)
    return settings(max_examples=count * FACTORS[PROFILE], suppress_health_check=allowed)
