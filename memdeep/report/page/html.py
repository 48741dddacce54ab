"""Encodes a report as the page: one self-contained HTML file.

The only module that knows Jinja; where things stand on the page is up to the templates.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from jinja2 import (
    Environment,
    FileSystemBytecodeCache,
    FileSystemLoader,
    StrictUndefined,
    select_autoescape,
)
from jinja2.bccache import Bucket
from markupsafe import Markup, escape

from memdeep.analysis.by_line import by_line
from memdeep.analysis.fold import fold
from memdeep.model import Report
from memdeep.model.heap import NO_STACK
from memdeep.report.options import DEFAULTS, ReportOptions
from memdeep.report.page import payload, view
from memdeep.report.page.facts import PAGE_SIZE
from memdeep.text import units
from memdeep.text.language import SCRIPT_GROUPS, Language, Value, chosen, template_directory
from memdeep.text.safe import plain, plain_code

TEMPLATE = "report.html.j2"
POLICY_PLACE = "(script hashes)"

# Of a page within another one: what the server of a notebook lets through in a second.
MOST_WITHIN_BYTES = 1 << 20
HEIGHT_PX = 640

_UNREAD = re.compile(r"^(?: *(?://.*)?\n)* *| +// [^'\"`\n]*$", re.MULTILINE)
_SCRIPT, _END = b"<script>", b"</script>"


def encode(report: Report, options: ReportOptions = DEFAULTS) -> Iterator[bytes]:
    """Return the page of ``report``, as UTF-8 in one piece."""
    peaks = [phase.peak for phase in report.phases]
    folded, lines = fold(report.heap, peaks), by_line(report.heap, peaks)
    blocks = payload.encode(report, folded, lines, options.editor)
    languages = chosen(options.lang)
    return iter([render(view.page(report, blocks, languages), languages, options.cache)])


def within(page: Path) -> str:
    """Return HTML to show a written page in another one, or a link where it is too large for that.

    Its scripts run, and reach nothing of what is around it.
    """
    content = html.escape(page.read_text("utf-8"))
    if len(content) > MOST_WITHIN_BYTES:
        name = html.escape(str(page))
        return f'<a href="{quote(str(page))}" target="_blank">{name}</a>'
    style = f"width: 100%; height: {HEIGHT_PX}px; border: 0"
    return f'<iframe srcdoc="{content}" sandbox="allow-scripts" style="{style}"></iframe>'


def render(
    page: ToShow,
    languages: Sequence[Language],
    cache: Path | None = None,
    template: str = TEMPLATE,
    groups: Collection[str] = SCRIPT_GROUPS,
) -> bytes:
    """Return ``page`` as HTML, UTF-8, in ``languages``; keep compiled templates in ``cache``.

    ``groups`` are those of the words that its scripts use.
    """
    environment = Environment(
        loader=FileSystemLoader(template_directory()),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        finalize=_plain,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=None if cache is None else _CompiledTemplates(str(cache)),
    )
    speech = _Speech(languages)
    environment.globals.update(
        t=speech.text, ta=speech.attribute, named=speech.name, verbatim=_verbatim
    )
    pieces = environment.get_template(template).generate(
        page=page,
        languages=[(language.code, language.tag) for language in languages],
        words_json=_script_safe({item.code: item.script_words(groups) for item in languages}),
        policy_place=POLICY_PLACE,
    )
    # As text, each piece would take up to four times its size in UTF-8.
    return _with_size(_with_script_hashes(b"".join(p.encode("utf-8", "replace") for p in pieces)))


class ToShow(Protocol):
    """What the frame of every page shows; the rest is known to its template."""

    @property
    def title(self) -> str: ...

    @property
    def blocks(self) -> Mapping[str, str]: ...

    @property
    def version(self) -> str: ...


class _CompiledTemplates(FileSystemBytecodeCache):
    """Compiled templates, kept from one report to the next where that is possible."""

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a compiled template; nothing is lost where that cannot be."""
        with suppress(OSError):
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
            super().dump_bytecode(bucket)


def _plain(value: object) -> object:
    """Make text that a template puts into the page plain: text from a run may hold anything."""
    return plain_code(value) if type(value) is str else value


def _verbatim(name: str) -> Markup:
    """Return a script or a style sheet, less indents, comments and blank lines, uncompiled."""
    text = (template_directory() / name).read_text("utf-8").rstrip("\n")
    return Markup(_UNREAD.sub("", text))


class _Speech:
    """Writes a sentence in every language of the page; the style sheet shows one of them."""

    def __init__(self, languages: Sequence[Language]) -> None:
        self._languages = languages
        self._openings = [
            Markup('<span lang="{}" data-language="{}">').format(language.tag, language.code)
            for language in languages
        ]

    def text(self, said: str | Mapping[str, str], **values: Value) -> Markup:
        """Return a sentence as HTML; ``said`` is a key of the words, or its text by language."""
        if len(self._languages) == 1:
            return escape(self._say(self._languages[0], said, values))
        texts = [self._say(language, said, values) for language in self._languages]
        if len(set(texts)) == 1:
            return escape(texts[0])
        spans = zip(self._openings, texts, strict=True)
        return Markup("".join(f"{opening}{escape(text)}</span>" for opening, text in spans))

    def name(self, name: str) -> str:
        """Return the name of a function or of a place; that of no stack is in words."""
        return self.text("flame.no_stack") if name == NO_STACK else name

    def attribute(self, name: str, key: str) -> Markup:
        """Return an attribute in the first language; scripts set it anew for another language."""
        value = self._languages[0].say(key)
        return Markup('{}="{}" data-words-{}="{}"').format(name, value, name, key)

    def _say(
        self, language: Language, said: str | Mapping[str, str], values: Mapping[str, Value]
    ) -> str:
        text = language.say(said, **values) if isinstance(said, str) else said[language.code]
        return plain(text)


def _script_safe(fields: object) -> Markup:
    """Return ``fields`` as JSON for a ``script`` element: without ``<``, ``>`` and ``&``."""
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _with_size(html: bytes) -> bytes:
    """Write the size of the page into ``html``."""
    place = PAGE_SIZE.encode()
    about = html.replace(place, units.size(len(html)).encode())
    return html.replace(place, units.size(len(about)).encode())


def _with_script_hashes(html: bytes) -> bytes:
    """Let the Content-Security-Policy in ``html`` allow its own scripts alone (CSP 3, 2.3.1)."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"
        for script in _scripts(html)
    )
    return html.replace(POLICY_PLACE.encode(), hashes.encode(), 1)


def _scripts(html: bytes) -> Iterator[bytes]:
    """Yield the content of each script, in order."""
    start = html.find(_SCRIPT)
    while start >= 0:
        end = html.find(_END, start)
        yield html[start + len(_SCRIPT) : end]
        start = html.find(_SCRIPT, end)
