// `memdeep.capture._replay.Lifetimes`: rows of bytes between births and deaths as a Python type, and
// the sums over what was alive. Every column that Python gives is checked before it is used.

#pragma once

#include <memory>

#include "lifetimes.hpp"
#include "python_values.hpp"

namespace {

PyObject* columns_of(const memdeep::Alive& alive, const std::vector<int64_t>* own = nullptr) {
  auto same = [](auto value) { return value; };
  Fields fields;
  fields.column("node", alive.node, same);
  fields.column("held", alive.bytes, same);
  fields.column("count", alive.count, same);
  if (own != nullptr) fields.column("own", *own, same);
  return fields.release();
}

// The columns that `columns_of` gave, read back.
bool read_alive(PyObject* node, PyObject* bytes, PyObject* count, memdeep::Alive& alive) {
  size_t nodes, sizes, counts;
  const auto* number = items<uint32_t>(node, nodes);
  const auto* size = number == nullptr ? nullptr : items<int64_t>(bytes, sizes);
  const auto* calls = size == nullptr ? nullptr : items<int64_t>(count, counts);
  if (calls == nullptr) return false;
  if (!require(nodes == sizes && nodes == counts, "the columns are not of one length")) return false;
  alive.node.assign(number, number + nodes);
  alive.bytes.assign(size, size + nodes);
  alive.count.assign(calls, calls + nodes);
  return true;
}

PyObject* by_group(PyObject*, PyObject* args) {
  PyObject *node, *bytes, *count, *groups;
  if (!PyArg_ParseTuple(args, "OOOO:by_group", &node, &bytes, &count, &groups)) return nullptr;
  memdeep::Alive summed;
  auto work = [&] {
    memdeep::Alive alive;
    size_t tree_size;
    const auto* group = items<uint32_t>(groups, tree_size);
    if (group == nullptr || !read_alive(node, bytes, count, alive)) return false;
    if (!require(span(alive.node.data(), alive.size()) <= tree_size, "a node has no group")) {
      return false;
    }
    size_t groups_met = 0;
    for (uint32_t number : alive.node) groups_met = std::max(groups_met, size_t{group[number]} + 1);
    summed = memdeep::by_group(alive, group, groups_met);
    return true;
  };
  return guarded(work) ? columns_of(summed) : nullptr;
}

PyObject* folded(PyObject*, PyObject* args) {
  PyObject *node, *bytes, *count, *parents;
  Py_ssize_t most;
  if (!PyArg_ParseTuple(args, "OOOOn:folded", &node, &bytes, &count, &parents, &most)) {
    return nullptr;
  }
  memdeep::Alive few;
  std::vector<int64_t> own;
  auto work = [&] {
    memdeep::Alive alive;
    size_t tree_size;
    const auto* parent = items<int32_t>(parents, tree_size);
    if (parent == nullptr || !read_alive(node, bytes, count, alive)) return false;
    if (!require(most >= 0 && span(alive.node.data(), alive.size()) <= tree_size,
                 "a node is not in the tree")) {
      return false;
    }
    for (size_t place = 0; place < tree_size; ++place) {
      if (!require(parent[place] < 0 || size_t(parent[place]) < place, "a parent comes later")) {
        return false;
      }
    }
    few = memdeep::folded(alive, parent, tree_size, size_t(most), own);
    return true;
  };
  return guarded(work) ? columns_of(few, &own) : nullptr;
}

// ---------------------------------------------------------------------- lifetimes

struct Lifetimes {
  PyObject_HEAD
  memdeep::Rows rows;
};

memdeep::Rows& rows_of(PyObject* self) { return reinterpret_cast<Lifetimes*>(self)->rows; }

PyObject* lifetimes_of(PyTypeObject* type, memdeep::Rows rows) {
  auto allocate = reinterpret_cast<allocfunc>(PyType_GetSlot(type, Py_tp_alloc));
  PyObject* self = allocate(type, 0);
  if (self != nullptr) new (&rows_of(self)) memdeep::Rows(std::move(rows));
  return self;
}

void destroy_lifetimes(PyObject* self) {
  rows_of(self).~vector();
  PyTypeObject* type = Py_TYPE(self);
  reinterpret_cast<freefunc>(PyType_GetSlot(type, Py_tp_free))(self);
  Py_DECREF(reinterpret_cast<PyObject*>(type));
}

PyObject* create_lifetimes(PyTypeObject* type, PyObject* args, PyObject* keywords) {
  static char names[][6] = {"place", "born", "died", "bytes", "count"};
  static char* keys[] = {names[0], names[1], names[2], names[3], names[4], nullptr};
  PyObject *places, *births, *deaths, *sizes, *counts;
  if (!PyArg_ParseTupleAndKeywords(args, keywords, "OOOOO:Lifetimes", keys, &places, &births,
                                   &deaths, &sizes, &counts)) {
    return nullptr;
  }
  size_t length[5];
  const auto* place = items<uint32_t>(places, length[0]);
  const auto* born = place == nullptr ? nullptr : items<uint32_t>(births, length[1]);
  const auto* died = born == nullptr ? nullptr : items<uint32_t>(deaths, length[2]);
  const auto* size = died == nullptr ? nullptr : items<int64_t>(sizes, length[3]);
  const auto* count = size == nullptr ? nullptr : items<int64_t>(counts, length[4]);
  if (count == nullptr) return nullptr;
  for (size_t other : length) {
    if (!require(other == length[0], "the columns are not of one length")) return nullptr;
  }
  memdeep::Rows rows;
  auto work = [&] {
    rows.reserve(length[0]);
    for (size_t at = 0; at < length[0]; ++at) {
      rows.push_back({place[at], born[at], died[at], size[at], count[at]});
    }
    return true;
  };
  return guarded(work) ? lifetimes_of(type, std::move(rows)) : nullptr;
}

Py_ssize_t count_lifetimes(PyObject* self) { return Py_ssize_t(rows_of(self).size()); }

PyObject* lifetime_columns(PyObject* self, PyObject*) {
  using memdeep::Row;
  const memdeep::Rows& rows = rows_of(self);
  Fields fields;
  fields.column("place", rows, [](const Row& row) { return row.place; });
  fields.column("born", rows, [](const Row& row) { return row.born; });
  fields.column("died", rows, [](const Row& row) { return row.died; });
  fields.column("bytes", rows, [](const Row& row) { return row.bytes; });
  fields.column("count", rows, [](const Row& row) { return row.count; });
  return fields.release();
}

// Whether all places of `rows` are below `count`.
bool have_places(const memdeep::Rows& rows, size_t count) {
  const bool holds = std::all_of(rows.begin(), rows.end(),
                                 [count](const memdeep::Row& row) { return row.place < count; });
  return require(holds, "a place is out of range");
}

PyObject* charged(PyObject* self, PyObject* args) {
  PyObject *places, *coarse_places;
  long long small;
  if (!PyArg_ParseTuple(args, "OOL:charged", &places, &coarse_places, &small)) return nullptr;
  size_t count, coarse_count;
  const auto* place = items<uint32_t>(places, count);
  const auto* coarse = place == nullptr ? nullptr : items<uint32_t>(coarse_places, coarse_count);
  if (coarse == nullptr || !have_places(rows_of(self), std::min(count, coarse_count))) {
    return nullptr;
  }
  memdeep::Rows rows;
  auto work = [&] {
    rows = memdeep::charged(rows_of(self), place, coarse, small);
    return true;
  };
  return guarded(work) ? lifetimes_of(Py_TYPE(self), std::move(rows)) : nullptr;
}

PyObject* size_of_rank(PyObject* self, PyObject* args) {
  Py_ssize_t rank;
  if (!PyArg_ParseTuple(args, "n:size_of_rank", &rank)) return nullptr;
  if (!require(rank >= 0 && size_t(rank) < rows_of(self).size(), "there are fewer rows")) {
    return nullptr;
  }
  int64_t size = 0;
  auto work = [&] {
    size = memdeep::size_of_rank(rows_of(self), size_t(rank));
    return true;
  };
  return guarded(work) ? PyLong_FromLongLong(size) : nullptr;
}

PyObject* alive_at(PyObject* self, PyObject* args) {
  unsigned checkpoint;
  if (!PyArg_ParseTuple(args, "I:alive_at", &checkpoint)) return nullptr;
  if (!require(checkpoint < memdeep::kNever, "there is no such checkpoint")) return nullptr;
  memdeep::Alive alive;
  auto work = [&] {
    const memdeep::Rows& rows = rows_of(self);
    size_t places = 0;
    for (const memdeep::Row& row : rows) places = std::max(places, size_t{row.place} + 1);
    memdeep::AliveSums sums(places);
    auto same = [](uint32_t place) { return place; };
    memdeep::add_alive(rows, checkpoint + 1, same, sums);
    alive = sums.release();
    return true;
  };
  return guarded(work) ? columns_of(alive) : nullptr;
}

PyObject* heap_at(PyObject* self, PyObject* args) {
  Py_ssize_t checkpoints;
  if (!PyArg_ParseTuple(args, "n:heap_at", &checkpoints)) return nullptr;
  if (!require(checkpoints >= 0, "there are no fewer checkpoints than none")) return nullptr;
  std::vector<int64_t> heap;
  auto work = [&] {
    heap = memdeep::heap_at(rows_of(self), size_t(checkpoints));
    return true;
  };
  return guarded(work) ? packed(heap) : nullptr;
}

PyObject* moved(PyObject* self, PyObject* args) {
  PyObject *phases, *starts, *ends;
  Py_ssize_t phase_count;
  if (!PyArg_ParseTuple(args, "OOOn:moved", &phases, &starts, &ends, &phase_count)) return nullptr;
  size_t length[3];
  const auto* phase = items<uint32_t>(phases, length[0]);
  const auto* start = phase == nullptr ? nullptr : items<uint32_t>(starts, length[1]);
  const auto* end = start == nullptr ? nullptr : items<uint32_t>(ends, length[2]);
  if (end == nullptr) return nullptr;
  if (!require(length[0] == length[1] && length[0] == length[2],
               "the columns are not of one length")) {
    return nullptr;
  }
  std::vector<memdeep::Moved> found;
  auto work = [&] {
    std::vector<memdeep::Stretch> stretches;
    for (size_t at = 0; at < length[0]; ++at) {
      if (!require(phase[at] < size_t(phase_count) && end[at] < memdeep::kNever,
                   "a stretch is of no phase")) {
        return false;
      }
      stretches.push_back({phase[at], start[at], end[at]});
    }
    found = memdeep::moved(rows_of(self), stretches, size_t(phase_count));
    return true;
  };
  if (!guarded(work)) return nullptr;
  return list(found, [](const memdeep::Moved& one) {
    return Py_BuildValue("(NNLL)", columns_of(one.retained), columns_of(one.freed),
                         static_cast<long long>(one.churn_bytes),
                         static_cast<long long>(one.churn_count));
  });
}

PyObject* largest_shares(PyObject* self, PyObject* args) {
  PyObject* passed;
  Py_ssize_t places;
  double small;
  if (!PyArg_ParseTuple(args, "O!nd:largest_shares", Py_TYPE(self), &passed, &places, &small)) {
    return nullptr;
  }
  if (!have_places(rows_of(self), size_t(places)) || !have_places(rows_of(passed), size_t(places))) {
    return nullptr;
  }
  std::vector<double> shares;
  auto work = [&] {
    shares = memdeep::largest_shares(rows_of(self), rows_of(passed), size_t(places), small);
    return true;
  };
  return guarded(work) ? packed(shares) : nullptr;
}

PyMethodDef lifetime_methods[] = {
    {"columns", lifetime_columns, METH_NOARGS, "The rows, each column as the bytes of an array."},
    {"charged", charged, METH_VARARGS,
     "charged(places, coarse, small): the same bytes by the place that stands there for each; rows "
     "of at most so many bytes by that in `coarse`."},
    {"size_of_rank", size_of_rank, METH_VARARGS,
     "size_of_rank(rank): the bytes of that row by size, the largest being of rank 0."},
    {"alive_at", alive_at, METH_VARARGS,
     "alive_at(checkpoint): what each place holds there."},
    {"heap_at", heap_at, METH_VARARGS,
     "heap_at(checkpoints): the bytes alive at each of so many, from the first."},
    {"moved", moved, METH_VARARGS,
     "moved(phase, start, end, phases): for each of so many phases what was retained and freed in "
     "its stretches, and the bytes and count of what was allocated and freed again."},
    {"largest_shares", largest_shares, METH_VARARGS,
     "largest_shares(passed, places, small): by place, its largest share of what was allocated in "
     "a segment."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot lifetime_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(create_lifetimes)},
    {Py_tp_dealloc, reinterpret_cast<void*>(destroy_lifetimes)},
    {Py_sq_length, reinterpret_cast<void*>(count_lifetimes)},
    {Py_tp_methods, lifetime_methods},
    {Py_tp_doc, const_cast<char*>("Bytes of places, from one segment to another.")},
    {0, nullptr},
};

PyType_Spec lifetimes_spec = {"memdeep.capture._replay.Lifetimes", sizeof(Lifetimes), 0,
                              Py_TPFLAGS_DEFAULT, lifetime_slots};

}  // namespace
