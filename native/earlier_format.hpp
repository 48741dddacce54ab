// The list of what was allocated before a trace began; memdeep/rundir/earlier.py has the same, in Python.
//
//   head      "mdearly1", u64 nanoseconds that the program stood still for it
//   record    varint gap * 4 + kind, varint size in bytes; the gap is a zigzag number of words of 8 bytes
//             from the end of the last one, which is rounded up to one
//   end       varint kEarlierEnd, varint number of records, varint sum of their sizes
//
// A varint has 7 bits a byte, least significant first, bit 7 set on all but the last.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace memdeep {

constexpr char kEarlierBegin[] = "mdearly1";
constexpr size_t kEarlierHead = 16;
enum EarlierKind : uint64_t { kEarlierBlock = 1, kEarlierMapping = 2, kEarlierEnd = 3 };

// Calls `take(kind, address, size)` for each record; false if the list is not whole.
template <class Take>
bool read_earlier(const uint8_t* from, size_t bytes, Take take) {
  if (bytes < kEarlierHead || memcmp(from, kEarlierBegin, 8) != 0) return false;
  const uint8_t* end = from + bytes;
  from += kEarlierHead;
  auto varint = [&](uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64 && from < end; shift += 7) {
      const uint64_t byte = *from++;
      value |= (byte & 127) << shift;
      if (byte < 128) return true;
    }
    return false;
  };
  uint64_t at = 0, count = 0, sum = 0, head, size;
  while (varint(head) && varint(size)) {
    if (head == kEarlierEnd) {
      uint64_t told;
      return varint(told) && size == count && told == sum && from == end;
    }
    const uint64_t kind = head & 3, gap = head >> 2;
    at += ((gap >> 1) ^ (~(gap & 1) + 1)) << 3;
    if ((kind != kEarlierBlock && kind != kEarlierMapping) || !take(kind, at, size)) return false;
    ++count;
    sum += size;
    at = (at + size + 7) & ~uint64_t{7};
  }
  return false;
}

}  // namespace memdeep
