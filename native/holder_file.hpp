// Writes what a walk found; memdeep/rundir/graph.py says what is where.

#pragma once

#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "holder_rows.hpp"

namespace memdeep {

constexpr char kFileBegin[] = "mdholds1", kFileEnd[] = "mdholds.";
constexpr uint8_t kGarbage = 0, kNamed = 1, kHeldByC = 2, kOwn = 3;

inline uint64_t now_ns() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return uint64_t(time.tv_sec) * 1'000'000'000 + uint64_t(time.tv_nsec);
}

// For the forked child alone: it ends where the file cannot be written.
class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) { buffer_.reserve(kBufferBytes); }

  void put(const void* content, size_t size) {
    auto from = static_cast<const char*>(content);
    while (size) {
      if (buffer_.count == kBufferBytes) flush();
      const size_t part = size < kBufferBytes - buffer_.count ? size : kBufferBytes - buffer_.count;
      memcpy(buffer_.items + buffer_.count, from, part);
      buffer_.count += part, total_ += part, from += part, size -= part;
    }
  }
  void word(uint64_t value) { put(&value, sizeof value); }
  void half(uint32_t value) { put(&value, sizeof value); }
  void pad() {
    static const char zeros[8] = {};
    put(zeros, (8 - total_ % 8) % 8);
  }

  void flush() {
    for (size_t at = 0; at < buffer_.count;) {
      const ssize_t done = write(descriptor_, buffer_.items + at, buffer_.count - at);
      if (done < 0 && errno != EINTR) give_up(kNotWritten, uint64_t(errno));
      if (done > 0) at += size_t(done);
    }
    buffer_.count = 0;
  }

 private:
  static constexpr size_t kBufferBytes = size_t{1} << 20;
  int descriptor_;
  Mapped<char> buffer_;
  size_t total_ = 0;
};

struct Found {
  uint64_t sequence, began_ns;
  bool is_collecting;
  const char* off_at = "";  // where the collector was turned off, as far as it is known
  Mapped<uint8_t> states;
  Mapped<uint32_t> parents;  // on the shortest way
};

// The nodes of all objects by ascending address.
template <class Heap>
void sort_by_address(const Heap& heap, Mapped<uint32_t>& order) {
  struct Item {
    uint64_t address;
    uint32_t node;
  };
  constexpr int kBits = 11, kBuckets = 1 << kBits;  // four of them, and the 3 that are always 0
  const size_t count = heap.nodes() - 2;
  Mapped<Item> from, to;
  from.reserve(count), to.reserve(count);
  for (size_t at = 0; at < count; at++)
    from[at] = {heap.addresses[at + 2], uint32_t(at + 2)};
  for (int shift = 3; shift < 47; shift += kBits) {
    size_t places[kBuckets + 1] = {};
    for (size_t at = 0; at < count; at++)
      places[(from[at].address >> shift & (kBuckets - 1)) + 1]++;
    for (int bucket = 0; bucket < kBuckets; bucket++) places[bucket + 1] += places[bucket];
    for (size_t at = 0; at < count; at++)
      to[places[from[at].address >> shift & (kBuckets - 1)]++] = from[at];
    const Mapped<Item> other = from;
    from = to, to = other;
  }
  order.reserve(count);
  for (size_t at = 0; at < count; at++) order.push(from[at].node);
  from.drop(), to.drop();
}

template <class Text, class Heap, class Names>
void write_file(int descriptor, const Heap& heap, const Names& names, Rows& rows,
                       const Found& found) {
  Text texts;
  Mapped<uint32_t> name_lengths;
  for (size_t at = 1; at < heap.types.count; at++) {
    const size_t begin = texts.characters.count;
    names.type_name(texts, heap.types[at].object);
    name_lengths.push(uint32_t(texts.characters.count - begin));
  }
  Mapped<Row> written;
  struct Lengths {
    uint32_t path, label, also;
    Other other;
  };
  Mapped<Lengths> lengths;
  for (size_t at = 1; at < rows.rows.count; at++) {
    const Row& row = rows.rows[at];
    if (row.number != written.count) continue;  // it belongs to one that was written
    const size_t begin = texts.characters.count;
    size_t last = begin;
    names.path(texts, found.parents, row.largest, last);
    const size_t end = texts.characters.count;
    if (last > begin && texts.characters[last] == ' ') last++;
    if (last > begin)
      for (size_t from = last; from < end; from++) texts.characters.push(texts.characters[from]);
    const size_t also = texts.characters.count;
    const Other& other = rows.others[at];
    if (other.node != kNobody) names.path(texts, found.parents, row.largest, last, other.node);
    lengths.push({uint32_t(end - begin), uint32_t(also - end),
                  uint32_t(texts.characters.count - also), other});
    written.push(row);
  }
  uint64_t off_at_bytes = 0;
  if (!found.is_collecting)
    for (const char* one = found.off_at; *one; one++, off_at_bytes++) texts.characters.push(*one);
  uint64_t garbage_bytes = 0, c_bytes = 0;
  for (uint32_t v = 2; v < heap.nodes(); v++) {
    if (found.states[v] == kGarbage) garbage_bytes += heap.sizes[v];
    if (found.states[v] == kHeldByC) c_bytes += heap.sizes[v];
  }
  Mapped<uint32_t> order, rank;
  sort_by_address(heap, order);
  rank.fill(heap.nodes(), 0);
  for (size_t at = 0; at < order.count; at++) rank[order[at]] = uint32_t(at);

  File file(descriptor);
  for (uint64_t value : {found.sequence, found.is_collecting | off_at_bytes << 32, uint64_t{order.count},
                         uint64_t{heap.pointers.count}, uint64_t{name_lengths.count},
                         uint64_t{written.count}, uint64_t{texts.characters.count}, garbage_bytes,
                         c_bytes, now_ns() - found.began_ns})
    file.word(value);
  for (size_t at = 0; at < order.count; at++) file.word(heap.addresses[order[at]]);
  for (size_t at = 0; at < order.count; at++) file.word(heap.sizes[order[at]]);
  file.put(heap.pointers.items, heap.pointers.count * sizeof(uint64_t));
  for (size_t at = 0; at < order.count; at++) file.half(heap.kinds[order[at]] - 1);
  file.pad();
  for (size_t at = 0; at < order.count; at++) file.half(rows.number(order[at]));
  file.pad();
  for (size_t at = 0; at < heap.owners.count; at++) file.half(rank[heap.owners[at]]);
  file.pad();
  for (size_t at = 0; at < order.count; at++) file.put(&found.states[order[at]], 1);
  file.pad();
  for (size_t at = 0; at < name_lengths.count; at++) file.half(name_lengths[at]);
  file.pad();
  for (size_t at = 0; at < written.count; at++) {
    const Row& row = written[at];
    file.half(row.parent ? rows.rows[row.parent].number : kNobody);
    file.half(row.kind - 1);
    file.half(lengths[at].path);
    file.half(lengths[at].label);
    file.half(lengths[at].also);
    file.half(lengths[at].other.count);
    file.half(row.is_single());
    file.half(0);
    file.word(row.own_bytes);
    file.word(row.retained_bytes);
    file.word(row.objects);
  }
  file.put(texts.characters.items, texts.characters.count);
  file.put(kFileEnd, 8);
  file.flush();
}

}  // namespace memdeep
