"""Words what the bytes of a line are, and who holds them."""

from __future__ import annotations

from memdeep.frozen import replace
from memdeep.model import Culprit, Finding, FindingKind, Report
from memdeep.model.holders import HeldPath, Holders
from memdeep.report import sentences
from memdeep.text.language import Language

MAX_TYPES = 3
MIN_SHARE = 0.05  # of the bytes: what is less is left out
NEARLY_ALL = 0.8  # of the bytes: a holder of so many holds them
MAX_HOLDERS = 2  # of parts
PART_SHARE = 0.15  # of the bytes: who holds less is not told


def held(report: Report, item: Finding, language: Language) -> str:
    """Return the types and the holder of a finding's line; empty if they are not known."""
    if item.culprit is None:
        return ""
    holders = item.culprit.holders
    if holders is None or not holders.bytes:
        return _in_process(report, item.culprit, language)
    end = report.phases[item.phase].outline.stretches[-1].end
    key = "holders.at_end" if holders.checkpoint == end else "holders.at"
    if key == "holders.at_end" and item.bytes < NEARLY_ALL * holders.bytes:
        key = "holders.at_end_in_all"
    at = sentences.point(report, holders.checkpoint, language)
    if item.kind is FindingKind.SHARED:  # it stays until its name goes, whoever maps it
        holders = replace(holders, paths=tuple(replace(p, retained_bytes=0) for p in holders.paths))
    return _sentence(report, holders, language, key, at=at)


def _in_process(report: Report, culprit: Culprit, language: Language) -> str:
    """Return the sentence on a line of another process, from the report of that process."""
    place = report.heap.tree.process(culprit.node)
    own = report.own_reports.get(place)
    if own is None:
        return ""
    found = [
        one.holders
        for phase in own.phases
        for one in (() if phase.heap is None else phase.heap.culprits)
        if one.line == culprit.line and one.holders is not None
    ]
    if not found:
        return ""
    holders = max(found, key=lambda one: one.bytes)
    at = sentences.point(own, holders.checkpoint, language)
    pid = report.run.processes[place].pid
    return _sentence(own, holders, language, "holders.in_process", at=at, pid=str(pid))


def _sentence(report: Report, holders: Holders, language: Language, key: str, **values: str) -> str:
    said = [
        _types(holders, language),
        *_holders(holders, language),
        *_by_nobody(report, holders, language),
    ]
    what = language.say("holders.and").join(filter(None, said))
    text = language.say(key, size_bytes=holders.bytes, what=what, **values)
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
            type=sentences.short(one.type),
            part_share=one.bytes / holders.bytes,
        )
        for one in large[:MAX_TYPES]
    )


def _holders(holders: Holders, language: Language) -> list[str]:
    """Return the one that holds nearly all, or the largest of several; none if none holds much."""
    paths = holders.paths
    if paths and paths[0].bytes >= NEARLY_ALL * holders.known_bytes:
        return [_holder(paths[0], language)]
    return [
        language.say("holders.part", held_bytes=one.bytes, what=_holder(one, language))
        for one in paths[:MAX_HOLDERS]
        if one.bytes >= PART_SHARE * holders.known_bytes
    ]


def _holder(path: HeldPath, language: Language) -> str:
    """Return a holder, and what letting go of it frees."""
    key = "holders.by"
    if path.ways and path.is_namespace:
        # The largest of them may be an object of another line, that others hold.
        is_own = path.bytes >= NEARLY_ALL * path.retained_bytes
        key = "holders.by_each" if is_own else "holders.by_more"
    elif path.ways:
        key = "holders.by_several_more" if (path.also or 0) > 1 else "holders.by_several"
    elif path.is_namespace:
        key = "holders.within"
    elif path.also:
        key = "holders.by_another"
    elif path.count > 1:
        key = "holders.by_alike"
    elif not path.retained_bytes:
        key = "holders.by_alone"
    first, second = path.ways or (path.path, "")
    return language.say(
        key,
        path=path.path,
        first=first,
        second=second,
        more=(path.also or 1) - 1,
        count=path.count,
        retained_bytes=path.retained_bytes,
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
