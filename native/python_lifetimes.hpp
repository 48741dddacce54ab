// `memdeep.heap.replay._replay.Lifetimes`: rows of bytes between births and deaths as a Python type, and
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
struct AliveColumns {
  Unsigned node;
  Long bytes, count;

  bool are_of_one_length() const {
    return require(node.size == bytes.size && node.size == count.size,
                   "the columns are not of one length");
  }
  memdeep::Alive alive() const {
    return {{node.begin(), node.end()}, {bytes.begin(), bytes.end()}, {count.begin(), count.end()}};
  }
};

PyObject* by_group(PyObject*, PyObject* args) {
  AliveColumns given;
  Unsigned groups;
  if (!PyArg_ParseTuple(args, "O&O&O&O&:by_group", Unsigned::read, &given.node, Long::read,
                        &given.bytes, Long::read, &given.count, Unsigned::read, &groups) ||
      !given.are_of_one_length() ||
      !require(given.node.is_within(0, groups.size), "a node has no group")) {
    return nullptr;
  }
  memdeep::Alive summed;
  auto work = [&] {
    size_t groups_met = 0;
    for (uint32_t node : given.node) groups_met = std::max(groups_met, size_t{groups[node]} + 1);
    memdeep::Entries entries(groups_met);
    summed = memdeep::by_group(given.alive(), groups.items, entries);
  };
  return guarded(work) ? columns_of(summed) : nullptr;
}

bool has_parents_first(const Signed& parents) {
  for (size_t node = 0; node < parents.size; ++node) {
    if (parents[node] < -1 || parents[node] >= int64_t(node)) return false;
  }
  return true;
}

PyObject* folded(PyObject*, PyObject* args) {
  AliveColumns given;
  Signed parents;
  Py_ssize_t most;
  if (!PyArg_ParseTuple(args, "O&O&O&O&n:folded", Unsigned::read, &given.node, Long::read,
                        &given.bytes, Long::read, &given.count, Signed::read, &parents, &most) ||
      !given.are_of_one_length() ||
      !require(most >= 0 && given.node.is_within(0, parents.size), "a node is not in the tree") ||
      !require(has_parents_first(parents), "a parent comes later")) {
    return nullptr;
  }
  memdeep::Alive few;
  std::vector<int64_t> own;
  auto work = [&] {
    few = memdeep::folded(given.alive(), parents.items, parents.size, size_t(most), own);
  };
  return guarded(work) ? columns_of(few, &own) : nullptr;
}

PyObject* ranked(PyObject*, PyObject* args) {
  Unsigned groups;
  const char* is_last;
  Py_ssize_t size, most;
  Long sizes;
  if (!PyArg_ParseTuple(args, "O&y#O&n:ranked", Unsigned::read, &groups, &is_last, &size, Long::read,
                        &sizes, &most) ||
      !require(groups.size == size_t(size) && groups.size == sizes.size && groups.size >> 32 == 0,
               "the columns are not of one length") ||
      !require(most >= 0, "there are no fewer than none")) {
    return nullptr;
  }
  std::vector<uint32_t> found;
  auto work = [&] {
    found = memdeep::ranked(groups.items, reinterpret_cast<const uint8_t*>(is_last), sizes.items,
                            groups.size, size_t(most));
  };
  return guarded(work) ? packed(found) : nullptr;
}

// ---------------------------------------------------------------------- lifetimes

struct Lifetimes {
  PyObject_HEAD
  memdeep::Rows rows;
};

memdeep::Rows& rows_of(PyObject* self) { return reinterpret_cast<Lifetimes*>(self)->rows; }

PyObject* lifetimes_of(PyTypeObject* type, memdeep::Rows rows) {
  PyObject* self = allocated(type);
  if (self != nullptr) new (&rows_of(self)) memdeep::Rows(std::move(rows));
  return self;
}

void destroy_lifetimes(PyObject* self) {
  rows_of(self).~vector();
  release(self);
}

PyObject* create_lifetimes(PyTypeObject* type, PyObject* args, PyObject* keywords) {
  static char names[][6] = {"place", "born", "died", "bytes", "count"};
  static char* keys[] = {names[0], names[1], names[2], names[3], names[4], nullptr};
  Unsigned place, born, died;
  Long bytes, count;
  if (!PyArg_ParseTupleAndKeywords(args, keywords, "O&O&O&O&O&:Lifetimes", keys, Unsigned::read,
                                   &place, Unsigned::read, &born, Unsigned::read, &died, Long::read,
                                   &bytes, Long::read, &count)) {
    return nullptr;
  }
  for (size_t size : {born.size, died.size, bytes.size, count.size}) {
    if (!require(size == place.size, "the columns are not of one length")) return nullptr;
  }
  memdeep::Rows rows;
  auto work = [&] {
    rows.reserve(place.size);
    for (size_t at = 0; at < place.size; ++at) {
      rows.push_back({place[at], born[at], died[at], bytes[at], count[at]});
    }
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
  Unsigned places, coarse;
  long long small;
  if (!PyArg_ParseTuple(args, "O&O&L:charged", Unsigned::read, &places, Unsigned::read, &coarse,
                        &small) ||
      !have_places(rows_of(self), std::min(places.size, coarse.size))) {
    return nullptr;
  }
  memdeep::Rows rows;
  auto work = [&] { rows = memdeep::charged(rows_of(self), places.items, coarse.items, small); };
  return guarded(work) ? lifetimes_of(Py_TYPE(self), std::move(rows)) : nullptr;
}

PyObject* without(PyObject* self, PyObject* args) {
  const char* marks;
  Py_ssize_t size;
  if (!PyArg_ParseTuple(args, "y#:without", &marks, &size) ||
      !have_places(rows_of(self), size_t(size))) {
    return nullptr;
  }
  memdeep::Rows rows;
  auto work = [&] {
    rows = memdeep::without(rows_of(self), reinterpret_cast<const uint8_t*>(marks));
  };
  return guarded(work) ? lifetimes_of(Py_TYPE(self), std::move(rows)) : nullptr;
}

PyObject* in_order(PyObject* self, PyObject*) {
  memdeep::Rows rows;
  auto work = [&] { rows = memdeep::in_order(rows_of(self)); };
  return guarded(work) ? lifetimes_of(Py_TYPE(self), std::move(rows)) : nullptr;
}

PyObject* allocated_by(PyObject* self, PyObject*) {
  memdeep::Alive found;
  auto work = [&] { found = memdeep::allocated(rows_of(self)); };
  return guarded(work) ? columns_of(found) : nullptr;
}

PyObject* size_of_rank(PyObject* self, PyObject* args) {
  Py_ssize_t rank;
  if (!PyArg_ParseTuple(args, "n:size_of_rank", &rank)) return nullptr;
  if (!require(rank >= 0 && size_t(rank) < rows_of(self).size(), "there are fewer rows")) {
    return nullptr;
  }
  int64_t size = 0;
  auto work = [&] { size = memdeep::size_of_rank(rows_of(self), size_t(rank)); };
  return guarded(work) ? PyLong_FromLongLong(size) : nullptr;
}

PyObject* alive_at(PyObject* self, PyObject* args) {
  unsigned checkpoint;
  if (!PyArg_ParseTuple(args, "I:alive_at", &checkpoint)) return nullptr;
  if (!require(checkpoint < memdeep::kNever, "there is no such checkpoint")) return nullptr;
  memdeep::Alive alive;
  auto work = [&] {
    const memdeep::Rows& rows = rows_of(self);
    memdeep::AliveSums sums(memdeep::places_of(rows));
    auto same = [](uint32_t place) { return place; };
    memdeep::add_alive(rows, checkpoint + 1, same, sums);
    alive = sums.release();
  };
  return guarded(work) ? columns_of(alive) : nullptr;
}

PyObject* heap_at(PyObject* self, PyObject* args) {
  Py_ssize_t checkpoints;
  if (!PyArg_ParseTuple(args, "n:heap_at", &checkpoints)) return nullptr;
  if (!require(checkpoints >= 0, "there are no fewer checkpoints than none")) return nullptr;
  std::vector<int64_t> heap;
  auto work = [&] { heap = memdeep::heap_at(rows_of(self), size_t(checkpoints)); };
  return guarded(work) ? packed(heap) : nullptr;
}

PyObject* moved(PyObject* self, PyObject* args) {
  Unsigned phases, starts, ends, groups;
  Py_ssize_t phase_count;
  if (!PyArg_ParseTuple(args, "O&O&O&nO&:moved", Unsigned::read, &phases, Unsigned::read, &starts,
                        Unsigned::read, &ends, &phase_count, Unsigned::read, &groups) ||
      !require(phases.size == starts.size && phases.size == ends.size,
               "the columns are not of one length") ||
      !require(phases.is_within(0, size_t(phase_count)) && ends.is_within(0, memdeep::kNever),
               "a stretch is of no phase") ||
      !have_places(rows_of(self), groups.size)) {
    return nullptr;
  }
  memdeep::Moved found;
  auto work = [&] {
    std::vector<memdeep::Stretch> stretches;
    for (size_t at = 0; at < phases.size; ++at) {
      stretches.push_back({phases[at], starts[at], ends[at]});
    }
    found = memdeep::moved(rows_of(self), stretches, size_t(phase_count), groups.items,
                           span(groups.items, groups.size));
  };
  if (!guarded(work)) return nullptr;
  auto same = [](auto value) { return value; };
  Fields fields;
  fields.put("retained", columns_of(found.retained));
  fields.put("freed", columns_of(found.freed));
  fields.put("kept", columns_of(found.kept));
  fields.column("retained_groups", found.retained_groups, same);
  fields.column("freed_groups", found.freed_groups, same);
  fields.column("kept_groups", found.kept_groups, same);
  fields.column("kept_bytes", found.kept_bytes, same);
  fields.column("churn_bytes", found.churn_bytes, same);
  fields.column("churn_count", found.churn_count, same);
  return fields.release();
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
  };
  return guarded(work) ? packed(shares) : nullptr;
}

PyMethodDef lifetime_methods[] = {
    {"columns", lifetime_columns, METH_NOARGS, "The rows, each column as the bytes of an array."},
    {"charged", charged, METH_VARARGS,
     "charged(places, coarse, small): the same bytes by the place that stands there for each; rows "
     "of at most so many bytes by that in `coarse`."},
    {"without", without, METH_VARARGS,
     "without(marks): the same rows but for those of places that have a byte other than 0 there."},
    {"in_order", in_order, METH_NOARGS, "The same rows by place, then by birth."},
    {"allocated", allocated_by, METH_NOARGS, "What each place allocated, as they are met."},
    {"size_of_rank", size_of_rank, METH_VARARGS,
     "size_of_rank(rank): the bytes of that row by size, the largest being of rank 0."},
    {"alive_at", alive_at, METH_VARARGS,
     "alive_at(checkpoint): what each place holds there."},
    {"heap_at", heap_at, METH_VARARGS,
     "heap_at(checkpoints): the bytes alive at each of so many, from the first."},
    {"moved", moved, METH_VARARGS,
     "moved(phase, start, end, phases, groups): for each of so many phases what was retained and "
     "freed in its stretches, and kept where there are several, by groups of places; how much was "
     "kept, and the churn."},
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

PyType_Spec lifetimes_spec = {"memdeep.heap.replay._replay.Lifetimes", sizeof(Lifetimes), 0,
                              Py_TPFLAGS_DEFAULT, lifetime_slots};

}  // namespace
