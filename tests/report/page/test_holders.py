"""The holders of objects, as the page carries them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from factories import ESCAPES, LONG, MARKUP, report
from running import validate_report
from snapshots import TYPES, holding_report

from memdeep.analysis.by_line import by_line
from memdeep.analysis.fold import fold
from memdeep.model import Report
from memdeep.report.json.document import encode
from memdeep.report.page import holders, html, payload, view
from memdeep.text.language import chosen

SECRETS = ("alice@example.org", "token 5f3a")
EDITOR = "vscode://file/{path}:{line}"


def blocks(made: Report) -> dict[str, Any]:
    peaks = [phase.peak for phase in made.phases]
    found = payload.encode(made, fold(made.heap, peaks), by_line(made.heap, peaks), EDITOR)
    return {name: payload.unpack(block) for name, block in found.items()}


def rendered(made: Report) -> str:
    peaks = [phase.peak for phase in made.phases]
    found = payload.encode(made, fold(made.heap, peaks), by_line(made.heap, peaks), EDITOR)
    languages = chosen("both")
    return html.render(view.page(made, found, languages), languages).decode()


def paths(block: dict[str, Any]) -> list[str]:
    """The paths of the rows of a block, as the script makes them."""
    found: list[str] = []
    for parent, label, path in zip(block["parent"], block["label"], block["path"], strict=True):
        if path == holders.AS_EXPECTED:
            found.append(found[parent] + block["strings"][label])
        else:
            found.append(block["strings"][path])
    return found


def test_each_snapshot_has_its_rows_with_their_lines() -> None:
    made = holding_report(3)
    packed = blocks(made)
    assert [name for name in packed if name.startswith("holders")] == [
        *("holders-0", "holders-1", "holders-2"),
        "holders",
    ]
    for place, snapshot in enumerate(made.snapshots):
        block = packed[f"holders-{place}"]
        assert paths(block) == [row.path for _, row in snapshot.rows]
        assert block["retained"] == [row.retained_bytes for _, row in snapshot.rows]
        assert [block["strings"][kind] for kind in block["type"]] == [
            name for name, _ in snapshot.rows
        ]
    core = packed["core"]
    row = paths(packed["holders-2"]).index("__main__.CACHE")
    frame, size = packed["holders-2"]["lines"][row][:2]
    assert core["frames"]["line"][frame] == 49
    assert size == sum(packed["holders-2"]["retained"][row : row + 1]) - 400


def test_the_outline_has_types_garbage_and_what_only_c_holds() -> None:
    outline = blocks(holding_report(2))["holders"]
    assert outline["gc"] == [1, 0]
    assert outline["garbageTypes"] == [[["__main__.Order", 4 << 20, 1000]]] * 2
    assert outline["cOnlyTypes"] == [[["list", 5000, 3]]] * 2
    orders = outline["types"]["name"].index("__main__.Order")
    assert [column[orders] for column in outline["types"]["count"]] == [1000, 1000]
    assert outline["others"] == {"n": 0, "bytes": [0, 0], "count": [0, 0]}


def test_of_very_many_types_the_smallest_are_one() -> None:
    types = (*TYPES, *(f"t{n}" for n in range(5000)))
    outline = blocks(holding_report(2, types=types))["holders"]
    assert len(outline["types"]["name"]) == holders.MAX_TYPES
    assert outline["others"]["n"] == 5004 - holders.MAX_TYPES
    listed = sum(outline["types"]["bytes"][1])
    everything = holding_report(2, types=types).snapshots[1].types
    assert listed + outline["others"]["bytes"][1] == sum(one.bytes for one in everything)


def test_a_run_without_snapshots_has_no_view() -> None:
    assert view.page(report(), {}, chosen("both")).holders is None
    assert 'id="holders"' not in rendered(report())
    assert not [name for name in blocks(report()) if name.startswith("holders")]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_holder_of_a_finding_is_a_way_to_its_row(language: str) -> None:
    made = holding_report(2)
    (card, *_) = view.page(made, {}, chosen("both")).findings
    assert card.holder is not None
    assert card.held is not None
    link = card.holder
    assert link.path == "__main__.CACHE"
    said = f"{link.before[language]}`{link.path}`{link.after[language]}"
    assert said == card.held[language]
    assert made.snapshots[link.snapshot].rows[int(link.row)][1].path == link.path


def test_a_snapshot_that_could_not_be_had_is_said_in_the_view() -> None:
    shown = view.page(holding_report(), {}, chosen("both")).holders
    assert shown is not None
    assert [said["en"] for said in shown.unseen] == [
        "who holds the objects at later is not known: the looks before it were still on"
    ]
    assert shown.unseen[0]["zh"] != shown.unseen[0]["en"]


def test_hidden_keys_are_nowhere_on_the_page() -> None:
    shown = holding_report(keys=True, names=SECRETS)
    hidden = holding_report(keys=False, names=SECRETS)
    for secret in SECRETS:
        assert secret in json.dumps(blocks(shown))
        assert secret not in json.dumps(blocks(hidden))
        assert secret not in rendered(hidden)
    assert "seen[0]" in json.dumps(blocks(shown))
    assert "seen[0]" not in json.dumps(blocks(hidden))
    assert "__main__.CACHE[…]" in paths(blocks(hidden)["holders-2"])


def test_a_hostile_type_or_path_becomes_no_markup_and_is_not_endless() -> None:
    names = (MARKUP, ESCAPES, LONG, "\u202egnp.exe")
    made = holding_report(types=(*TYPES[:3], MARKUP + LONG), names=names)
    packed = json.dumps(blocks(made)["holders-2"], ensure_ascii=False)
    assert "\x1b" not in packed
    assert "\u202e" not in packed
    assert max(map(len, blocks(made)["holders-2"]["strings"])) <= holders.MAX_TEXT + 1
    assert "<script>alert" not in rendered(made)


def test_the_json_of_it_is_valid_and_names_the_lines() -> None:
    made = holding_report(2)
    document = json.loads(b"".join(encode(made)))
    validate_report(document)
    last = document["snapshots"][-1]
    assert last["garbage_types"] == [{"type": "__main__.Order", "bytes": 4 << 20, "count": 1000}]
    assert last["held_by_c_types"] == [{"type": "list", "bytes": 5000, "count": 3}]
    (cache,) = [row for row in last["holders"] if row["path"] == "__main__.CACHE"]
    assert document["frames"][cache["lines"][0]["frame"]]["lineno"] == 49
