// Names objects, and the steps from one to the next, in Python's words. Runs in the forked child: of
// Python's functions only those that are C all the way.

#pragma once

#include <initializer_list>

#include "heap_walk.hpp"

namespace memdeep {

struct Text {
  Mapped<char> characters;

  void add(const char* words, size_t length) {
    for (size_t at = 0; at < length; at++) characters.push(words[at]);
  }
  void add(const char* words) { add(words, strlen(words)); }
  void add(PyObject* string) {
    Py_ssize_t length = 0;
    const char* found = PyUnicode_Check(string) ? PyUnicode_AsUTF8AndSize(string, &length) : nullptr;
    if (found) add(found, size_t(length));
    else {
      PyErr_Clear();
      add("?");
    }
  }
  void add(Py_ssize_t number) {
    PyObject* digits = PyUnicode_FromFormat("%zd", number);
    if (digits) add(digits);
  }
};

// Types that objects are named by: fetched before the fork.
struct KnownTypes {
  PyTypeObject *function, *generator, *coroutine, *async_generator, *frame, *traceback, *method,
      *cell, *module, *lru_cache, *deque, *getter;

  // False with a Python exception set.
  bool prepare() {
    if (getter) return true;
    struct { PyTypeObject** into; const char *module, *word; } wanted[] = {
        {&function, "types", "FunctionType"},
        {&generator, "types", "GeneratorType"},
        {&coroutine, "types", "CoroutineType"},
        {&async_generator, "types", "AsyncGeneratorType"},
        {&frame, "types", "FrameType"},
        {&traceback, "types", "TracebackType"},
        {&method, "types", "MethodType"},
        {&cell, "types", "CellType"},
        {&module, "types", "ModuleType"},
        {&lru_cache, "_functools", "_lru_cache_wrapper"},
        {&deque, "_collections", "deque"},
        {&getter, "types", "GetSetDescriptorType"}};
    for (auto& one : wanted) {
      PyObject* from = PyImport_ImportModule(one.module);
      PyObject* found = from ? PyObject_GetAttrString(from, one.word) : nullptr;
      Py_XDECREF(from);
      if (!found) return false;
      *one.into = reinterpret_cast<PyTypeObject*>(found);
    }
    return true;
  }
};

class Names {
 public:
  Names(const Heap& heap, const KnownTypes& known, bool shows_values)
      : heap_(heap), known_(known), shows_values_(shows_values) {}

  // The locals of a function that runs, and its frame.
  void add_locals(PyObject* locals, PyObject* frame) {
    locals_.at(uint64_t(locals)) = uint32_t(frames_.count);
    frames_.push(frame);
  }

  // Without values no name is told but those that some code has in it: others are keys of a
  // namespace, and may come from data. All such names are interned.
  void collect_names() {
    if (shows_values_) return;
    for (uint32_t v = 2; v < heap_.nodes(); v++) {
      if (!heap_.type(v).is_code) continue;
      for (const char* part : {"co_names", "co_varnames", "co_cellvars", "co_freevars"}) {
        PyObject* words = attribute(heap_.object(v), part);
        for (Py_ssize_t at = 0; words && at < PyTuple_Size(words); at++)
          names_.at(uint64_t(PyTuple_GetItem(words, at))) = 1;
      }
    }
  }

  bool is_locals(PyObject* one) const { return locals_.find(uint64_t(one)) != MappedTable::kNone; }

  bool is_context(PyObject* one) const { return is_of(Py_TYPE(one), "_contextvars", "Context"); }

  void type_name(Text& into, PyTypeObject* type) const {
    PyObject* one = reinterpret_cast<PyObject*>(type);
    PyObject* module = asked(heap_.questions.module, one);
    PyObject* name = asked(heap_.questions.qualname, one);
    if (module && PyUnicode_Check(module) &&
        PyUnicode_CompareWithASCIIString(module, "builtins") != 0) {
      into.add(module);
      into.add(".");
    }
    if (name) into.add(name);
    else into.add("?");
  }

  // The way to `node` from the nearest object above it that has a name of its own, through `other` if
  // there is one. `last` is where the last step begins.
  void path(Text& path, const Mapped<uint32_t>& parents, uint32_t node, size_t& last,
            uint32_t other = kNobody) const {
    Mapped<uint32_t> chain;
    chain.push(node);
    for (uint32_t v = other == kNobody ? parents[node] : other; v > 1 && v != kNobody;
         v = parents[v]) {
      chain.push(v);
      if (has_name(heap_.object(v))) break;
    }
    size_t at = chain.count - 1;
    noun(path, heap_.object(chain[at]));
    last = 0;
    PyObject* before = nullptr;
    if (at > kMostSteps) {
      at = kMostSteps;
      path.add(" …");
    }
    for (; at > 0; at--) {
      PyObject* owner = heap_.object(chain[at]);
      const size_t begin = path.characters.count;
      step(path, before, owner, heap_.object(chain[at - 1]), chain, at);
      if (path.characters.count != begin) last = begin;
      before = owner;
    }
    chain.drop();
  }

 private:
  static constexpr size_t kMostSteps = 24;
  static constexpr Py_ssize_t kLongestKey = 60;
  const Heap& heap_;
  const KnownTypes& known_;
  bool shows_values_;
  MappedTable locals_;
  Mapped<PyObject*> frames_;
  MappedTable names_;

  static PyObject* attribute(PyObject* one, const char* word) {
    PyObject* name = PyUnicode_FromString(word);
    PyObject* found = name ? PyObject_GenericGetAttr(one, name) : nullptr;
    if (!found) PyErr_Clear();
    return found;
  }

  bool is_module(PyObject* one) const { return PyType_IsSubtype(Py_TYPE(one), known_.module); }

  static bool is_class(PyObject* one) { return PyType_IsSubtype(Py_TYPE(one), &PyType_Type); }

  // The attribute that has the frame of what is suspended, and its name; null of all else.
  const char* suspended(PyObject* one, const char*& word) const {
    PyTypeObject* type = Py_TYPE(one);
    if (type == known_.generator) return word = "generator", "gi_frame";
    if (type == known_.coroutine) return word = "coroutine", "cr_frame";
    if (type == known_.async_generator) return word = "asynchronous generator", "ag_frame";
    return nullptr;
  }

  static bool is_at_work(PyObject* one) {
    for (const char* word : {"gi_running", "cr_running", "ag_running"})
      if (attribute(one, word) == Py_True) return true;
    return false;
  }

  bool has_name(PyObject* one) const {
    const char* word;
    return is_module(one) || is_class(one) || Py_TYPE(one) == known_.function || is_locals(one) ||
           Py_TYPE(one) == known_.lru_cache || suspended(one, word);
  }

  void qualified(Text& into, PyObject* one) const {
    PyObject* module = attribute(one, "__module__");
    PyObject* name = attribute(one, "__qualname__");
    if (module && PyUnicode_Check(module)) {
      into.add(module);
      into.add(".");
    }
    if (name) into.add(name);
    else into.add("?");
  }

  // The size is known to a function beside the cache, in the first of the names that it closes over.
  static bool is_unbounded(PyObject* cache) {
    PyObject* told = attribute(cache, "cache_parameters");
    PyObject* cells = told ? attribute(told, "__closure__") : nullptr;
    PyObject* code = told ? attribute(told, "__code__") : nullptr;
    PyObject* words = code ? attribute(code, "co_freevars") : nullptr;
    if (!cells || !words || !PyTuple_Check(cells) || !PyTuple_Check(words)) return false;
    if (!PyTuple_Size(cells) || PyTuple_Size(cells) != PyTuple_Size(words)) return false;
    const char* word = text(PyTuple_GetItem(words, 0));
    return word && !strcmp(word, "maxsize") &&
           attribute(PyTuple_GetItem(cells, 0), "cell_contents") == Py_None;
  }

  void place(Text& into, PyObject* frame) const {
    PyObject* code = reinterpret_cast<PyObject*>(PyFrame_GetCode((PyFrameObject*)frame));
    PyObject* name = attribute(code, "co_name");
    PyObject* file = attribute(code, "co_filename");
    if (name) into.add(name);
    into.add("() at ");
    const char* path = text(file);
    const char* base = path ? strrchr(path, '/') : nullptr;
    into.add(base ? base + 1 : path ? path : "?");
    into.add(":");
    into.add(Py_ssize_t(PyFrame_GetLineNumber((PyFrameObject*)frame)));
  }

  void noun(Text& into, PyObject* one) const {
    const char* word;
    if (is_locals(one)) {
      place(into, frames_[locals_.find(uint64_t(one))]);
    } else if (is_module(one)) {
      PyObject* name = PyModule_GetNameObject(one);
      if (!name) PyErr_Clear();
      if (name) into.add(name);
      else into.add("?");
    } else if (is_class(one)) {
      type_name(into, reinterpret_cast<PyTypeObject*>(one));
    } else if (Py_TYPE(one) == known_.function) {
      qualified(into, one);
    } else if (Py_TYPE(one) == known_.lru_cache) {
      into.add(is_unbounded(one) ? "unbounded lru_cache of " : "lru_cache of ");
      qualified(into, one);
    } else if (is_context(one)) {
      into.add("context");
    } else if (suspended(one, word)) {
      into.add(is_at_work(one) ? "running " : "suspended ");
      into.add(word);
      into.add(" ");
      PyObject* name = attribute(one, "__qualname__");
      if (name) into.add(name);
      into.add("()");
    } else {
      into.add("<");
      type_name(into, Py_TYPE(one));
      into.add(">");
    }
  }

  // Adds the step from `owner`, which is number `at` of the chain, to `child`, the one before it.
  void step(Text& into, PyObject* before, PyObject* owner, PyObject* child,
            const Mapped<uint32_t>& chain, size_t at) const {
    if (in_passages(into, before, owner, child)) return;
    if (PyDict_Check(owner) && key_of(into, owner, child, is_namespace(chain, at))) return;
    if ((PyList_Check(owner) || PyTuple_Check(owner)) && in_sequence(into, owner, child)) return;
    if (heap_.type(heap_.node(owner)).is_array && in_array(into, owner, child)) return;
    if (is_module(owner) && PyModule_GetDict(owner) == child) return;
    if (is_class(owner)) {
      if (PyDict_Check(child) && PyDict_GetItemString(child, "__module__")) return;
    } else if (in_dict(into, owner, child)) {
      return;
    }
    if (Py_TYPE(owner) == known_.cell && in_members(into, owner, child, {"cell_contents"})) return;
    if (Py_TYPE(owner) == known_.function &&
        in_members(into, owner, child,
                   {"__closure__", "__defaults__", "__kwdefaults__", "__code__", "__globals__"}))
      return;
    if (Py_TYPE(owner) == known_.method && in_members(into, owner, child, {"__self__", "__func__"}))
      return;
    if (Py_TYPE(owner) == known_.traceback &&
        in_members(into, owner, child, {"tb_frame", "tb_next"}))
      return;
    if (in_frame(into, before, owner, child)) return;
    if (Py_TYPE(owner) == known_.deque && in_deque(into, owner, child)) return;
    if (Py_TYPE(owner) == known_.lru_cache && in_cache(into, owner, child)) return;
    if (is_of(Py_TYPE(owner), "xml.etree.ElementTree", "Element") &&
        in_items(into, owner, child))
      return;
    if (is_context(owner)) return variable(into, chain, at);
    if (is_of(Py_TYPE(owner), "builtins", "hamt*")) return;  // told where the context was
    if (in_slots(into, owner, child)) return;
    if (PyDict_Check(owner)) return into.add(" key");
    other(into, child);
  }

  // Of a child that no expression leads to.
  void other(Text& into, PyObject* child) const {
    if (is_context(child)) return into.add(" → context");
    into.add(" → <");
    type_name(into, Py_TYPE(child));
    into.add(">");
  }

  // Whether the module and the name of `type` are these; a star stands for all that follows.
  bool is_of(PyTypeObject* type, const char* module, const char* name) const {
    PyObject* one = reinterpret_cast<PyObject*>(type);
    const char* own_name = text(asked(heap_.questions.name, one));
    const size_t length = strlen(name);
    const bool is_prefix = length && name[length - 1] == '*';
    if (!own_name || (is_prefix ? strncmp(own_name, name, length - 1) : strcmp(own_name, name)))
      return false;
    const char* own_module = text(asked(heap_.questions.module, one));
    return own_module && strcmp(own_module, module) == 0;
  }

  // Whether the type, or one that it is made of, is this one.
  bool is_a(PyTypeObject* type, const char* module, const char* name) const {
    PyObject* classes = asked(heap_.questions.mro, reinterpret_cast<PyObject*>(type));
    for (Py_ssize_t at = 0; classes && at < PyTuple_Size(classes); at++)
      if (is_of(reinterpret_cast<PyTypeObject*>(PyTuple_GetItem(classes, at)), module, name))
        return true;
    return false;
  }

  // What Python itself puts between an object and what it leads to.
  bool in_passages(Text& into, PyObject* before, PyObject* owner, PyObject* child) const {
    static const struct {
      const char *module, *owner, *child, *words;
    } passages[] = {
        {"builtins", "mappingproxy", nullptr, ""},
        {"builtins", "staticmethod", nullptr, ""},
        {"builtins", "memoryview", "managedbuffer", ""},
        {"builtins", "managedbuffer", nullptr, ".obj"},
        {"builtins", "dict_keys", "dict", ".mapping"},
        {"builtins", "dict_values", "dict", ".mapping"},
        {"builtins", "dict_items", "dict", ".mapping"},
        {"sqlite3", "Row", "tuple", ""},
        {"functools", "_lru_cache_wrapper", "dict", ""},
        {"_thread", "_local", "dict", ""},
        {"_asyncio", "Task", "traceback", "._exception.__traceback__"},
        {"_asyncio", "Future", "traceback", "._exception.__traceback__"},
    };
    if (before && PyDict_Check(owner) && PyDict_Check(child) &&
        is_a(Py_TYPE(before), "_thread", "_local"))
      return true;
    for (const auto& one : passages)
      if (is_a(Py_TYPE(owner), one.module, one.owner) &&
          (!one.child || is_of(Py_TYPE(child), "builtins", one.child)))
        return into.add(one.words), true;
    return false;
  }

  bool in_sequence(Text& into, PyObject* owner, PyObject* child) const {
    const Py_ssize_t count = PyList_Check(owner) ? PyList_Size(owner) : PyTuple_Size(owner);
    for (Py_ssize_t at = 0; at < count; at++) {
      PyObject* one = PyList_Check(owner) ? PyList_GetItem(owner, at) : PyTuple_GetItem(owner, at);
      if (one != child) continue;
      PyObject* fields = PyTuple_CheckExact(owner) || PyList_Check(owner)
                             ? nullptr
                             : heap_.in_classes(Py_TYPE(owner), "_fields", &PyTuple_Type);
      PyObject* field = fields && at < PyTuple_Size(fields) ? PyTuple_GetItem(fields, at) : nullptr;
      if (!field || !PyUnicode_Check(field)) return index(into, at), true;
      into.add(".");
      return into.add(field), true;
    }
    return false;
  }

  // By its number, of what is a sequence in C.
  static bool in_items(Text& into, PyObject* owner, PyObject* child) {
    for (Py_ssize_t at = 0, count = PySequence_Size(owner); at < count; at++) {
      PyObject* one = PySequence_GetItem(owner, at);
      if (!one) PyErr_Clear();
      if (one == child) return index(into, at), true;
    }
    return false;
  }

  // The cache tells each key, and after it the value.
  bool in_cache(Text& into, PyObject* owner, PyObject* child) const {
    Mapped<PyObject*> parts;
    heap_.type(heap_.node(owner)).traverse(owner, [](PyObject* one, void* all) {
      static_cast<Mapped<PyObject*>*>(all)->push(one);
      return 0;
    }, &parts);
    auto is_key = [&](PyObject* one) {
      for (size_t at = 0; at < parts.count; at++) {
        PyObject *key, *value;
        Py_ssize_t place = 0;
        while (PyDict_CheckExact(parts[at]) && PyDict_Next(parts[at], &place, &key, &value))
          if (key == one) return true;
      }
      return false;
    };
    bool is_found = false;
    for (size_t at = 1; at < parts.count && !is_found; at++) {
      if (parts[at] != child || !is_key(parts[at - 1])) continue;
      into.add("[");
      shown(into, parts[at - 1]);
      into.add("]");
      is_found = true;
    }
    if (!is_found && is_key(child)) {
      into.add(" key");
      is_found = true;
    }
    parts.drop();
    return is_found;
  }

  // The variable of a context whose value comes next in the chain.
  void variable(Text& into, const Mapped<uint32_t>& chain, size_t at) const {
    size_t below = at;
    do below--;
    while (below && is_of(Py_TYPE(heap_.object(chain[below])), "builtins", "hamt*"));
    PyObject* value = heap_.object(chain[below]);
    PyObject* items = PyMapping_Items(heap_.object(chain[at]));
    if (!items) PyErr_Clear();
    for (Py_ssize_t item = 0; items && item < PyList_Size(items); item++) {
      PyObject* pair = PyList_GetItem(items, item);
      if (!PyTuple_Check(pair) || PyTuple_GetItem(pair, 1) != value) continue;
      PyObject* name = attribute(PyTuple_GetItem(pair, 0), "name");
      into.add(" variable '");
      if (name) into.add(name);
      return into.add("'");
    }
    other(into, value);
  }

  static void index(Text& into, Py_ssize_t at) {
    into.add("[");
    into.add(at);
    into.add("]");
  }

  // Whether keys of this dictionary are names: it is that of a module, a class, an instance or a
  // thread-local.
  bool is_namespace(const Mapped<uint32_t>& chain, size_t at) const {
    PyObject* dict = heap_.object(chain[at]);
    if (is_locals(dict)) return true;
    if (at + 1 >= chain.count) return false;
    PyObject* before = heap_.object(chain[at + 1]);
    if (is_module(before) || is_class(before) || own_dict(before) == dict) return true;
    return at + 2 < chain.count &&
           is_a(Py_TYPE(heap_.object(chain[at + 2])), "_thread", "_local");
  }

  // In the child nothing is lost by making the dictionary of an instance that has none yet.
  static PyObject* own_dict(PyObject* one) {
    PyObject* found = PyObject_GenericGetDict(one, nullptr);
    if (!found) PyErr_Clear();
    return found;
  }

  bool in_dict(Text& into, PyObject* owner, PyObject* child) const {
    PyObject* dict = own_dict(owner);
    if (!dict || !PyDict_Check(dict)) return false;
    return dict == child || key_of(into, dict, child, true);
  }

  bool key_of(Text& into, PyObject* dict, PyObject* child, bool is_name) const {
    PyObject *key, *value;
    Py_ssize_t at = 0;
    while (PyDict_Next(dict, &at, &key, &value)) {
      if (value != child) continue;
      if (is_name && PyUnicode_CheckExact(key)) {
        const bool is_local = is_locals(dict);
        const bool is_told = shows_values_ || names_.find(uint64_t(key)) != MappedTable::kNone;
        into.add(is_local ? " local '" : ".");
        if (is_told) into.add(key);
        else into.add("…");
        if (is_local) into.add("'");
        return true;
      }
      into.add("[");
      shown(into, key);
      into.add("]");
      return true;
    }
    return false;
  }

  // Whether the words of `one` are made in C alone.
  static bool is_simple(PyObject* one, int depth = 0) {
    PyTypeObject* type = Py_TYPE(one);
    if (type == &PyUnicode_Type || type == &PyLong_Type || type == &PyFloat_Type ||
        type == &PyBytes_Type || type == &PyBool_Type || one == Py_None)
      return true;
    if (type != &PyTuple_Type || depth > 2 || PyTuple_Size(one) > 8) return false;
    for (Py_ssize_t at = 0; at < PyTuple_Size(one); at++)
      if (!is_simple(PyTuple_GetItem(one, at), depth + 1)) return false;
    return true;
  }

  void shown(Text& into, PyObject* key) const {
    if (shows_values_) words(into, key, 0);
    else into.add("…");
  }

  void words(Text& into, PyObject* key, int depth) const {
    const bool is_huge = PyLong_CheckExact(key) && heap_.node(key) != kNobody &&
                         heap_.sizes[heap_.node(key)] > 100;
    if (is_simple(key) && !is_huge) {
      PyObject* words = represented(key);
      if (words && PyUnicode_GetLength(words) > kLongestKey) {
        into.add(PyUnicode_Substring(words, 0, kLongestKey));
        return into.add("…");
      }
      if (words) return into.add(words);
      PyErr_Clear();
    }
    if (PyTuple_CheckExact(key) && depth < 2 && PyTuple_Size(key) <= 8) {
      into.add("(");
      for (Py_ssize_t at = 0; at < PyTuple_Size(key); at++) {
        if (at) into.add(", ");
        words(into, PyTuple_GetItem(key, at), depth + 1);
      }
      return into.add(PyTuple_Size(key) == 1 ? ",)" : ")");
    }
    if (is_class(key) || Py_TYPE(key) == known_.function || is_module(key)) return noun(into, key);
    if (in_enumeration(into, key) || in_calendar(into, key)) return;
    into.add("<");
    // What is referred to comes first in such an object: the call for it is deprecated.
    const bool is_weak = PyWeakref_CheckRefExact(key);
    PyObject* target = is_weak ? reinterpret_cast<PyObject**>(key + 1)[0] : nullptr;
    if (target) into.add("weakref to ");
    type_name(into, Py_TYPE(target ? target : key));
    into.add(">");
  }

  bool in_enumeration(Text& into, PyObject* key) const {
    PyObject* classes = asked(heap_.questions.mro, reinterpret_cast<PyObject*>(Py_TYPE(key)));
    for (Py_ssize_t at = 0; classes && at < PyTuple_Size(classes); at++) {
      auto one = reinterpret_cast<PyTypeObject*>(PyTuple_GetItem(classes, at));
      if (!is_of(one, "enum", "Enum")) continue;
      PyObject* dict = own_dict(key);
      PyObject* name = dict && PyDict_Check(dict) ? PyDict_GetItemString(dict, "_name_") : nullptr;
      if (!name || !PyUnicode_Check(name)) return false;
      type_name(into, Py_TYPE(key));
      into.add(".");
      return into.add(name), true;
    }
    return false;
  }

  // Days, and moments without a time zone, which may be in Python.
  bool in_calendar(Text& into, PyObject* key) const {
    PyTypeObject* type = Py_TYPE(key);
    if (PyType_GetFlags(type) & Py_TPFLAGS_HEAPTYPE) return false;
    const bool is_moment = is_of(type, "datetime", "datetime");
    if (!is_moment && !is_of(type, "datetime", "date")) return false;
    if (is_moment && attribute(key, "tzinfo") != Py_None) return false;
    PyObject* shown = reinterpret_cast<reprfunc>(PyType_GetSlot(type, Py_tp_repr))(key);
    if (!shown) PyErr_Clear();
    return shown && (into.add(shown), true);
  }

  static bool in_members(Text& into, PyObject* owner, PyObject* child,
                         std::initializer_list<const char*> words) {
    for (const char* word : words)
      if (attribute(owner, word) == child) {
        into.add(".");
        into.add(word);
        return true;
      }
    return false;
  }

  bool in_frame(Text& into, PyObject* before, PyObject* owner, PyObject* child) const {
    const char* word;
    PyObject* frame = owner;
    if (const char* name = suspended(owner, word)) {
      frame = attribute(owner, name);
      if (frame == child) return true;
    }
    if (!frame || Py_TYPE(frame) != known_.frame) return false;
    if (frame == owner && in_members(into, owner, child, {"f_back", "f_globals"})) return true;
    if (frame == owner && !(before && suspended(before, word))) {
      into.add(" ");
      place(into, frame);
    }
    PyObject* locals = attribute(frame, "f_locals");
    PyObject* plain = PyDict_New();
    if (locals && plain && PyDict_Merge(plain, locals, 1) == 0) {
      PyObject *key, *value;
      Py_ssize_t at = 0;
      while (PyDict_Next(plain, &at, &key, &value)) {
        if (value != child || !PyUnicode_Check(key)) continue;
        into.add(" local '");
        into.add(key);
        into.add("'");
        return true;
      }
    }
    PyErr_Clear();
    other(into, child);
    return true;
  }

  static bool in_deque(Text& into, PyObject* owner, PyObject* child) {
    PyObject* items = PySequence_List(owner);
    if (!items) PyErr_Clear();
    for (Py_ssize_t at = 0; items && at < PyList_Size(items); at++)
      if (PyList_GetItem(items, at) == child) return index(into, at), true;
    return false;
  }

  static bool in_array(Text& into, PyObject* owner, PyObject* child) {
    auto array = reinterpret_cast<NumpyArray*>(owner);
    if (array->base == child) return into.add(".base"), true;
    if (array->dtype == child) return into.add(".dtype"), true;
    if (!has_objects(array)) return false;
    for (size_t at = 0, count = elements(array); at < count; at++)
      if (reinterpret_cast<PyObject**>(array->data)[at] == child) {
        into.add(".flat");
        return index(into, Py_ssize_t(at)), true;
      }
    return false;
  }

  // By an attribute that C code has a place for, or a getter that is known to do no more than that.
  bool in_slots(Text& into, PyObject* owner, PyObject* child) const {
    PyObject* classes = asked(heap_.questions.mro, reinterpret_cast<PyObject*>(Py_TYPE(owner)));
    for (Py_ssize_t at = 0; classes && at < PyTuple_Size(classes); at++) {
      PyObject* one = PyTuple_GetItem(classes, at);
      PyObject* own = asked(heap_.questions.dict, one);
      if (own && in_getters(into, one, own, owner, child)) return true;
      PyObject* items = own ? PyMapping_Items(own) : nullptr;
      for (Py_ssize_t item = 0; items && item < PyList_Size(items); item++) {
        PyObject* name = PyTuple_GetItem(PyList_GetItem(items, item), 0);
        PyObject* descriptor = PyTuple_GetItem(PyList_GetItem(items, item), 1);
        if (Py_TYPE(descriptor) != heap_.questions.member_descriptor) continue;
        if (asked(descriptor, owner) != child) continue;
        into.add(".");
        into.add(name);
        return true;
      }
    }
    PyErr_Clear();
    return false;
  }

  bool in_getters(Text& into, PyObject* type, PyObject* own, PyObject* owner,
                  PyObject* child) const {
    static const struct {
      const char *module, *type, *word;
    } getters[] = {
        {"builtins", "BaseException", "__traceback__"},
        {"builtins", "BaseException", "__cause__"},
        {"builtins", "BaseException", "__context__"},
        {"builtins", "BaseException", "args"},
        {"builtins", "builtin_function_or_method", "__self__"},
        {"builtins", "memoryview", "obj"},
        {"_asyncio", "Future", "_result"},
        {"_asyncio", "Future", "_exception"},
        {"_asyncio", "Task", "_coro"},
        {"_asyncio", "Task", "_fut_waiter"},
        {"xml.etree.ElementTree", "Element", "text"},
        {"xml.etree.ElementTree", "Element", "tail"},
        {"xml.etree.ElementTree", "Element", "tag"},
        {"xml.etree.ElementTree", "Element", "attrib"},
        {"pandas._libs.internals", "BlockManager", "blocks"},
        {"pandas._libs.internals", "BlockManager", "axes"},
        {"pandas._libs.internals", "Block", "values"},
        {"pandas._libs.internals", "NumpyBlock", "values"},
    };
    for (const auto& one : getters) {
      if (!is_of(reinterpret_cast<PyTypeObject*>(type), one.module, one.type)) continue;
      PyObject* getter = PyMapping_GetItemString(own, one.word);
      if (!getter) PyErr_Clear();
      if (!getter || Py_TYPE(getter) != known_.getter || asked(getter, owner) != child) continue;
      into.add(".");
      into.add(one.word);
      return true;
    }
    return false;
  }
};

}  // namespace memdeep
