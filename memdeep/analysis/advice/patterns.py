"""Lists the calls that tell a cause by themselves, and finds them in what a line called.

A row of a table is the advice, the end of a file's path, its functions (none: all of them), and the
call as a user writes it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import cached_property
from pathlib import PurePath
from typing import NamedTuple

from memdeep.model import Advice, Frame, Origin, StackTree


class Pattern(NamedTuple):
    """A cause, and the call or the module that shows it."""

    advice: Advice
    call: str


class _Row(NamedTuple):
    advice: Advice
    file_end: str
    functions: tuple[str, ...]
    call: str


_CALLS = (
    _Row(Advice.DEEP_COPY, "/copy.py", ("deepcopy",), "copy.deepcopy"),
    _Row(Advice.WHOLE_PARSE, "/json/__init__.py", ("load", "loads"), "json.{}"),
    _Row(Advice.WHOLE_PARSE, "/json/decoder.py", ("decode",), "JSONDecoder.{}"),
    _Row(
        Advice.WHOLE_PARSE,
        "/yaml/__init__.py",
        ("load", "load_all", "safe_load", "full_load"),
        "yaml.{}",
    ),
    _Row(Advice.WHOLE_PARSE, "/tomllib/_parser.py", ("load", "loads"), "tomllib.{}"),
    _Row(
        Advice.WHOLE_PARSE,
        "/xml/etree/ElementTree.py",
        ("parse", "fromstring", "XML"),
        "ElementTree.{}",
    ),
    _Row(Advice.WHOLE_PARSE, "/xml/dom/minidom.py", ("parse", "parseString"), "minidom.{}"),
    _Row(Advice.WHOLE_FILE, "/pathlib.py", ("read_text", "read_bytes"), "Path.{}"),
    _Row(Advice.WHOLE_FILE, "/pathlib/_local.py", ("read_text", "read_bytes"), "Path.{}"),
    _Row(Advice.WHOLE_FILE, "/pathlib/__init__.py", ("read_text", "read_bytes"), "Path.{}"),
    _Row(
        Advice.WHOLE_FILE,
        "/pandas/io/parsers/readers.py",
        ("read_csv", "read_table"),
        "pandas.{}",
    ),
    _Row(Advice.WHOLE_FILE, "/pandas/io/json/_json.py", ("read_json",), "pandas.{}"),
    _Row(Advice.WHOLE_FILE, "/pandas/io/excel/_base.py", ("read_excel",), "pandas.{}"),
    _Row(Advice.WHOLE_FILE, "/pandas/io/parquet.py", ("read_parquet",), "pandas.{}"),
    _Row(Advice.WHOLE_FILE, "/numpy/lib/npyio.py", ("load", "loadtxt", "genfromtxt"), "numpy.{}"),
    _Row(
        Advice.WHOLE_FILE,
        "/numpy/lib/_npyio_impl.py",
        ("load", "loadtxt", "genfromtxt"),
        "numpy.{}",
    ),
    _Row(Advice.MAPPED_FILE, "/numpy/core/memmap.py", ("__new__",), "numpy.memmap"),
    _Row(Advice.MAPPED_FILE, "/numpy/_core/memmap.py", ("__new__",), "numpy.memmap"),
    # A workbook opened with read_only=True, or made with write_only=True, has no cells here.
    _Row(Advice.WORKBOOK, "/openpyxl/worksheet/_reader.py", (), "openpyxl.load_workbook"),
    _Row(Advice.WORKBOOK, "/openpyxl/worksheet/worksheet.py", ("append", "cell"), "Worksheet.{}"),
    _Row(
        Advice.ALL_ROWS,
        "/pandas/io/sql.py",
        ("read_sql", "read_sql_query", "read_sql_table"),
        "pandas.{}",
    ),
    _Row(Advice.ALL_ROWS, "/sqlalchemy/orm/query.py", ("all",), "Query.all"),
    _Row(Advice.ALL_ROWS, "/sqlalchemy/engine/result.py", ("all", "fetchall"), "Result.{}"),
    _Row(Advice.WHOLE_TEXT, "/json/__init__.py", ("dumps",), "json.dumps"),
    _Row(Advice.WHOLE_TEXT, "/json/encoder.py", ("encode",), "JSONEncoder.encode"),
    _Row(Advice.WHOLE_TEXT, "/yaml/__init__.py", ("dump", "safe_dump", "dump_all"), "yaml.{}"),
    _Row(Advice.WHOLE_PICKLE, "/pickle.py", ("dumps", "_dumps"), "pickle.dumps"),
    _Row(Advice.MERGE, "/pandas/core/reshape/merge.py", ("merge",), "pandas.merge"),
    _Row(Advice.MERGE, "/pandas/core/frame.py", ("merge", "join"), "DataFrame.{}"),
    _Row(Advice.FIGURES, "/matplotlib/pyplot.py", (), "pyplot.{}"),
    _Row(
        Advice.FIGURES, "/matplotlib/figure.py", ("savefig", "subplots", "add_subplot"), "Figure.{}"
    ),
    _Row(Advice.FIGURES, "/matplotlib/axes/_axes.py", (), "Axes.{}"),
    _Row(Advice.FIGURES, "/matplotlib/backend_bases.py", ("print_figure",), "Figure.savefig"),
)
_ROWS: dict[str, list[_Row]] = {}
for _row in _CALLS:
    for _function in _row.functions:
        _ROWS.setdefault(_function, []).append(_row)
_ROWS_OF_FILES = tuple(row for row in _CALLS if not row.functions)
_NATIVE_CALLS = {
    "_pickle_load": Pattern(Advice.UNPICKLE, "pickle.load"),
    "_pickle_loads": Pattern(Advice.UNPICKLE, "pickle.loads"),
    "_pickle_Unpickler_load": Pattern(Advice.UNPICKLE, "Unpickler.load"),
    "_pickle_dumps": Pattern(Advice.WHOLE_PICKLE, "pickle.dumps"),
    "_pickle_dumps_impl": Pattern(Advice.WHOLE_PICKLE, "pickle.dumps"),
}
# What stays of such a call is one block.
OF_ONE_BLOCK = (
    "Path.read_text",
    "Path.read_bytes",
    "numpy.load",
    "json.dumps",
    "JSONEncoder.encode",
    "yaml.dump",
    "yaml.safe_dump",
    "yaml.dump_all",
    "pickle.dumps",
)
_NATIVE_FETCHES = ("_fetchall", "_fetchall_impl")
_IMPORTER = ("_find_and_load", "<frozen importlib._bootstrap>")
_IMPORT = "import"  # no module has that name
_ROOTS = re.compile(r"(site|dist)-packages|python3(\.\d+)?t?|lib-dynload")


class TellingCalls:
    """Finds the outermost telling call among the frames between a charged line and its stacks.

    It explains those within it; but what maps a file has read nothing, whoever called it. Each
    frame is judged once, though many stacks go through it.
    """

    def __init__(self, tree: StackTree, charged: Sequence[int]) -> None:
        """Judge stacks of ``tree``; ``charged`` has, for each node, the frame that is charged."""
        self._tree = tree
        self._charged = charged
        self._told: dict[int, Pattern | str | None] = {}

    def of(self, node: int, *, stayed: bool) -> Pattern | None:
        """Return what the stack of ``node`` tells; ``stayed`` if its bytes were not freed again."""
        frame_ids, parents, known = self._tree.frame_ids, self._tree.parents, self._told
        charged, module = self._charged[node], ""
        found: Pattern | None = None
        while (frame_id := frame_ids[node]) != charged:
            told = known[frame_id] if frame_id in known else self._judge(frame_id)
            if told is not None:  # few frames tell anything
                if told == _IMPORT:
                    found = Pattern(Advice.IMPORT, module) if module else None
                elif isinstance(told, str):
                    module = told
                elif found is None or found.advice is not Advice.MAPPED_FILE:
                    found = told if stayed or told.advice is not Advice.FIGURES else found
            node = parents[node]
        return found

    def _judge(self, frame_id: int) -> Pattern | str | None:
        """Return the call that a frame is; the name of the module whose code it runs; _IMPORT."""
        frame = self._tree.frames[frame_id]
        told: Pattern | str | None
        if (frame.function, frame.filename) == _IMPORTER:
            told = _IMPORT
        elif frame.function == "<module>":
            told = module_name(frame.filename, self._files)
        else:
            told = _native_call(frame) or _call(frame)
        self._told[frame_id] = told
        return told

    @cached_property
    def _files(self) -> Collection[str]:
        """The files of all frames, which tell which directories are packages."""
        return {frame.filename for frame in self._tree.frames}


def _native_call(frame: Frame) -> Pattern | None:
    if frame.origin is Origin.NATIVE:
        # OpenBLAS allocates nothing but its buffers.
        if "openblas" in frame.filename.rpartition("/")[2]:
            return Pattern(Advice.BLAS_BUFFERS, "OpenBLAS")
        if frame.function.endswith(_NATIVE_FETCHES):
            return Pattern(Advice.ALL_ROWS, "fetchall")
    return _NATIVE_CALLS.get(frame.function)


def _call(frame: Frame) -> Pattern | None:
    if frame.function == "fetchall" and frame.origin in (Origin.LIBRARY, Origin.STDLIB):
        return Pattern(Advice.ALL_ROWS, "fetchall")
    for row in (*_ROWS.get(frame.function, ()), *_ROWS_OF_FILES):
        if frame.filename.endswith(row.file_end):
            return Pattern(row.advice, row.call.format(frame.function))
    return None


def module_name(filename: str, known_files: Collection[str] = ()) -> str:
    """Return the full dotted name of the module in ``filename``.

    It begins below a directory of packages. In any other place, the directories above that have an
    ``__init__.py`` among ``known_files`` belong to it.
    """
    if filename.startswith("<frozen "):
        return filename.removeprefix("<frozen ").removesuffix(">")
    path = PurePath(filename)
    parents = path.parent.parts
    roots = [place for place, part in enumerate(parents) if _ROOTS.fullmatch(part)]
    if roots:
        begin = roots[-1] + 1
    else:
        begin = len(parents)
        while begin > 0 and str(PurePath(*parents[:begin], "__init__.py")) in known_files:
            begin -= 1
    own = () if path.stem == "__init__" else (path.name.split(".")[0],)
    return ".".join((*parents[begin:], *own))


_POOLS = (
    (Advice.ARROW_POOL, re.compile(r"libarrow[_.]")),
    (Advice.POLARS_POOL, re.compile(r"_?polars")),
)
_POOL_CALLS = re.compile(r"_?mi_\w+|_rjem_\w+|je_\w+|.*(Mimalloc|Jemalloc)Allocator.*")


def pool(called: Sequence[Frame]) -> Advice | None:
    """Find the library in whose own pool the bytes of a stack lie."""
    for frame in called:
        if frame.origin is Origin.NATIVE and _POOL_CALLS.match(frame.function):
            name = PurePath(frame.filename).name
            return next((advice for advice, file in _POOLS if file.match(name)), None)
    return None


# The functions of CPython that make a container larger when something is put into it.
_GROWTH_OF_CONTAINERS = {
    "list_resize": "list",
    "dictresize": "dict",
    "insertion_resize": "dict",
    "set_table_resize": "set",
    "PyByteArray_Resize": "bytearray",
    "array_resize": "array",
    "resize_buffer": "BytesIO",
    "_PyBytes_Resize": "BytesIO",  # called by its getvalue, which hands out the very buffer
}
_LIBRARY = re.compile(r"(^|/)(site|dist)-packages/")  # numpy has an array_resize of its own
_TEXT = ("_io_StringIO", "stringio_")  # has a resize_buffer, too
_BYTES = "_io_BytesIO"  # others resize bytes, too
# bytearray(size) goes through the same function as one that grows.
_MADE_AT_ITS_SIZE = "bytearray___init__"


# Those that make a container at its size.
_NEW_CONTAINERS = {"list_new_prealloc": "list", "PyList_New": "list", "newarrayobject": "array"}
_ROOMS = {**_GROWTH_OF_CONTAINERS, **_NEW_CONTAINERS}


def container(own: Sequence[Frame]) -> tuple[str, str] | None:
    """Find the container that made room, and the function of CPython, innermost frame first."""
    if any(frame.function.startswith(_MADE_AT_ITS_SIZE) for frame in own):
        return None
    found = room(own)
    return None if found is None or found[1] in _NEW_CONTAINERS else found


def room(own: Sequence[Frame]) -> tuple[str, str] | None:
    """Find the container whose room was made, as it grew or at once; innermost frame first."""
    makers = [frame.function for frame in own if makes_room(frame)]
    if makers[:1] == ["_PyBytes_Resize"] and (len(makers) > 1 or not _is_within(own, _BYTES)):
        makers = makers[1:]
    if not makers:
        return None
    return "StringIO" if _is_within(own, _TEXT) else _ROOMS[makers[0]], makers[0]


def makes_room(frame: Frame) -> bool:
    """Tell whether a function of CPython may be making room for what is in a container."""
    return frame.function in _ROOMS and not _LIBRARY.search(frame.filename)


def _is_within(own: Sequence[Frame], functions: str | tuple[str, ...]) -> bool:
    return any(caller.function.startswith(functions) for caller in own)


# PyUnicode_Append is none of them: it makes room behind the text where nobody else has that.
_COPIES = {
    "array_concatenate": "np.concatenate",
    "PyUnicode_Concat": "str +",
    "bytes_concat": "bytes +",
    "list_concat": "list +",
}
_JOINERS = ("append", "_append", "column_stack", "concat", "concatenate", "hstack", "vstack")


def joined(called: Sequence[Frame]) -> str | None:
    """Return what joined two values into a new one, if the line itself asked for that."""
    code = next((frame for frame in called if frame.origin is not Origin.NATIVE), None)
    if code is not None and code.function not in _JOINERS:
        return None
    made = next((_COPIES[f.function] for f in called if f.function in _COPIES), None)
    return made if made is None or code is None else code.function


# Python/pystate.c and Objects/frameobject.c; a traced call has a frame object, too.
FRAME_CHUNK_MAKERS = frozenset(
    (
        "allocate_chunk",
        "push_chunk",
        "_PyThreadState_PushFrame",
        "_PyThreadState_BumpFramePointerSlow",
    )
)
_FRAME_MAKERS = FRAME_CHUNK_MAKERS | {"_PyFrame_New_NoTrack", "_PyFrame_MakeAndSetFrameObject"}


def is_for_frames(own: Sequence[Frame]) -> bool:
    """Tell whether native frames asked for room for the frames of Python calls."""
    return any(frame.function in _FRAME_MAKERS for frame in own)


_BOUNDED_CALL = "bounded_lru_cache_wrapper"


def is_cached_call(frame: Frame) -> bool:
    """Tell whether ``frame`` calls a function whose results functools keeps."""
    return frame.function in ("infinite_lru_cache_wrapper", _BOUNDED_CALL)


def is_bounded_call(frame: Frame) -> bool:
    """Tell whether ``frame`` calls a function of whose results functools keeps so many only."""
    return frame.function == _BOUNDED_CALL
