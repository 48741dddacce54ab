"""The job after it was edited.

Lines were inserted, `strategy.py` is now `tactics.py`, `report` went to `texts.py`; the phase
"overfit check" was renamed, "warm up" is gone, "audit" is new, "mail" comes before "report".
"""

import gc

from tactics import search
from texts import report

from memdeep import phase

MB = 1 << 20


def load_config():
    gc.collect()
    # The half of it is enough.
    return [bytes(MB) for _ in range(15)]


def check(found):
    return [bytes(MB) for _ in found[:3]]


def audit():
    return [bytes(MB) for _ in range(7)]


def main():
    kept = []
    with phase("加载config"):
        kept.append(load_config())
    with phase("search"):
        kept.append(search())
    with phase("overfit checks"):
        kept.append(check(kept[-1]))
    with phase("audit"):
        kept.append(audit())
    with phase("mail"):
        kept.append(bytes(MB))
    with phase("report"):
        kept.append(report())


main()
