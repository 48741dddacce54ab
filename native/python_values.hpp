// Values of Python's: dictionaries of columns, lists and text out of the replay's figures, and
// columns out of bytes that Python gives. CPython's limited API of 3.10.

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

// The items of a bytes object; null if it is none, or does not hold a whole number of them.
template <class Item>
const Item* items(PyObject* object, size_t& count) {
  char* bytes;
  Py_ssize_t size;
  if (PyBytes_AsStringAndSize(object, &bytes, &size) < 0) return nullptr;
  if (size_t(size) % sizeof(Item) != 0) {
    PyErr_SetString(PyExc_ValueError, "a column is cut off");
    return nullptr;
  }
  count = size_t(size) / sizeof(Item);
  return reinterpret_cast<const Item*>(bytes);
}

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

template <class Work>
bool guarded(Work work) {
  try {
    return work();
  } catch (const std::exception&) {
    PyErr_NoMemory();
    return false;
  }
}

}  // namespace
