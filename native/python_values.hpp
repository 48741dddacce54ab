// Values of Python's: dictionaries of columns, lists and text out of the replay's figures, and
// columns out of bytes that Python gives. CPython's limited API of 3.10. None is returned as a new
// reference: Py_RETURN_NONE of the headers of 3.12.0 and 3.12.1 takes it for immortal, and what was
// built with these would end Python 3.10 and 3.11.

#pragma once

#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030A0000
#endif
#include <Python.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <string>
#include <utility>
#include <vector>

namespace {

PyObject* allocated(PyTypeObject* type) {
  return reinterpret_cast<allocfunc>(PyType_GetSlot(type, Py_tp_alloc))(type, 0);
}

// Gives back the memory of an object whose members are destroyed, and its hold on its type.
void release(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  reinterpret_cast<freefunc>(PyType_GetSlot(type, Py_tp_free))(self);
  Py_DECREF(reinterpret_cast<PyObject*>(type));
}

// Puts values into a dictionary under names, until one of them cannot be made.
class Fields {
 public:
  Fields() : fields_(PyDict_New()) {}
  ~Fields() { Py_XDECREF(fields_); }
  Fields(const Fields&) = delete;
  Fields& operator=(const Fields&) = delete;

  void put(const char* name, PyObject* value) {
    if (fields_ == nullptr || value == nullptr || PyDict_SetItemString(fields_, name, value) < 0) {
      Py_XDECREF(fields_);
      fields_ = nullptr;
    }
    Py_XDECREF(value);
  }
  void put(const char* name, uint64_t value) { put(name, PyLong_FromUnsignedLongLong(value)); }
  void put(const char* name, int64_t value) { put(name, PyLong_FromLongLong(value)); }

  // A column: what `get` takes from each item, as the bytes of an array.
  template <class Items, class Get>
  void column(const char* name, const Items& items, Get get) {
    using Value = decltype(get(*items.begin()));
    const auto size = Py_ssize_t(items.size() * sizeof(Value));
    PyObject* bytes = PyBytes_FromStringAndSize(nullptr, size);
    if (bytes != nullptr) {
      char* to = PyBytes_AsString(bytes);
      for (const auto& item : items) {
        const Value value = get(item);
        std::memcpy(to, &value, sizeof value);
        to += sizeof value;
      }
    }
    put(name, bytes);
  }

  PyObject* release() { return std::exchange(fields_, nullptr); }

 private:
  PyObject* fields_;
};

PyObject* text(const std::string& value) {
  return PyUnicode_DecodeUTF8(value.data(), Py_ssize_t(value.size()), "replace");
}

template <class Items, class Make>
PyObject* list(const Items& items, Make make) {
  PyObject* made = PyList_New(0);
  for (const auto& item : items) {
    PyObject* value = made == nullptr ? nullptr : make(item);
    if (value == nullptr || PyList_Append(made, value) < 0) {
      Py_XDECREF(made);
      made = nullptr;
    }
    Py_XDECREF(value);
    if (made == nullptr) return nullptr;
  }
  return made;
}

// An argument of bytes, as the items they hold.
template <class Item>
struct Column {
  const Item* items;
  size_t size;

  // For the format `O&`: refuses what is no bytes object, or does not hold a whole number of items.
  static int read(PyObject* object, void* column) {
    auto* me = static_cast<Column*>(column);
    char* bytes;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(object, &bytes, &length) < 0) return 0;
    if (size_t(length) % sizeof(Item) != 0) {
      PyErr_SetString(PyExc_ValueError, "a column is cut off");
      return 0;
    }
    me->items = reinterpret_cast<const Item*>(bytes);
    me->size = size_t(length) / sizeof(Item);
    return 1;
  }

  const Item& operator[](size_t place) const { return items[place]; }
  const Item* begin() const { return items; }
  const Item* end() const { return items + size; }

  // Whether all of them are at least `least` and below `limit`.
  bool is_within(Item least, size_t limit) const {
    return std::all_of(begin(), end(), [=](Item item) {
      return item >= least && (item < 0 || size_t(item) < limit);
    });
  }
};

using Unsigned = Column<uint32_t>;
using UnsignedLong = Column<uint64_t>;
using Signed = Column<int32_t>;
using Long = Column<int64_t>;
using Bytes = Column<uint8_t>;

// The items of a column as the bytes of an array.
template <class Item>
PyObject* packed(const std::vector<Item>& items) {
  return PyBytes_FromStringAndSize(reinterpret_cast<const char*>(items.data()),
                                   Py_ssize_t(items.size() * sizeof(Item)));
}

bool require(bool holds, const char* sentence) {
  if (!holds) PyErr_SetString(PyExc_ValueError, sentence);
  return holds;
}

// How many numbers there are up to the largest of some.
size_t span(const uint32_t* numbers, size_t count) {
  return count == 0 ? 0 : size_t{*std::max_element(numbers, numbers + count)} + 1;
}

// Whether `work` was done; what it throws becomes a Python exception.
template <class Work>
bool guarded(Work work) {
  try {
    work();
    return true;
  } catch (const std::exception&) {
    PyErr_NoMemory();
    return false;
  }
}

}  // namespace
