// Joins the live allocations of one moment with the objects of that moment: what each allocation is,
// who holds it, and how surely that is known. Knows numbers of nodes, types and holders; knows no name.
//
// A block is an object's own if the object begins in it at one of a few offsets: behind the head of
// Python's collector, and behind that of a managed dictionary. It is owned if a word of an object
// points into it; a word to its start counts more than one into it, and most the word of an object
// that is as large as the block, for views of an array point into it too. Blocks with objects at other
// places are pools, as are mappings with objects: their bytes are shared by these objects, after the
// bytes of each that lie in blocks of its own, and what is left of them is unknown. Each byte of a
// block is given once.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "numbers.hpp"

namespace memdeep {

enum Joined : uint8_t { kUnknown, kOwn, kOwned, kShared };

constexpr uint32_t kNobody = 0xFFFFFFFF;
constexpr uint8_t kNoState = 0xFF;

struct JoinBlocks {  // columns, by ascending address
  const uint64_t *address, *size;
  const int32_t* node;
  const uint8_t* is_mapping;
  size_t count;
};

struct JoinObjects {  // columns, by ascending address; the words are (pointer, owner)
  const uint64_t *address, *size;
  const uint32_t *kind, *holder;
  const uint8_t* state;
  size_t count;
  const uint64_t* pointer;
  const uint32_t* owner;
  size_t words;
};

struct JoinRow {
  int32_t node;
  uint32_t kind, holder;
  uint8_t state, how;
  uint64_t bytes, objects;
};

class Join {
 public:
  Join(const JoinBlocks& blocks, const JoinObjects& objects)
      : blocks_(blocks),
        objects_(objects),
        owner_(blocks.count, kNobody),
        how_(blocks.count, kUnknown),
        given_(objects.count, 0) {}

  std::vector<JoinRow> rows() {
    find_own();
    find_owned();
    for (size_t block = 0; block < blocks_.count; ++block) {
      if (how_[block] == kOwn || how_[block] == kOwned) {
        const uint32_t object = owner_[block];
        if (how_[block] == kOwned) given_[object] += blocks_.size[block];
        add(block, object, how_[block], blocks_.size[block], how_[block] == kOwn ? 1 : 0);
      } else if (how_[block] == kUnknown) {
        add_unknown(block, blocks_.size[block]);
      }
    }
    share();
    std::sort(rows_.begin(), rows_.end(), [](const JoinRow& one, const JoinRow& other) {
      return key(one) < key(other);
    });
    return std::move(rows_);
  }

 private:
  using Key = std::pair<std::pair<int32_t, uint32_t>, std::pair<uint32_t, uint32_t>>;

  enum Sureness : uint8_t { kNo, kInside, kStart, kWholeInside, kWholeStart };

  static Key key(const JoinRow& row) {
    return {{row.node, row.kind}, {row.holder, uint32_t(row.state) << 8 | row.how}};
  }

  bool is_in(uint64_t address, size_t block) const {
    return address - blocks_.address[block] < blocks_.size[block];
  }

  // Calls `visit` with each object that lies in a block, and that block.
  template <class Visit>
  void each_inside(Visit visit) const {
    size_t next = 0;
    for (size_t object = 0; object < objects_.count; ++object) {
      const uint64_t address = objects_.address[object];
      while (next < blocks_.count && blocks_.address[next] <= address) ++next;
      if (next != 0 && is_in(address, next - 1)) visit(object, next - 1);
    }
  }

  void find_own() {
    each_inside([this](size_t object, size_t block) {
      const uint64_t offset = objects_.address[object] - blocks_.address[block];
      const bool is_head = offset == 0 || offset == 16 || offset == 32;
      if (how_[block] == kOwn) return;
      if (is_head && blocks_.is_mapping[block] == 0) {
        how_[block] = kOwn;
        owner_[block] = uint32_t(object);
      } else {
        how_[block] = kShared;
      }
    });
  }

  void find_owned() {
    std::vector<uint8_t> sureness(blocks_.count, kNo);
    for (size_t word = 0; word < objects_.words; ++word) {
      const uint64_t pointer = objects_.pointer[word];
      const uint64_t* end = blocks_.address + blocks_.count;
      const auto block = size_t(std::upper_bound(blocks_.address, end, pointer) - blocks_.address);
      if (block == 0) continue;
      const size_t at = block - 1;
      const bool is_start = pointer == blocks_.address[at];
      const bool is_free = how_[at] == kUnknown || how_[at] == kOwned;
      if (!is_free || (!is_start && !is_in(pointer, at))) continue;
      const uint32_t object = objects_.owner[word];
      const bool is_whole = objects_.size[object] >= blocks_.size[at];
      const uint8_t sure = is_whole ? (is_start ? kWholeStart : kWholeInside)
                                    : (is_start ? kStart : kInside);
      if (sure <= sureness[at]) continue;
      sureness[at] = sure;
      how_[at] = kOwned;
      owner_[at] = object;
    }
  }

  // The bytes of an object that may lie in a pool.
  uint64_t weight(size_t object) const {
    const uint64_t size = objects_.size[object];
    return size > given_[object] ? std::min(size - given_[object], kMaxWeight) : 1;
  }

  void share() {
    std::unordered_map<size_t, std::pair<uint64_t, uint64_t>> pools;  // all weights; those so far
    each_inside([&](size_t object, size_t block) {
      if (how_[block] == kShared) pools[block].first += weight(object);
    });
    each_inside([&](size_t object, size_t block) {
      if (how_[block] != kShared) return;
      auto& [all, before] = pools[block];
      const uint64_t after = before + weight(object);
      add(block, uint32_t(object), kShared, part(block, after, all) - part(block, before, all), 1);
      before = after;
    });
    for (const auto& [block, weights] : pools) {
      const uint64_t size = blocks_.size[block];
      if (weights.first < size) add_unknown(block, size - weights.first);
    }
  }

  // What the first `weights` of `all` have of the bytes of a pool.
  uint64_t part(size_t block, uint64_t weights, uint64_t all) const {
    const uint64_t size = blocks_.size[block];
    if (all <= size) return weights;
    return uint64_t(static_cast<unsigned __int128>(size) * weights / all);
  }

  void add_unknown(size_t block, uint64_t bytes) {
    put({blocks_.node[block], kNobody, kNobody, kNoState, kUnknown, bytes, 0});
  }

  void add(size_t block, uint32_t object, uint8_t how, uint64_t bytes, uint64_t objects) {
    put({blocks_.node[block], objects_.kind[object], objects_.holder[object],
         objects_.state[object], how, bytes, objects});
  }

  void put(const JoinRow& row) {
    auto is_same = [&](uint32_t number) { return key(rows_[number - 1]) == key(row); };
    const uint64_t hash = mix(uint64_t(uint32_t(row.node)) << 32 | row.kind,
                              uint64_t(row.holder) << 16 | uint32_t(row.state) << 8 | row.how);
    uint32_t& number = numbers_.at(hash, is_same);
    if (number == 0) {
      rows_.push_back(row);
      number = uint32_t(rows_.size());
    } else {
      rows_[number - 1].bytes += row.bytes;
      rows_[number - 1].objects += row.objects;
    }
  }

  static constexpr uint64_t kMaxWeight = uint64_t{1} << 40;

  const JoinBlocks& blocks_;
  const JoinObjects& objects_;
  std::vector<uint32_t> owner_;  // of each block, the object
  std::vector<uint8_t> how_;
  std::vector<uint64_t> given_;  // of each object, the bytes of the blocks that it owns
  std::vector<JoinRow> rows_;
  Numbers numbers_;
};

}  // namespace memdeep
