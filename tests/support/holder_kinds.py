"""Kinds of holders: code that plants each, and the words that a reader of it would name it by.

``LOAD`` stands for a call that makes the memory. Line numbers are left out of the names. A name of
"" stands for a holder that nobody can name.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

LOAD = "LOAD"


@dataclass(frozen=True)
class Kind:
    """A way to hold memory: ``code`` of a module's level, and the expected ``path`` to it."""

    name: str
    path: str
    code: str
    since: tuple[int, int] = (3, 10)
    needs: str = ""

    @property
    def is_there(self) -> bool:
        """Tell whether this Python has it."""
        return sys.version_info >= self.since


START = """
import abc, array, asyncio, atexit, collections, concurrent.futures, contextvars, ctypes
import csv, dataclasses, datetime, enum, functools, gc, io, itertools, json, logging
import logging.handlers, mmap, operator, queue, re, sqlite3, sys, threading, types, typing
import weakref, xml.etree.ElementTree
import memdeep

addresses, waits, ready = {}, threading.Event(), []

def load(kind, make=bytearray):
    made = make(1_000_000)
    addresses[kind] = id(made)
    return made

def start(target, *args):
    is_up = threading.Event()
    thread = threading.Thread(target=target, args=(is_up, *args), daemon=True)
    thread.start()
    is_up.wait()

class Plain:
    pass

class Weak(bytearray):
    pass
"""

LOOK = """
memdeep.checkpoint("planted")
"""

END = """
with open("addresses.json", "w") as file:
    json.dump(addresses, file)

"""

KINDS = (
    Kind("global", "__main__.cache['BTC']", "cache = {'BTC': LOAD}"),
    Kind("nested", "__main__.nested[('a', 1)][2]['x']", "nested = {('a', 1): (0, 1, {'x': LOAD})}"),
    Kind(
        "other_module",
        "planted_helper.state['x']",
        "sys.modules['planted_helper'] = types.ModuleType('planted_helper')\n"
        "sys.modules['planted_helper'].state = {'x': LOAD}",
    ),
    Kind("class", "__main__.Settings.rows", "class Settings: rows = LOAD"),
    Kind(
        "registry",
        "__main__.Registry.known['x']",
        "class Registry(abc.ABC): known = {}\nRegistry.known['x'] = LOAD",
    ),
    Kind("instance", "__main__.service.rows", "service = Plain(); service.rows = LOAD"),
    Kind(
        "instance_dict",
        "__main__.crowded.held",
        "crowded = Plain()\nfor n in range(100): setattr(crowded, f'a{n}', n)\ncrowded.held = LOAD",
    ),
    Kind(
        "closure",
        "__main__.counter.<locals>.step.__closure__[0].cell_contents",
        "def counter():\n    held = LOAD\n    def step(): return held\n    return step\n"
        "step = counter()",
    ),
    Kind("cell", "__main__.bare.cell_contents", "bare = types.CellType(LOAD)"),
    Kind(
        "defaults",
        "__main__.with_default.__defaults__[0]",
        "def with_default(held=LOAD): pass",
    ),
    Kind(
        "kwdefaults",
        "__main__.with_keyword.__kwdefaults__['held']",
        "def with_keyword(*, held=LOAD): pass",
    ),
    Kind("function_attribute", "__main__.marked.rows", "def marked(): pass\nmarked.rows = LOAD"),
    Kind("partial", "__main__.partial.args[0]", "partial = functools.partial(print, LOAD)"),
    Kind(
        "partial_keyword",
        "__main__.partial_too.keywords['file']",
        "partial_too = functools.partial(print, file=LOAD)",
    ),
    Kind(
        "bound_method",
        "__main__.on_event.__self__.rows",
        "on_event = Plain(); on_event.rows = LOAD\non_event = Plain.__repr__.__get__(on_event)",
    ),
    Kind(
        "method_of_python",
        "__main__.on_start.__self__.rows",
        "class Starts:\n    def go(self): pass\n"
        "on_start = Starts(); on_start.rows = LOAD\non_start = on_start.go",
    ),
    Kind("method_of_c", "__main__.append.__self__[0]", "append = [LOAD].append"),
    Kind(
        "cached_property",
        "__main__.lazy.rows",
        "class Lazy:\n    @functools.cached_property\n    def rows(self): return LOAD\n"
        "lazy = Lazy(); lazy.rows",
    ),
    Kind(
        "cache",
        "unbounded lru_cache of __main__.endless[1]",
        "@functools.lru_cache(None)\ndef endless(n): return LOAD\nendless(1)",
    ),
    Kind(
        "lru_cache",
        "lru_cache of __main__.features['BTC']",
        "@functools.lru_cache\ndef features(name): return LOAD\nfeatures('BTC')",
    ),
    Kind(
        "lru_cache_of_two",
        "lru_cache of __main__.features_of[('BTC', 2)]",
        "@functools.lru_cache(8)\ndef features_of(name, n): return LOAD\nfeatures_of('BTC', 2)",
    ),
    Kind(
        "lru_cache_of_method",
        "lru_cache of __main__.Model.predict[(<__main__.Model>, 3)]",
        "class Model:\n    @functools.lru_cache\n    def predict(self, n): return LOAD\n"
        "Model().predict(3)",
    ),
    Kind(
        "lru_cache_holds_self",
        "lru_cache of __main__.Learner.fit key[0].rows",
        "class Learner:\n    def __init__(self): self.rows = LOAD\n"
        "    @functools.lru_cache\n    def fit(self, n): return n\nLearner().fit(3)",
    ),
    Kind(
        "weak_keys",
        "__main__.weak_keys.data[<weakref to __main__.Plain>]",
        "weak_key = Plain(); weak_keys = weakref.WeakKeyDictionary(); weak_keys[weak_key] = LOAD",
    ),
    Kind(
        "weakref_callback",
        "__main__.watcher.__callback__.args[0]",
        "watched = Plain(); watcher = weakref.ref(watched, functools.partial(print, LOAD))",
    ),
    Kind(
        "finalizer",
        "weakref.finalize._registry[<weakref.finalize>].args[0]",
        "finalized = Plain(); weakref.finalize(finalized, print, LOAD)",
    ),
    Kind(
        "weak_values",
        "__main__.only_strong[0]",
        "weak_values = weakref.WeakValueDictionary()\nonly_strong = [load('weak_values', Weak)]\n"
        "weak_values['x'] = only_strong[0]",
    ),
    Kind(
        "logged_exception",
        "__main__.memory_handler.buffer[0].exc_info[2].tb_next.tb_frame "
        "fails_logged() at job.py:N local 'held'",
        "memory_handler = logging.handlers.MemoryHandler(1000, logging.CRITICAL + 1)\n"
        "logger = logging.getLogger('planted'); logger.propagate = False\n"
        "logger.addHandler(memory_handler)\n"
        "def fails_logged():\n    held = LOAD\n    raise ValueError\n"
        "try: fails_logged()\nexcept ValueError: logger.exception('failed')",
    ),
    Kind(
        "logged_argument",
        "__main__.handler_too.buffer[0].args[0]",
        "handler_too = logging.handlers.MemoryHandler(1000, logging.CRITICAL + 1)\n"
        "logger_too = logging.getLogger('planted_too'); logger_too.propagate = False\n"
        "logger_too.addHandler(handler_too)\nlogger_too.error('%s %s', LOAD, 1)",
    ),
    Kind(
        "exception",
        "__main__.failures[0].__traceback__.tb_next.tb_frame fails() at job.py:N local 'held'",
        "failures = []\ndef fails():\n    held = LOAD\n    raise ValueError\n"
        "try: fails()\nexcept ValueError as error: failures.append(error)",
    ),
    Kind(
        "exception_argument",
        "__main__.failure_with_argument.args[1]",
        "failure_with_argument = ValueError('much', LOAD)",
    ),
    Kind(
        "exception_attribute",
        "__main__.failure_with_attribute.rows",
        "failure_with_attribute = ValueError('much'); failure_with_attribute.rows = LOAD",
    ),
    Kind(
        "context",
        "__main__.contexts[0].__context__.__traceback__.tb_next.tb_frame "
        "fails_first() at job.py:N local 'held'",
        "contexts = []\ndef fails_first():\n    held = LOAD\n    raise KeyError\n"
        "def fails_next():\n    try: fails_first()\n    except KeyError: raise ValueError\n"
        "try: fails_next()\nexcept ValueError as error: contexts.append(error)",
    ),
    Kind(
        "cause",
        "__main__.causes[0].__cause__.__traceback__.tb_next.tb_frame "
        "fails_before() at job.py:N local 'held'",
        "causes = []\ndef fails_before():\n    held = LOAD\n    raise KeyError\n"
        "def fails_after():\n    try: fails_before()\n"
        "    except KeyError as error: raise ValueError from error\n"
        "try: fails_after()\nexcept ValueError as error: causes.append(error)",
    ),
    Kind(
        "exception_group",
        "__main__.group.exceptions[1].__traceback__.tb_next.tb_frame "
        "fails_grouped() at job.py:N local 'held'",
        "def fails_grouped():\n    held = LOAD\n    raise ValueError\n"
        "try: fails_grouped()\n"
        "except ValueError as error: group = ExceptionGroup('two', [KeyError(), error])",
        since=(3, 11),
    ),
    Kind(
        "generator",
        "suspended generator steps() local 'held'",
        "def steps():\n    held = LOAD\n    yield held\n    yield held\n"
        "stepper = steps(); next(stepper)",
    ),
    Kind(
        "generator_expression",
        "suspended generator <genexpr>() local '.0' → <bytearray>",
        "squares = (n for n in LOAD); next(squares)",
    ),
    Kind(
        "coroutine",
        "suspended coroutine fetches() local 'held'",
        "class Stops:\n    def __await__(self): yield\n"
        "async def fetches():\n    held = LOAD\n    await Stops()\n    return held\n"
        "fetching = fetches(); fetching.send(None); atexit.register(fetching.close)",
    ),
    Kind(
        "coroutine_temporary",
        "suspended coroutine computes() → <bytearray>",
        "class Pauses:\n    def __await__(self): yield\n"
        "async def computes(): return (LOAD, await Pauses())\n"
        "computing = computes(); computing.send(None); atexit.register(computing.close)",
    ),
    Kind(
        "async_generator",
        "suspended asynchronous generator ticks() local 'held'",
        "async def ticks():\n    held = LOAD\n    yield held\n    yield held\n"
        "ticking = ticks()\ntry: ticking.__anext__().send(None)\nexcept StopIteration: pass",
    ),
    Kind(
        "task",
        "suspended coroutine serves() local 'held'",
        "loop = asyncio.new_event_loop()\n"
        "async def serves():\n    held = LOAD\n    await asyncio.sleep(1000)\n    return held\n"
        "serving = loop.create_task(serves())\nloop.run_until_complete(asyncio.sleep(0))\n"
        "loop.run_until_complete(asyncio.sleep(0))",
    ),
    Kind(
        "task_result",
        "__main__.done_task._result",
        "result_loop = asyncio.new_event_loop()\nasync def gives(): return LOAD\n"
        "done_task = result_loop.create_task(gives())\n"
        "result_loop.run_until_complete(asyncio.sleep(0))",
    ),
    Kind(
        "task_exception",
        "__main__.failed_task._exception.__traceback__.tb_frame breaks() at job.py:N local 'held'",
        "failed_loop = asyncio.new_event_loop()\n"
        "async def breaks():\n    held = LOAD\n    raise ValueError\n"
        "failed_task = failed_loop.create_task(breaks())\n"
        "failed_loop.run_until_complete(asyncio.sleep(0))\nfailed_task.exception()",
    ),
    Kind(
        "future",
        "__main__.pooled._result",
        "pooled = concurrent.futures.Future(); pooled.set_result(LOAD)",
    ),
    Kind(
        "scheduled",
        "__main__.later_loop._scheduled[0]._args[0]",
        "later_loop = asyncio.new_event_loop(); later_loop.call_later(1000, print, LOAD)",
    ),
    Kind(
        "async_queue",
        "__main__.async_queue._queue[0]",
        "async_queue = asyncio.Queue(); async_queue.put_nowait(LOAD)",
    ),
    Kind(
        "context_of_task",
        "__main__.scoped_task → context variable 'scoped'",
        "scoped_loop = asyncio.new_event_loop(); scoped_of = contextvars.ContextVar('scoped')\n"
        "async def scopes():\n    scoped_of.set(LOAD)\n    await asyncio.sleep(1000)\n"
        "scoped_task = scoped_loop.create_task(scopes())\n"
        "scoped_loop.run_until_complete(asyncio.sleep(0))",
    ),
    Kind(
        "gathered",
        "__main__.gathering._result[1]",
        "gather_loop = asyncio.new_event_loop()\n"
        "async def finds():\n    async def one(): return LOAD\n"
        "    found = asyncio.gather(asyncio.sleep(0), one())\n    await found\n    return found\n"
        "gathering = gather_loop.run_until_complete(finds())",
    ),
    Kind(
        "contextvar",
        "context variable 'request'",
        "request_of = contextvars.ContextVar('request'); request_of.set(LOAD)",
    ),
    Kind(
        "context_copy",
        "__main__.copied variable 'stored'",
        "def copied_context():\n    stored_in = contextvars.ContextVar('stored')\n"
        "    found = contextvars.Context()\n    found.run(stored_in.set, LOAD)\n    return found\n"
        "copied = copied_context()",
    ),
    Kind(
        "contextvar_default",
        "__main__.with_fallback → <bytearray>",
        "with_fallback = contextvars.ContextVar('fallback', default=LOAD)",
    ),
    Kind(
        "thread_argument",
        "works_on() at job.py:N local 'rows'",
        "def works_on(is_up, rows):\n    is_up.set()\n    waits.wait()\nstart(works_on, LOAD)",
    ),
    Kind(
        "thread_not_started",
        "__main__.idle._args[0]",
        "idle = threading.Thread(target=print, args=(LOAD,))",
    ),
    Kind(
        "thread_target",
        "__main__.worker._target.args[1]",
        "def works(is_up, rows):\n    del rows\n    is_up.set()\n    waits.wait()\n"
        "up = threading.Event()\n"
        "worker = threading.Thread(target=functools.partial(works, up, LOAD), daemon=True)\n"
        "worker.start(); up.wait()",
    ),
    Kind(
        "thread_local",
        "__main__.local.scratch",
        "local = threading.local()\n"
        "def scribbles(is_up):\n    local.scratch = LOAD\n    is_up.set()\n    waits.wait()\n"
        "start(scribbles)",
    ),
    Kind(
        "own_thread_local",
        "__main__.own_local.rows",
        "own_local = threading.local(); own_local.rows = LOAD",
    ),
    Kind(
        "thread_local_of_a_class",
        "__main__.scoped_local.rows",
        "class Scope(threading.local):\n    def __init__(self): self.rows = None\n"
        "scoped_local = Scope()\n"
        "def fills(is_up):\n    scoped_local.rows = LOAD\n    is_up.set()\n    waits.wait()\n"
        "start(fills)",
    ),
    Kind(
        "singledispatch",
        "__main__.shows.<locals>.go.__defaults__[0]",
        "def shows():\n    def go(one, held=LOAD): pass\n    return functools.singledispatch(go)\n"
        "showing = shows()",
    ),
    Kind(
        "thread_frame",
        "counts() at job.py:N local 'held'",
        "def counts(is_up):\n    held = LOAD\n    is_up.set()\n    waits.wait()\nstart(counts)",
    ),
    Kind("queue", "__main__.jobs.queue[1]", "jobs = queue.Queue(); jobs.put(0); jobs.put(LOAD)"),
    Kind(
        "simple_queue",
        "__main__.simple_jobs → " + ("<bytearray>" if sys.version_info >= (3, 13) else "<list>[0]"),
        "simple_jobs = queue.SimpleQueue(); simple_jobs.put(LOAD)",
    ),
    Kind(
        "priority_queue",
        "__main__.ranked.queue[0][1]",
        "ranked = queue.PriorityQueue(); ranked.put((1, LOAD))",
    ),
    Kind(
        "deque",
        "__main__.recent[150]",
        "recent = collections.deque(range(200)); recent[150] = LOAD",
    ),
    Kind(
        "ordered",
        "__main__.ordered['x']",
        "ordered = collections.OrderedDict(); ordered['x'] = LOAD",
    ),
    Kind(
        "defaultdict",
        "__main__.grouped['x'][0]",
        "grouped = collections.defaultdict(list); grouped['x'].append(LOAD)",
    ),
    Kind(
        "default_factory",
        "__main__.filled.default_factory.args[0]",
        "filled = collections.defaultdict(functools.partial(print, LOAD))",
    ),
    Kind(
        "chain_map",
        "__main__.chained_maps.maps[1]['x']",
        "chained_maps = collections.ChainMap({}, {'x': LOAD})",
    ),
    Kind(
        "user_dict",
        "__main__.user_dict.data['x']",
        "user_dict = collections.UserDict(); user_dict['x'] = LOAD",
    ),
    Kind(
        "set",
        "__main__.members → <__main__.Plain>.rows",
        "members = {Plain()}\nfor member in members: member.rows = LOAD\ndel member",
    ),
    Kind("list_subclass", "__main__.stack[0]", "class Stack(list): pass\nstack = Stack([LOAD])"),
    Kind(
        "attribute_of_list_subclass",
        "__main__.stack_too.rows",
        "class StackToo(list): pass\nstack_too = StackToo(); stack_too.rows = LOAD",
    ),
    Kind(
        "dict_subclass",
        "__main__.tree['x']",
        "class Tree(dict): pass\ntree = Tree(x=LOAD)",
    ),
    Kind(
        "dict_key",
        "__main__.by_rows key[0].rows",
        "by_rows = {(Plain(), 2): 1}\nfor key in by_rows: key[0].rows = LOAD\ndel key",
    ),
    Kind("proxy", "__main__.proxy['x']", "proxy = types.MappingProxyType({'x': LOAD})"),
    Kind("values", "__main__.values.mapping['x']", "values = {'x': LOAD}.values()"),
    Kind("namespace", "__main__.space.rows", "space = types.SimpleNamespace(rows=LOAD)"),
    Kind(
        "slots",
        "__main__.slotted.rows",
        "class Slotted: __slots__ = ('rows',)\nslotted = Slotted(); slotted.rows = LOAD",
    ),
    Kind(
        "property",
        "__main__.make_property.<locals>.getter.__closure__[0].cell_contents",
        "def make_property():\n    held = LOAD\n    def getter(self): return held\n"
        "    return property(getter)\nclass Config: rows = make_property()",
    ),
    Kind(
        "descriptor",
        "__main__.Column.field.default",
        "class Field: pass\nclass Column: field = Field()\nColumn.field.default = LOAD",
    ),
    Kind(
        "static_method",
        "__main__.Tools.go.args[0]",
        "class Tools: go = staticmethod(functools.partial(print, LOAD))",
    ),
    Kind(
        "namedtuple",
        "__main__.point.rows",
        "point = collections.namedtuple('Point', 'at rows')(1, LOAD)",
    ),
    Kind(
        "typed_namedtuple",
        "__main__.points[0].rows",
        "class Pair(typing.NamedTuple):\n    at: int\n    rows: object\npoints = [Pair(1, LOAD)]",
    ),
    Kind(
        "dataclass",
        "__main__.record.rows",
        "@dataclasses.dataclass(frozen=True)\nclass Record: rows: object\nrecord = Record(LOAD)",
    ),
    Kind(
        "slotted_dataclass",
        "__main__.row.rows",
        "@dataclasses.dataclass(slots=True)\nclass Row: rows: object\nrow = Row(LOAD)",
    ),
    Kind(
        "chain",
        "__main__.chained → <list_iterator> → <list>[1]",
        "chained = itertools.chain([0, LOAD], ()); next(chained)",
    ),
    Kind(
        "tee",
        "__main__.right → <itertools._tee_dataobject> → <bytearray>",
        "left, right = itertools.tee([LOAD, 1]); next(left); del left",
    ),
    Kind("map", "__main__.mapped → <tuple>[0] → <list>[1]", "mapped = map(str, [0, LOAD])"),
    Kind(
        "enumerate",
        "__main__.numbered → <list_iterator> → <list>[1]",
        "numbered = enumerate([0, LOAD])",
    ),
    Kind("slice", "__main__.window.stop", "window = slice(0, LOAD)"),
    Kind(
        "getter",
        f"__main__.getter → <tuple>[{int(sys.version_info[:2] == (3, 13))}]",
        "getter = operator.methodcaller('go', LOAD)",
    ),
    Kind("view", "__main__.view.obj", "view = memoryview(LOAD)[10:]"),
    Kind(
        "array", "__main__.numbers", "numbers = load('array', lambda n: array.array('b', bytes(n)))"
    ),
    Kind(
        "bytes_io",
        "__main__.bytes_io",
        "bytes_io = load('bytes_io', lambda n: io.BytesIO(bytes(n)))",
    ),
    Kind(
        "string_io",
        "__main__.string_io",
        "string_io = load('string_io', lambda n: io.StringIO('x' * n)); string_io.read(1)",
    ),
    Kind(
        "buffered",
        "__main__.buffered.raw.rows",
        "class Raw(io.RawIOBase):\n    def readable(self): return True\n"
        "raw = Raw(); raw.rows = LOAD\nbuffered = io.BufferedReader(raw); del raw",
    ),
    Kind(
        "mmap", "__main__.mapped_memory", "mapped_memory = load('mmap', lambda n: mmap.mmap(-1, n))"
    ),
    Kind(
        "mmap_in_list",
        "__main__.maps[0]",
        "maps = [load('mmap_in_list', lambda n: mmap.mmap(-1, n))]",
    ),
    Kind(
        "ctypes",
        "__main__.foreign['x']",
        "foreign = {'x': load('ctypes', ctypes.create_string_buffer)}",
    ),
    Kind(
        "ctypes_reference",
        "__main__.pointer._objects['1'].rows",
        "class Struct(ctypes.Structure): _fields_ = [('a', ctypes.c_int)]\n"
        "struct = Struct(); struct.rows = LOAD; pointer = ctypes.pointer(struct); del struct",
    ),
    Kind(
        "element_text",
        "__main__.document[0].text",
        "document = xml.etree.ElementTree.Element('a')\n"
        "xml.etree.ElementTree.SubElement(document, 'b').text = LOAD",
    ),
    Kind(
        "element_attribute",
        "__main__.element.attrib['x']",
        "element = xml.etree.ElementTree.Element('a', x=LOAD)",
    ),
    Kind(
        "sqlite_row",
        "__main__.fetched[0]",
        "connection = sqlite3.connect(':memory:'); connection.row_factory = sqlite3.Row\n"
        "fetched = connection.execute('select zeroblob(1000000)').fetchone()\n"
        "addresses['sqlite_row'] = id(fetched[0])",
    ),
    Kind("match", "__main__.match.string", "match = re.match(b'', LOAD)"),
    Kind(
        "session",
        "__main__.session.new → <__main__.Entity>.rows",
        "class Entity: pass\nclass Session:\n    def __init__(self):\n"
        "        self.identity_map = weakref.WeakValueDictionary(); self.new = set()\n"
        "    def add(self, one):\n        self.new.add(one); self.identity_map[id(one)] = one\n"
        "session = Session(); entity = Entity(); entity.rows = LOAD\n"
        "session.add(entity); del entity",
    ),
    Kind(
        "enumerated",
        "__main__.by_side[__main__.Side.BUY]",
        "class Side(enum.Enum): BUY = 1\nby_side = {Side.BUY: LOAD}",
    ),
    Kind("class_key", "__main__.by_type[__main__.Plain]", "by_type = {Plain: LOAD}"),
    Kind("function_key", "__main__.by_function[__main__.load]", "by_function = {load: LOAD}"),
    Kind(
        "date",
        "__main__.by_day[datetime.date(2024, 1, 2)]",
        "by_day = {datetime.date(2024, 1, 2): LOAD}",
    ),
    Kind(
        "moment",
        "__main__.by_moment[datetime.datetime(2024, 1, 2, 3, 4)]",
        "by_moment = {datetime.datetime(2024, 1, 2, 3, 4): LOAD}",
    ),
    Kind(
        "moment_of_a_zone",
        "__main__.by_instant[<datetime.datetime>]",
        "by_instant = {datetime.datetime.now(datetime.timezone.utc): LOAD}",
    ),
    Kind("timer", "__main__.timer.args[0]", "timer = threading.Timer(1000, print, (LOAD,))"),
    Kind(
        "csv_reader",
        "suspended generator lines() local 'held'",
        "def lines():\n    held = LOAD\n    yield 'a'\n    yield held\n"
        "reader = csv.reader(lines()); next(reader)",
    ),
    Kind("generic_alias", "__main__.alias.__args__[0]", "alias = list[LOAD]"),
    Kind(
        "held_by_c",
        "<list>[0]",
        "only_c = [LOAD]; ctypes.pythonapi.Py_IncRef(ctypes.py_object(only_c)); del only_c",
    ),
    Kind(
        "at_exit",
        ("<list>[0][0]" if sys.version_info >= (3, 14) else "<functools.partial>") + ".args[0]",
        "atexit.register(functools.partial(id, LOAD))",
    ),
)

# The program looks from within all of these.
RUNNING = (
    Kind(
        "coroutine_that_runs",
        "serves() at job.py:N local 'held'",
        "async def serves():\n    held = LOAD\n    task = asyncio.create_task(waits_for())\n"
        "    await asyncio.sleep(0)\n    pending = asyncio.Queue(); pending.put_nowait("
        "load('queue_of_coroutine'))\n    handles()\n    task.cancel()",
    ),
    Kind("queue_of_coroutine", "serves() at job.py:N local 'pending'._queue[0]", ""),
    Kind(
        "task_of_loop",
        "suspended coroutine waits_for() local 'held'",
        "async def waits_for():\n    held = LOAD\n    await asyncio.sleep(1000)\n    return held",
    ),
    Kind(
        "exception_in_hand",
        (
            "handles() at job.py:N local 'error'.__traceback__"
            if sys.version_info >= (3, 11)
            else "running coroutine serves() → <traceback>"
        )
        + ".tb_next.tb_frame falls() at job.py:N local 'held'",
        "def falls():\n    held = LOAD\n    raise ValueError\n"
        "def handles():\n    try: falls()\n    except ValueError as error:\n"
        "        for _ in gives(): pass",
    ),
    Kind(
        "generator_that_runs",
        "gives() at job.py:N local 'held'",
        "def gives():\n    held = LOAD\n    memdeep.checkpoint('planted')\n    yield held",
    ),
    Kind(
        "global_beside",
        "__main__.asyncio_rows[0]",
        "asyncio_rows = [LOAD]\nasyncio.run(serves())",
    ),
)

ORM_START = """
import json
import memdeep
from sqlalchemy import LargeBinary, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

addresses = {}

def load(kind):
    made = bytes(4_000_000)
    addresses[kind] = id(made)
    return made

class Base(DeclarativeBase): pass

class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    rows: Mapped[bytes] = mapped_column(LargeBinary)

engine = create_engine("sqlite://")
Base.metadata.create_all(engine)
"""

ORM = (
    Kind(
        "new_in_session",
        "__main__.pending._new[<sqlalchemy.orm.state.InstanceState>].rows",
        "pending = Session(engine); pending.add(Order(id=1, rows=LOAD))",
    ),
    Kind(
        "dirty_in_session",
        "__main__.dirty.identity_map._dict[(__main__.Order, (2,), None)]._strong_obj.rows",
        "dirty = Session(engine); dirty.add(Order(id=2, rows=b'')); dirty.commit()\n"
        "for one in dirty.query(Order): one.rows = LOAD\ndel one",
    ),
)

ARRAYS_START = """
import json, sys
import memdeep
import numpy, pandas

addresses = {}

def load(kind, make=bytearray):
    made = make(4_000_000)
    addresses[kind] = id(made)
    return made
"""

ARRAYS = (
    Kind("ndarray", "__main__.table['x']", "table = {'x': load('ndarray', numpy.zeros)}"),
    Kind("view_of_array", "__main__.part.base", "part = load('view_of_array', numpy.zeros)[1:]"),
    Kind("view_of_bytes", "__main__.read.base.obj", "read = numpy.frombuffer(LOAD)"),
    Kind(
        "array_of_objects",
        "__main__.boxes.flat[1]",
        "boxes = numpy.array([None, None], dtype=object); boxes[1] = LOAD",
    ),
    Kind(
        "array_of_arrays",
        "__main__.grid.flat[5]['x']",
        "grid = numpy.empty((2, 3), dtype=object); grid[1, 2] = {'x': LOAD}",
    ),
    Kind(
        "array_subclass",
        "__main__.masked._mask",
        "masked = numpy.ma.masked_array(numpy.zeros(1), mask=[True])\n"
        "masked = numpy.ma.masked_array(numpy.zeros(4_000_000, 'b'), numpy.zeros(4_000_000, 'b'))\n"
        "addresses['array_subclass'] = id(masked._mask)",
    ),
    Kind(
        "frame_in_closure",
        "__main__.reads.<locals>.use.__closure__[0].cell_contents._mgr.blocks[0].values.flat[0]",
        "def reads():\n    held = pandas.DataFrame({'x': pandas.Series([LOAD], dtype=object)})\n"
        "    def use(): return held\n    return use\nuse = reads()",
    ),
    Kind(
        "frame",
        "__main__.prices._mgr.blocks[0].values",
        "prices = pandas.DataFrame({'x': numpy.zeros(500_000)})\n"
        "addresses['frame'] = id(prices._mgr.blocks[0].values)",
    ),
    Kind(
        "index",
        "__main__.dated._mgr.axes[0]._data",
        "dated = pandas.Series(0, index=pandas.Index([1.5] * 500_000))\n"
        "addresses['index'] = id(dated.index._data)",
    ),
)
