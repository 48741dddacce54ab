"""Words what the bytes of a line are, and who holds them."""

from __future__ import annotations

from memdeep.model import Finding, Report
from memdeep.model.holders import Holders
from memdeep.report import sentences
from memdeep.text.language import Language

MAX_TYPES = 3
MIN_SHARE = 0.05  # of the bytes: what is less is left out
NEARLY_ALL = 0.8  # of the bytes: a holder of so many holds them
BUILTINS = "builtins."


def held(report: Report, item: Finding, language: Language) -> str:
    """Return the types and the holder of a finding's line; empty if they are not known."""
    holders = None if item.culprit is None else item.culprit.holders
    if holders is None or not holders.bytes:
        return ""
    said = [
        _types(holders, language),
        _holder(holders, language),
        *_by_nobody(report, holders, language),
    ]
    text = language.say("holders.and").join(filter(None, said))
    key = "holders.at_end"
    if holders.checkpoint != report.phases[item.phase].outline.stretches[-1].end:
        key = "holders.at"
    at = sentences.point(report, holders.checkpoint, language)
    text = language.say(key, size_bytes=holders.bytes, at=at, what=text)
    if holders.shared_bytes >= MIN_SHARE * holders.bytes:
        text += language.say("holders.shared", shared_bytes=holders.shared_bytes)
    return text


def _types(holders: Holders, language: Language) -> str:
    """Return the largest types, each with its share."""
    large = [one for one in holders.types if one.bytes >= MIN_SHARE * holders.known_bytes]
    if not large:
        return language.say("holders.no_type")
    return language.say("holders.comma").join(
        language.say(
            "holders.type",
            type=sentences.short(one.type.removeprefix(BUILTINS)),
            part_share=one.bytes / holders.bytes,
        )
        for one in large[:MAX_TYPES]
    )


def _holder(holders: Holders, language: Language) -> str:
    """Return the one that holds most; empty if nobody with a name holds much."""
    path = next(iter(holders.paths), None)
    if path is None:
        return ""
    key = "holders.by" if path.bytes >= NEARLY_ALL * holders.known_bytes else "holders.part_by"
    return language.say(
        key, path=path.path, held_bytes=path.bytes, retained_bytes=path.retained_bytes
    )


def _by_nobody(report: Report, holders: Holders, language: Language) -> list[str]:
    """Return how much awaits the collector, only C code holds, or is no known object, if much."""
    least = max(1, MIN_SHARE * holders.bytes)
    said = []
    if holders.garbage_bytes >= least:
        enabled = [
            one.gc_enabled for one in report.snapshots if one.checkpoint == holders.checkpoint
        ]
        key = "holders.garbage" if all(enabled) else "holders.garbage_gc_off"
        said.append(language.say(key, garbage_bytes=holders.garbage_bytes))
    if holders.c_only_bytes >= least:
        said.append(language.say("holders.c_only", c_only_bytes=holders.c_only_bytes))
    if least <= holders.unknown_bytes < holders.bytes:
        said.append(language.say("holders.unknown", unknown_bytes=holders.unknown_bytes))
    return said
