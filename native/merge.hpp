// Which segments of a replay become one. Knows nothing of what is in them.

#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace memdeep {

// Joins each segment below `until` with the one before it, but for the first and for those that
// `starts` lists, in order. From `until` on all stay as they are, with smaller numbers.
class Merge {
 public:
  Merge(uint32_t until, const std::vector<uint32_t>& starts, int64_t period_ms)
      : until_(until), period_ms_(period_ms), numbers_(size_t{until} + 1) {
    uint32_t number = 0;
    for (uint32_t segment = 1; segment <= until; ++segment) {
      const bool stays = segment == until || std::binary_search(starts.begin(), starts.end(), segment);
      numbers_[segment] = number += stays;
    }
  }

  uint32_t until() const { return until_; }
  // Of windows that end at memory records below `until`, the last of each period stays; 0: all do.
  int64_t period_ms() const { return period_ms_; }

  // The number that a segment gets.
  uint32_t of(uint32_t segment) const {
    return segment < until_ ? numbers_[segment] : segment - (until_ - numbers_[until_]);
  }

  // Whether the beginning of a segment is still one.
  bool begins(uint32_t segment) const { return segment == 0 || of(segment) != of(segment - 1); }

 private:
  uint32_t until_;
  int64_t period_ms_;
  std::vector<uint32_t> numbers_;
};

}  // namespace memdeep
