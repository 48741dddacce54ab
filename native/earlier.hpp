// Puts what was allocated before a trace began into the books: blocks and mappings of one site, in a
// segment of their own that ends when the trace begins. So their frees are known for what they are.

#pragma once

#include <algorithm>

#include "account.hpp"
#include "earlier_format.hpp"

namespace memdeep {

struct Earlier {
  uint32_t site = 0;  // all of them belong to it; 0: nothing is known
  uint64_t count = 0, bytes = 0;
};

// Calls `put(is_mapping, address, size)` for each entry of a list, in its order; false, before the first
// of them, if the list is not whole or names what cannot be.
template <class Put>
bool take_earlier(const uint8_t* list, size_t bytes, Earlier& earlier, Put put) {
  auto check = [&](uint64_t kind, uint64_t address, uint64_t size) {
    const bool is_mapping = kind == kEarlierMapping;
    const bool holds = address != 0 && address >> 3 < kMaxAddress && size != 0 && size < kMaxSize;
    if (!holds || (is_mapping && address + size >= kMaxAddress << 3)) return false;
    ++earlier.count;
    earlier.bytes += size;
    return true;
  };
  if (!read_earlier(list, bytes, check)) return earlier = {}, false;
  return read_earlier(list, bytes, [&](uint64_t kind, uint64_t address, uint64_t size) {
    put(kind == kEarlierMapping, address, size);
    return true;
  });
}

}  // namespace memdeep
