// The live allocations at one moment, by address. Knows neither sites nor objects.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace memdeep {

constexpr size_t kMostBlocks = size_t{32} << 20;  // kept at one time, of all moments: 24 bytes each

struct Block {
  uint64_t address, size;
  uint32_t site;
  uint32_t is_mapping;  // 1 for what an mmap left
};

using BlockList = std::vector<Block>;

inline void sort_by_address(BlockList& blocks) {
  std::sort(blocks.begin(), blocks.end(), [](const Block& one, const Block& other) {
    return one.address < other.address;
  });
}

}  // namespace memdeep
