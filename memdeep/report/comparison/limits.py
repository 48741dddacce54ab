"""Limits on what may be more than before: read as they are written, and worded where not kept."""

from __future__ import annotations

import re
from collections.abc import Sequence

from memdeep.analysis.compare.gate import GATED, Judgement, Limit, Outcome
from memdeep.model.comparison import Comparison, Figure
from memdeep.report.comparison.wording import Wording, place, value
from memdeep.text.language import Language
from memdeep.text.safe import plain

NAMES = {figure.name.lower().replace("_", "-"): figure for figure in GATED}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*(%|[kmgt]?i?b?)", re.IGNORECASE)
_UNITS = "kmgt"


def limit(text: str) -> Limit:
    """Return the limit of ``peak-heap``, ``rise:2%``, ``growth:4MB`` or ``allocations:1000``.

    Raises ValueError with what is wrong.
    """
    name, colon, amount = text.partition(":")
    if name not in NAMES:
        raise ValueError(f"{name!r} is none of {', '.join(NAMES)}")
    figure = NAMES[name]
    if not colon:
        return Limit(figure)
    found = _AMOUNT.fullmatch(amount.strip())
    if found is None:
        raise ValueError(f"{amount!r} is no limit such as 5% or 4MB")
    number, unit = float(found[1]), found[2].lower()
    if unit == "%":
        return Limit(figure, share=number / 100)
    if unit and figure is Figure.ALLOCATIONS:
        raise ValueError(f"{amount!r} is a size; allocations are counted, as in 1000 or 1%")
    letter = unit[:1]
    power = 1 + _UNITS.index(letter) if letter and letter in _UNITS else 0
    return Limit(figure, amount=number * (1 << 10 * power))


def failures(
    comparison: Comparison,
    judgements: Sequence[Judgement],
    texts: Sequence[str],
    language: Language,
) -> list[tuple[bool, str]]:
    """Return for each limit that is not kept if the figure is known, and a sentence.

    ``texts`` are the limits as they were written.
    """
    return [
        (one.outcome is Outcome.OVER, _sentence(comparison, one, plain(text), language))
        for one, text in zip(judgements, texts, strict=True)
        if one.outcome is not Outcome.WITHIN
    ]


def _sentence(comparison: Comparison, one: Judgement, limit: str, language: Language) -> str:
    figure = one.limit.figure
    wording = Wording(comparison, language)
    name = language.say(f"diff.gated_{figure.name.lower()}")
    what = name
    if one.phase is not None:
        phase = wording.name(comparison.phases[one.phase])
        what = language.say("diff.gated_in", figure=name, phase=phase)
    if one.line is not None:
        line = plain(place(one.line.after))
        what = language.say("diff.gated_peak_of", line=line)
        if one.phase is not None:
            phase = wording.name(comparison.phases[one.phase])
            what = language.say("diff.gated_kept_by", line=line, phase=phase)
    if one.outcome is Outcome.COARSE:
        return language.say("diff.not_deep", limit=limit)
    unfinished = wording.unfinished()
    if one.outcome is Outcome.UNKNOWN and unfinished is not None:
        return language.say("diff.not_completed", limit=limit, what=what, run=plain(unfinished))
    if one.outcome is Outcome.UNKNOWN:
        return language.say("diff.not_known", limit=limit, what=what)
    before, after = one.before or 0, one.after or 0
    return language.say(
        "diff.over",
        limit=limit,
        what=what,
        before=value(figure, before),
        after=value(figure, after),
        more=value(figure, after - before),
    )
