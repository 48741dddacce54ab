"""The language that the environment asks for. Imports next to nothing: it serves programs too."""

import os

VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")  # the order is that of setlocale(3) for messages


def asked_for() -> str:
    """Return the code of the language: "zh" in a Chinese locale, "en" in any other."""
    names = (os.environ.get(name) for name in VARIABLES)
    return "zh" if next(filter(None, names), "").startswith("zh") else "en"
