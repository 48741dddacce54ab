"""Renders the page from its templates: the only module that knows Jinja."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from memdeep.report.page.facts import PAGE_SIZE
from memdeep.report.page.view import Page
from memdeep.text import units
from memdeep.text.language import Language, Value, template_directory
from memdeep.text.safe import plain, plain_code

TEMPLATE = "report.html.j2"
POLICY_PLACE = "(script hashes)"

_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def render(page: Page, languages: Sequence[Language]) -> bytes:
    """``page`` as one self-contained HTML file, UTF-8, in ``languages``."""
    environment = Environment(
        loader=FileSystemLoader(template_directory()),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        finalize=_plain,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    speech = _Speech(languages)
    environment.globals.update(t=speech.text, ta=speech.attribute)
    html = environment.get_template(TEMPLATE).render(
        page=page,
        languages=[(language.code, language.tag) for language in languages],
        words_json=_script_safe({item.code: item.script_words() for item in languages}),
        policy_place=POLICY_PLACE,
    )
    return _with_size(_with_script_hashes(html).encode("utf-8", "replace"))


def _plain(value: object) -> object:
    """What a template puts into the page: text from a run may hold anything."""
    return plain_code(value) if type(value) is str else value


class _Speech:
    """Says a thing in every language of the page; the style sheet shows one of them."""

    def __init__(self, languages: Sequence[Language]) -> None:
        self._languages = languages

    def text(self, said: str | Mapping[str, str], **values: Value) -> Markup:
        """A key of the words, or a sentence by language, as HTML."""
        if len(self._languages) == 1:
            return Markup.escape(self._say(self._languages[0], said, values))
        texts = [self._say(language, said, values) for language in self._languages]
        if len(set(texts)) == 1:
            return Markup.escape(texts[0])
        return Markup("").join(
            Markup('<span lang="{}" data-language="{}">{}</span>').format(
                language.tag, language.code, text
            )
            for language, text in zip(self._languages, texts, strict=True)
        )

    def attribute(self, name: str, key: str) -> Markup:
        """An attribute in the first language; scripts set it again when the language changes."""
        value = self._languages[0].say(key)
        return Markup('{}="{}" data-words-{}="{}"').format(name, value, name, key)

    def _say(
        self, language: Language, said: str | Mapping[str, str], values: Mapping[str, Value]
    ) -> str:
        text = language.say(said, **values) if isinstance(said, str) else said[language.code]
        return plain(text)


def _script_safe(fields: object) -> Markup:
    """JSON that may stand in a ``script`` element: no ``<``, ``>`` or ``&`` appears in it."""
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _with_size(html: bytes) -> bytes:
    """``html`` that says how large it is."""
    place = PAGE_SIZE.encode()
    about = html.replace(place, units.size(len(html)).encode())
    return html.replace(place, units.size(len(about)).encode())


def _with_script_hashes(html: str) -> str:
    """``html`` whose Content-Security-Policy allows its own scripts and no other (CSP 3, 2.3.1)."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in _SCRIPT.findall(html)
    )
    return html.replace(POLICY_PLACE, hashes, 1)
