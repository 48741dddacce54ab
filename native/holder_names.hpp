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
      *cell, *module, *lru_cache, *deque;

  // False with a Python exception set.
  bool prepare() {
    if (deque) return true;
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
        {&deque, "_collections", "deque"}};
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

  // The way to `node` from the nearest object above it that has a name of its own. `last` is where
  // the last step begins.
  void path(Text& path, const Mapped<uint32_t>& parents, uint32_t node, size_t& last) const {
    Mapped<uint32_t> chain;
    for (uint32_t v = node; v > 1 && v != kNobody; v = parents[v]) {
      chain.push(v);
      if (v != node && has_name(heap_.object(v))) break;
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
      step(path, before, owner, heap_.object(chain[at - 1]));
      if (path.characters.count != begin) last = begin;
      before = owner;
    }
    chain.drop();
  }

  // The way to `child` through `owner`.
  void path_through(Text& into, const Mapped<uint32_t>& parents, uint32_t owner,
                    uint32_t child) const {
    size_t last;
    path(into, parents, owner, last);
    const uint32_t before = parents[owner];
    step(into, before > 1 ? heap_.object(before) : nullptr, heap_.object(owner),
         heap_.object(child));
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
    } else if (suspended(one, word)) {
      into.add("suspended ");
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

  void step(Text& into, PyObject* before, PyObject* owner, PyObject* child) const {
    if (PyDict_Check(owner)) {
      if (!key_of(into, owner, child, is_namespace(before, owner))) into.add(" key");
      return;
    }
    if (PyList_Check(owner) || PyTuple_Check(owner)) {
      const Py_ssize_t count = PyList_Check(owner) ? PyList_Size(owner) : PyTuple_Size(owner);
      for (Py_ssize_t at = 0; at < count; at++) {
        PyObject* one = PyList_Check(owner) ? PyList_GetItem(owner, at) : PyTuple_GetItem(owner, at);
        if (one == child) return index(into, at);
      }
    }
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
    if (PyExceptionInstance_Check(owner) &&
        in_members(into, owner, child, {"__traceback__", "__context__", "__cause__", "args"}))
      return;
    if (in_frame(into, before, owner, child)) return;
    if (Py_TYPE(owner) == known_.deque && in_deque(into, owner, child)) return;
    if (heap_.type(heap_.node(owner)).is_array && in_array(into, owner, child)) return;
    if (Py_TYPE(owner) == known_.lru_cache && PyDict_Check(child)) return;
    if (in_slots(into, owner, child)) return;
    into.add(" → ");
    type_name(into, Py_TYPE(child));
  }

  static void index(Text& into, Py_ssize_t at) {
    into.add("[");
    into.add(at);
    into.add("]");
  }

  // Whether keys of `dict` are names: its owner `before` is a module, a class, or has it as __dict__.
  bool is_namespace(PyObject* before, PyObject* dict) const {
    if (is_locals(dict)) return true;
    if (!before) return false;
    return is_module(before) || is_class(before) || own_dict(before) == dict;
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
    if (!shows_values_) return into.add("…");
    const bool is_huge = PyLong_CheckExact(key) && heap_.node(key) != kNobody &&
                         heap_.sizes[heap_.node(key)] > 100;
    if (is_simple(key) && !is_huge) {
      PyObject* words = PyObject_Repr(key);
      if (words && PyUnicode_GetLength(words) > kLongestKey) {
        into.add(PyUnicode_Substring(words, 0, kLongestKey));
        return into.add("…");
      }
      if (words) return into.add(words);
      PyErr_Clear();
    }
    into.add("<");
    type_name(into, Py_TYPE(key));
    into.add(">");
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
    into.add(" → ");
    type_name(into, Py_TYPE(child));
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

  bool in_slots(Text& into, PyObject* owner, PyObject* child) const {
    PyObject* classes = asked(heap_.questions.mro, reinterpret_cast<PyObject*>(Py_TYPE(owner)));
    for (Py_ssize_t at = 0; classes && at < PyTuple_Size(classes); at++) {
      PyObject* own = asked(heap_.questions.dict, PyTuple_GetItem(classes, at));
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
};

}  // namespace memdeep
