// Walks the objects of this interpreter through tp_traverse. Runs in a forked child, where there is
// no other thread: no Python code may run, and nothing that waits for a lock. CPython's limited API.

#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <dlfcn.h>

#include <cstring>

#include "dominators.hpp"

namespace memdeep {

// What `type` itself answers, whatever a metaclass would say: fetched before the fork.
struct TypeQuestions {
  PyObject *name, *qualname, *module, *basicsize, *itemsize, *mro, *dict, *object_sizeof;
  PyTypeObject *method_descriptor, *member_descriptor, *code;
  // Of 3.12 and later. Looked for beforehand: in the forked child the loader may be locked.
  using Visit = void (*)(int (*)(PyObject*, void*), void*);
  Visit visit_objects;

  // False with a Python exception set.
  bool prepare() {
    if (object_sizeof) return true;
    visit_objects = reinterpret_cast<Visit>(dlsym(RTLD_DEFAULT, "PyUnstable_GC_VisitObjects"));
    PyObject* own = PyObject_GetAttrString(reinterpret_cast<PyObject*>(&PyType_Type), "__dict__");
    if (!own) return false;
    struct { PyObject** into; const char* word; } wanted[] = {
        {&name, "__name__"}, {&qualname, "__qualname__"}, {&module, "__module__"},
        {&basicsize, "__basicsize__"}, {&itemsize, "__itemsize__"}, {&mro, "__mro__"},
        {&dict, "__dict__"}};
    for (auto& one : wanted)
      if (!(*one.into = PyMapping_GetItemString(own, one.word))) return false;
    member_descriptor = Py_TYPE(basicsize);
    PyObject* base = reinterpret_cast<PyObject*>(&PyBaseObject_Type);
    PyObject* compiled = Py_CompileString("0", "", Py_eval_input);
    if (!compiled) return false;
    code = Py_TYPE(compiled);
    Py_DECREF(compiled);
    object_sizeof = PyObject_GetAttrString(base, "__sizeof__");
    if (object_sizeof) method_descriptor = Py_TYPE(object_sizeof);
    Py_DECREF(own);
    return object_sizeof != nullptr;
  }
};

// Asks a descriptor written in C; null where there is no answer.
inline PyObject* asked(PyObject* descriptor, PyObject* of) {
  auto get = reinterpret_cast<descrgetfunc>(PyType_GetSlot(Py_TYPE(descriptor), Py_tp_descr_get));
  PyObject* found = get ? get(descriptor, of, reinterpret_cast<PyObject*>(Py_TYPE(of))) : nullptr;
  if (!found) PyErr_Clear();
  return found;
}

inline const char* text(PyObject* string) {
  if (!string || !PyUnicode_Check(string)) return nullptr;
  const char* found = PyUnicode_AsUTF8AndSize(string, nullptr);
  if (!found) PyErr_Clear();
  return found;
}

// The words of what is simple (see `Names`); null where there are none. Not by PyObject_Repr, nor of an
// int by its own: both run the handlers of signals that came before the fork, and these are Python.
inline PyObject* represented(PyObject* one) {
  if (PyLong_CheckExact(one)) {
    int beyond = 0;
    const long long number = PyLong_AsLongLongAndOverflow(one, &beyond);
    return beyond ? nullptr : PyUnicode_FromFormat("%lld", number);
  }
  if (!PyTuple_CheckExact(one)) {
    auto represent = reinterpret_cast<reprfunc>(PyType_GetSlot(Py_TYPE(one), Py_tp_repr));
    return represent ? represent(one) : nullptr;
  }
  const Py_ssize_t count = PyTuple_Size(one);
  PyObject* words = PyUnicode_FromString("(");
  for (Py_ssize_t at = 0; words && at < count; at++) {
    PyObject* item = represented(PyTuple_GetItem(one, at));
    if (!item) return nullptr;
    const char* behind = at + 1 < count ? ", " : count == 1 ? "," : "";
    words = PyUnicode_FromFormat("%U%U%s", words, item, behind);
  }
  return words ? PyUnicode_FromFormat("%U)", words) : nullptr;
}

struct Type {
  PyTypeObject* object;
  traverseproc traverse;
  inquiry is_gc;
  PyObject* sizeof_method;
  unsigned long flags;
  uint64_t basic, item;
  bool is_type, is_array, is_code, is_plain, is_dict;
  bool is_map, is_foreign, is_text;  // mmap, ctypes' data, StringIO
};

struct NumpyArray {
  PyObject_HEAD
  char* data;
  int dimensions;
  Py_ssize_t *shape, *strides;
  PyObject *base, *dtype;
};

inline bool has_objects(const NumpyArray* array) {
  constexpr int kObject = 17;  // NPY_OBJECT, in a place that numpy 1 and 2 have in common
  return array->dtype && !array->base &&
         *reinterpret_cast<int*>(reinterpret_cast<char*>(array->dtype) + 28) == kObject;
}

inline size_t elements(const NumpyArray* array) {
  size_t count = 1;
  for (int at = 0; at < array->dimensions; at++) count *= size_t(array->shape[at]);
  return count;
}

// Node 0 holds what has a name, node 1 what C code alone holds; all others are objects.
class Heap {
 public:
  Mapped<uint64_t> addresses, sizes, pointers;
  Mapped<uint32_t> kinds, owners;
  Mapped<Type> types;
  Edges edges;
  const TypeQuestions& questions;

  explicit Heap(const TypeQuestions& asked) : questions(asked) {}

  PyObject* object(uint32_t node) const { return reinterpret_cast<PyObject*>(addresses[node]); }
  const Type& type(uint32_t node) const { return types[kinds[node]]; }
  // kNobody where it was not met.
  uint32_t node(const void* object) const { return slots_.count ? slots_[slot(object)] : kNobody; }
  uint32_t nodes() const { return uint32_t(addresses.count); }

  // `roots` is a list; its items are the targets of node 0. `listed` is a list of all objects that
  // Python's collector knows, or null where it can be asked.
  void walk(PyObject* roots, PyObject* listed) {
    listed_ = listed;
    addresses.push(0), addresses.push(1);
    kinds.push(0), kinds.push(0);
    types.push(Type{});
    edges.starts.push(0);
    edges.targets.push(1);
    for (Py_ssize_t at = 0; at < PyList_Size(roots); at++) visit(PyList_GetItem(roots, at), this);
    edges.starts.push(edges.targets.count);
    if (listed) {
      for (Py_ssize_t at = 0; at < PyList_Size(listed); at++) entered(PyList_GetItem(listed, at));
    } else {
      visit_collected();
    }
    counted_ = nodes();
    for (uint32_t v = 2; v < nodes(); v++) {
      edges.starts.push(edges.targets.count);
      PyObject* one = object(v);
      kinds.push(kind(Py_TYPE(one)));
      if (one != listed && one != roots) follow(one, types[kinds[v]]);
    }
    edges.starts.push(edges.targets.count);
    measure();
    collect_pointers();
  }

  // References to each object that come from none: from C, or from a frame that runs.
  void count_unexplained(Mapped<int32_t>& left) const {
    left.fill(nodes(), kImmortal);
    for (uint32_t v = 2; v < nodes(); v++) {
      int32_t count;  // the lower half of the field: all later Pythons count there
      memcpy(&count, object(v), sizeof count);
      if (count < 0 || count >= kImmortal) continue;
      left[v] = count - (listed_ && v < counted_ ? 1 : 0);
    }
    for (size_t e = 0; e < edges.targets.count; e++)
      if (left[edges.targets[e]] != kImmortal) left[edges.targets[e]]--;
  }

  void drop() {
    drop_edges();
    addresses.drop(), sizes.drop(), pointers.drop(), kinds.drop(), owners.drop(), types.drop();
    slots_.drop(), type_ids_.drop();
  }

  void drop_edges() { edges.starts.drop(), edges.targets.drop(), edges.seeds.drop(); }

  // Asks for `word` in the classes of `type`, in their order; `wanted` is the type of the answer.
  PyObject* in_classes(PyTypeObject* type, const char* word, PyTypeObject* wanted) const {
    PyObject* found = nullptr;
    PyObject* classes = asked(questions.mro, reinterpret_cast<PyObject*>(type));
    for (Py_ssize_t at = 0; classes && !found && at < PyTuple_Size(classes); at++) {
      PyObject* own = asked(questions.dict, PyTuple_GetItem(classes, at));
      found = own ? PyMapping_GetItemString(own, word) : nullptr;
      if (found && Py_TYPE(found) != wanted) found = nullptr;
    }
    PyErr_Clear();
    return found;
  }

 private:
  static constexpr int32_t kImmortal = 1 << 28;
  static constexpr unsigned long kManaged = 3ul << 3, kInlineValues = 1ul << 2;
  // Nodes by the address of their object, kNobody in free slots: a quarter of a table with keys.
  Mapped<uint32_t> slots_;
  MappedTable type_ids_;
  PyObject* listed_ = nullptr;
  uint32_t counted_ = 0;
  bool has_managed_ = strncmp(Py_GetVersion(), "3.10", 4) != 0;

  uint32_t entered(PyObject* one) {
    if (addresses.count * 10 >= slots_.count * 6) grow();
    uint32_t& id = slots_[slot(one)];
    if (id == kNobody) {
      id = nodes();
      addresses.push(uint64_t(one));
    }
    return id;
  }

  size_t slot(const void* one) const {
    const size_t mask = slots_.count - 1;
    size_t at = (uint64_t(one) * 0x9E3779B97F4A7C15ull >> 20) & mask;
    while (slots_[at] != kNobody && addresses[slots_[at]] != uint64_t(one)) at = (at + 1) & mask;
    return at;
  }

  void grow() {
    const size_t larger = slots_.count ? slots_.count * 2 : size_t{1} << 16;
    slots_.drop();
    slots_.fill(larger, kNobody);
    for (uint32_t id = 2; id < nodes(); id++) slots_[slot(object(id))] = id;
  }

  static int visit(PyObject* target, void* heap) {
    Heap* me = static_cast<Heap*>(heap);
    me->edges.targets.push(me->entered(target));
    return 0;
  }

  void visit_collected() {
    questions.visit_objects(
        [](PyObject* one, void* heap) { static_cast<Heap*>(heap)->entered(one); return 1; }, this);
  }

  void follow(PyObject* one, const Type& type) {
    if (type.is_array) {
      auto array = reinterpret_cast<NumpyArray*>(one);
      if (array->base) visit(array->base, this);
      if (array->dtype) visit(array->dtype, this);
      if (has_objects(array))
        for (size_t at = 0, count = elements(array); at < count; at++) {
          PyObject* element = reinterpret_cast<PyObject**>(array->data)[at];
          if (element) visit(element, this);
        }
    }
    if (type.traverse && (!type.is_gc || type.is_gc(one))) {
      const size_t before = edges.targets.count;
      type.traverse(one, visit, this);
      if (type.is_dict) visit_keys(one, edges.targets.count - before);
    } else if (type.is_code) {
      for (const char* word : {"co_consts", "co_names", "co_filename", "co_name", "co_qualname",
                               "co_linetable", "co_exceptiontable"}) {
        PyObject* part = PyObject_GetAttrString(one, word);
        if (!part) PyErr_Clear();
        else {
          visit(part, this);
          Py_DECREF(part);
        }
      }
    }
  }

  // Texts close no cycle: where all keys are texts, a dictionary shows its values alone, as `visited`
  // tells. Those of an instance that has its values elsewhere (`ma_values`) belong to its class.
  void visit_keys(PyObject* dict, size_t visited) {
    const bool is_shared = reinterpret_cast<void* const*>(dict)[5] != nullptr;
    if (is_shared || visited >= 2 * size_t(PyDict_Size(dict))) return;
    PyObject* key;
    for (Py_ssize_t at = 0; PyDict_Next(dict, &at, &key, nullptr);) visit(key, this);
  }

  uint32_t kind(PyTypeObject* type) {
    uint32_t& id = type_ids_.at(uint64_t(type));
    if (id != MappedTable::kNone) return id;
    id = uint32_t(types.count);
    Type made{};
    PyObject* as_object = reinterpret_cast<PyObject*>(type);
    made.object = type;
    made.flags = PyType_GetFlags(type);
    if (made.flags & Py_TPFLAGS_HAVE_GC)
      made.traverse = reinterpret_cast<traverseproc>(PyType_GetSlot(type, Py_tp_traverse));
    made.is_gc = reinterpret_cast<inquiry>(PyType_GetSlot(type, Py_tp_is_gc));
    made.is_type = PyType_IsSubtype(type, &PyType_Type);
    made.is_dict = made.flags & Py_TPFLAGS_DICT_SUBCLASS;
    made.is_code = type == questions.code;
    made.is_plain = type == &PyFloat_Type || type == &PyLong_Type || type == &PyComplex_Type ||
                    type == &PyBytes_Type || type == &PyBool_Type || is_moment(as_object);
    PyObject* size = asked(questions.basicsize, as_object);
    made.basic = size ? PyLong_AsSize_t(size) : sizeof(PyObject);
    size = asked(questions.itemsize, as_object);
    made.item = size ? PyLong_AsSize_t(size) : 0;
    PyObject* method = in_classes(type, "__sizeof__", questions.method_descriptor);
    const bool is_inline = has_managed_ && made.flags & kInlineValues;
    // What `object` would answer is known from the type, and that is quicker.
    if (!made.is_type && type != &PyFloat_Type && (method != questions.object_sizeof || is_inline))
      made.sizeof_method = method;
    PyObject* classes = asked(questions.mro, as_object);
    for (Py_ssize_t at = 0; classes && at < PyTuple_Size(classes); at++) {
      PyObject* base = PyTuple_GetItem(classes, at);
      const char* name = text(asked(questions.name, base));
      if (!name) continue;
      const char* module = text(asked(questions.module, base));
      if (!module) continue;
      made.is_array |= !strcmp(name, "ndarray") && !strcmp(module, "numpy");
      made.is_map |= !strcmp(name, "mmap") && !strcmp(module, "mmap");
      made.is_foreign |= !strcmp(name, "_CData") && !strcmp(module, "_ctypes");
      made.is_text |= !strcmp(name, "StringIO") && !strcmp(module, "_io");
    }
    types.push(made);
    return uint32_t(types.count - 1);
  }

  // Without a time zone these are smaller than their type says; they have nothing in C.
  bool is_moment(PyObject* type) const {
    const char* module = text(asked(questions.module, type));
    const char* name = text(asked(questions.name, type));
    return module && name && !strcmp(module, "datetime") &&
           (!strcmp(name, "datetime") || !strcmp(name, "time"));
  }

  bool has_managed(const Type& type) const {
    return has_managed_ && type.flags & kManaged && type.flags & Py_TPFLAGS_HAVE_GC;
  }

  void measure() {
    sizes.reserve(nodes());
    sizes.push(0), sizes.push(0);
    for (uint32_t v = 2; v < nodes(); v++) {
      PyObject* one = object(v);
      const Type& of = type(v);
      uint64_t size = of.basic;
      PyObject* answer = of.sizeof_method
                             ? PyObject_CallFunctionObjArgs(of.sizeof_method, one, nullptr)
                             : nullptr;
      if (answer) {
        size = PyLong_AsSize_t(answer);
        Py_DECREF(answer);
      } else if (of.item && !of.is_type) {
        const Py_ssize_t count = reinterpret_cast<PyVarObject*>(one)->ob_size;
        if (count > -kMostItems && count < kMostItems)
          size += of.item * uint64_t(count < 0 ? -count : count);
      }
      if (PyErr_Occurred()) PyErr_Clear();
      if (of.flags & Py_TPFLAGS_HAVE_GC && (!of.is_gc || of.is_gc(one))) size += 16;
      if (has_managed(of)) size += 16;
      sizes.push(size + untold(one, of));
    }
  }

  // Bytes of blocks that an object has and says nothing of; mapped ones may be a file's.
  uint64_t untold(PyObject* one, const Type& of) const {
    auto words = reinterpret_cast<const uint64_t*>(one);
    if (!(of.is_foreign || of.is_text) || of.is_type || !words[2]) return 0;
    uint64_t size = 0;
    if (of.is_text) size = words[5] * 4;  // the rest is a writer's
    const bool is_inside = words[2] >= uint64_t(one) && words[2] < uint64_t(one) + of.basic;
    if (of.is_foreign && !is_inside && int32_t(words[3])) size = words[5];
    return size < kMostItems ? size : 0;
  }

  // Words of an object's own block that point neither to an object nor nowhere: what it has in C.
  void collect_pointers() {
    for (uint32_t v = 2; v < nodes(); v++) {
      const Type& of = type(v);
      if (of.is_type || of.is_plain) continue;
      auto words = reinterpret_cast<const uint64_t*>(addresses[v]);
      // A text of ASCII alone is smaller than what its type says.
      const uint64_t bytes = of.basic < sizes[v] ? of.basic : sizes[v];
      const size_t count = bytes / 8 < kMostWords ? bytes / 8 : kMostWords;
      for (size_t at = 2; at < count; at++) note(v, words[at]);
      // The values of an instance stand before it; 3.12 marks their address.
      if (has_managed(of))
        for (int at = -4; at < 0; at++) note(v, words[at] + (at == -3 && words[at] & 1));
    }
  }

  void note(uint32_t v, uint64_t word) {
    if (word < 0x10000 || word >> 47 || word & 7) return;
    if (node(reinterpret_cast<const void*>(word)) != kNobody) return;
    pointers.push(word);
    owners.push(v);
  }

  static constexpr Py_ssize_t kMostItems = Py_ssize_t{1} << 40;
  static constexpr size_t kMostWords = 64;
};

}  // namespace memdeep
