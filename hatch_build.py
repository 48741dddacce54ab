"""Compiles the replay engine while memdeep is built; without a compiler the wheel is pure Python.

Names what memdeep depends on, too: on musl only what has wheels there. setuptools drives the
compiler: it knows CC, CXX, CFLAGS and macOS's architectures.
"""

from __future__ import annotations

import compileall
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface
from packaging.tags import platform_tags

# What is compiled, and of what; each may be missing.
MODULES = {
    "memdeep.heap.replay._replay": ("native/module.cpp", "native/merge.cpp", "native/state.cpp"),
    "memdeep.record._holders": ("native/holders.cpp",),
}
LIMITED_API = "0x030A0000"  # one build serves CPython 3.10 and all later ones


class ReplayBuildHook(BuildHookInterface[Any]):
    """Adds the compiled module to a wheel; an editable install has it beside the sources."""

    PLUGIN_NAME = "custom"

    def finalize(self, _version: str, _build_data: dict[str, Any], _artifact: str) -> None:
        """Called by hatchling when it has packed: what was compiled is needed no more."""
        self._compiled.cleanup()

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it packs; ``version`` is "standard" or "editable"."""
        self._compiled = tempfile.TemporaryDirectory(prefix="memdeep-build-")
        if version == "editable":
            # As pip does for what it copies: half of the time of a start is compiling otherwise,
            # wherever Python may not write bytecode of its own accord.
            compileall.compile_dir(Path(self.root, "memdeep"), quiet=2)
        limited = not sysconfig.get_config_var("Py_GIL_DISABLED")  # those have no limited API
        for module, sources in MODULES.items():
            if module.endswith("_holders") and not has_walker(limited):
                continue
            try:
                built = self._compile(module, sources, limited)
            except Exception as error:  # no compiler, no headers of Python: memdeep does without
                self.app.display_warning(f"{module} could not be built: {error}")
                continue
            place = Path(*module.split(".")[:-1], built.name)
            if version == "editable":
                _replace(Path(self.root, place), built)
                continue
            build_data["force_include"][str(built)] = place.as_posix()
            build_data["pure_python"] = False
        if build_data.get("pure_python", True):
            return
        tag = self.build_config.builder.get_best_matching_tag()
        build_data["tag"] = f"cp310-abi3-{tag.rpartition('-')[2]}" if limited else tag

    def _compile(self, module: str, sources: Iterable[str], limited: bool) -> Path:
        """Where the compiled module is."""
        from setuptools import Distribution, Extension
        from setuptools.command.build_ext import build_ext

        extension = Extension(
            module,
            [str(Path(self.root, source)) for source in sources],
            define_macros=[("Py_LIMITED_API", LIMITED_API)] if limited else [],
            extra_compile_args=["-std=c++17", "-O3", "-g0", "-fvisibility=hidden"],
            language="c++",
            py_limited_api=limited,
        )
        command = build_ext(Distribution({"name": "memdeep", "ext_modules": [extension]}))
        command.build_lib = command.build_temp = self._compiled.name
        command.ensure_finalized()
        command.run()
        return Path(command.get_ext_fullpath(module))


class DependenciesHook(MetadataHookInterface):
    """Fills in the dependencies."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Called by hatchling before it writes the ``metadata`` of the project."""
        extras = [] if is_musl() else self.config["extras-without-musl"]
        compiled = [word for name in extras for word in metadata["optional-dependencies"][name]]
        metadata["dependencies"] = [
            *self.config["dependencies"],
            *(with_marker(word, "platform_system != 'Windows'") for word in compiled),
        ]


def with_marker(word: str, marker: str) -> str:
    """Restrict the requirement ``word`` by ``marker``, and by the one that it has."""
    name, _, own = (part.strip() for part in word.partition(";"))
    if not own:
        return f"{name}; {marker}"
    return f"{name}; ({own}) and {marker}"


def is_musl() -> bool:
    """Whether this Python runs on the C library musl."""
    return any("musllinux" in tag for tag in platform_tags())


def has_walker(limited: bool) -> bool:
    """Whether the objects of this Python can be walked: on Linux, where there is a GIL."""
    return limited and sys.platform.startswith("linux")


def _replace(module: Path, built: Path) -> None:
    """Put ``built`` in the place of ``module``, which a running program may have loaded."""
    new = module.with_suffix(".new")
    shutil.copy(built, new)
    new.replace(module)
