// The join of allocations and objects as a function of Python's.

#pragma once

#include "join.hpp"
#include "python_values.hpp"

namespace {

template <class Item>
bool is_ascending(const Column<Item>& items) {
  return std::is_sorted(items.begin(), items.end());
}

PyObject* join(PyObject*, PyObject* args) {
  UnsignedLong address, size, object_address, object_size, pointer;
  Unsigned kind, holder, owner;
  Signed node;
  Bytes is_mapping, state;
  if (!PyArg_ParseTuple(args, "O&O&O&O&O&O&O&O&O&O&O&:join", UnsignedLong::read, &address,
                        UnsignedLong::read, &size, Signed::read, &node, Bytes::read, &is_mapping,
                        UnsignedLong::read, &object_address, UnsignedLong::read, &object_size,
                        Unsigned::read, &kind, Unsigned::read, &holder, Bytes::read, &state,
                        UnsignedLong::read, &pointer, Unsigned::read, &owner)) {
    return nullptr;
  }
  const size_t objects = object_address.size;
  const bool holds =
      require(size.size == address.size && node.size == address.size &&
                  is_mapping.size == address.size && object_size.size == objects &&
                  kind.size == objects && holder.size == objects && state.size == objects &&
                  owner.size == pointer.size,
              "the columns are not of one length") &&
      require((address.size | objects) >> 32 == 0, "there are too many") &&
      require(is_ascending(address) && is_ascending(object_address), "they are not in order") &&
      require(std::all_of(owner.begin(), owner.end(), [=](uint32_t one) { return one < objects; }),
              "an owner is no object");
  if (!holds) return nullptr;
  const memdeep::JoinBlocks blocks{address.items, size.items, node.items, is_mapping.items,
                                   address.size};
  const memdeep::JoinObjects of_moment{object_address.items, object_size.items, kind.items,
                                       holder.items,         state.items,       objects,
                                       pointer.items,        owner.items,       pointer.size};
  std::vector<memdeep::JoinRow> rows;
  if (!guarded([&] { rows = memdeep::Join(blocks, of_moment).rows(); })) return nullptr;
  using memdeep::JoinRow;
  Fields fields;
  fields.column("node", rows, [](const JoinRow& row) { return row.node; });
  fields.column("kind", rows, [](const JoinRow& row) { return row.kind; });
  fields.column("holder", rows, [](const JoinRow& row) { return row.holder; });
  fields.column("state", rows, [](const JoinRow& row) { return row.state; });
  fields.column("how", rows, [](const JoinRow& row) { return row.how; });
  fields.column("bytes", rows, [](const JoinRow& row) { return row.bytes; });
  fields.column("objects", rows, [](const JoinRow& row) { return row.objects; });
  return fields.release();
}

}  // namespace
