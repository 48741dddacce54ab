"""Renders the page from its templates: the only module that knows Jinja."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

import memdeep
from memdeep.report.view import Page

TEMPLATE = "report.html.j2"


def render(page: Page) -> bytes:
    """``page`` as one self-contained HTML file, UTF-8."""
    environment = Environment(
        loader=FileSystemLoader(_template_directory()),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template(TEMPLATE)
    return template.render(page=page).encode("utf-8", "replace")


def _template_directory() -> Path:
    """Inside the installed package, or beside the package in a source tree."""
    package = Path(memdeep.__file__).parent
    installed = package / "templates"
    return installed if installed.is_dir() else package.parent / "templates"
