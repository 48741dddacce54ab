"""Turns the symbols of C++ and Rust compilers back into the names their programmers wrote.

C++ is left to the platform's own C++ library, which knows the ABI its compiler speaks.
"""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Callable
from functools import cache, lru_cache

from multi_demangle import demangle_symbol

MAX_CHARACTERS = 4096  # of a symbol that is demangled, and of a name that is shown

_CXX_LIBRARY = "libc++.1.dylib" if sys.platform == "darwin" else "libstdc++.so.6"

_CXX_PREFIX = "_Z"
_RUST_PREFIX = "_R"
# Rust's older scheme writes a C++ name that ends in a hash of the type.
_RUST_LEGACY = re.compile(r"_ZN.+17h[0-9a-f]{16}E(?:\.|$)")

# GCC's second name for a function that may be replaced when it is loaded.
_LOCAL_ALIAS = re.compile(r"\.localalias(?:\.\d+)?$")


@lru_cache(1024)  # the addresses of a file are named in their order, those of a function together
def demangle(symbol: str) -> str:
    """Return the name behind ``symbol``, or ``symbol`` itself if it cannot be demangled."""
    symbol = _LOCAL_ALIAS.sub("", symbol)
    if not symbol.startswith((_CXX_PREFIX, _RUST_PREFIX)) or len(symbol) > MAX_CHARACTERS:
        return symbol[:MAX_CHARACTERS]
    if symbol.startswith(_RUST_PREFIX) or _RUST_LEGACY.match(symbol):
        rust: str = demangle_symbol(symbol, language="rust")
        return rust[:MAX_CHARACTERS]
    cxx = _cxx_demangler()
    return symbol if cxx is None else (cxx(symbol) or symbol)[:MAX_CHARACTERS]


@cache
def _cxx_demangler() -> Callable[[str], str | None] | None:
    """Return `__cxa_demangle` of the C++ ABI as a function, None without a C++ library."""
    try:
        function = ctypes.CDLL(_CXX_LIBRARY).__cxa_demangle
        free = ctypes.CDLL(None).free
    except (OSError, AttributeError):
        return None
    function.restype = ctypes.c_void_p
    function.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    free.restype = None
    free.argtypes = [ctypes.c_void_p]

    def call(symbol: str) -> str | None:
        address = function(symbol.encode("utf-8", "replace"), None, None, None)
        if not address:
            return None
        try:
            return ctypes.string_at(address).decode("utf-8", "replace")
        finally:
            free(address)

    return call
