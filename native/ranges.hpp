// Adds up, over ranges of addresses that do not overlap, the bytes of allocations that lie in them.
// Knows neither where the ranges come from nor what a site is.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

namespace memdeep {

// Columns, by address; `by_site` marks the ranges whose sites are asked for.
struct AddressRanges {
  std::vector<uint64_t> start, end;
  std::vector<uint8_t> by_site;

  // Whether the columns are of one length and the ranges come one after another.
  bool is_in_order() const {
    if (start.size() != end.size() || start.size() != by_site.size()) return false;
    for (size_t at = 0; at < start.size(); ++at) {
      if (start[at] > end[at] || (at != 0 && end[at - 1] > start[at])) return false;
    }
    return start.size() >> 32 == 0;
  }
  template <class File>
  void visit(File& file) {
    file(start, end, by_site);
  }
};

struct Found {
  std::vector<uint64_t> alive;  // by range
  std::vector<uint32_t> range, site;  // columns of one entry each, by range, then by site
  std::vector<int64_t> bytes, count;
  template <class File>
  void visit(File& file) {
    file(alive, range, site, bytes, count);
  }
};

class RangeSums {
 public:
  explicit RangeSums(const AddressRanges& ranges) : ranges_(ranges) {
    found_.alive.resize(ranges.start.size());
  }

  // An allocation in several ranges counts in the first of them as one, and as none in the others.
  void add(uint64_t start, uint64_t size, uint32_t site) {
    const uint64_t end = start + size;
    int64_t count = 1;
    for (size_t place = first_at(start); place < ranges_.start.size(); ++place) {
      const uint64_t from = std::max(start, ranges_.start[place]);
      const uint64_t to = std::min(end, ranges_.end[place]);
      if (ranges_.start[place] >= end) break;
      if (from >= to) continue;
      found_.alive[place] += to - from;
      if (ranges_.by_site[place] == 0) continue;
      auto& [bytes, allocations] = sums_[uint64_t(place) << 32 | site];
      bytes += int64_t(to - from);
      allocations += std::exchange(count, 0);
    }
  }

  Found release() {
    std::vector<uint64_t> keys;
    keys.reserve(sums_.size());
    for (const auto& [key, sum] : sums_) keys.push_back(key);
    std::sort(keys.begin(), keys.end());
    for (uint64_t key : keys) {
      const auto [bytes, count] = sums_[key];
      found_.range.push_back(uint32_t(key >> 32));
      found_.site.push_back(uint32_t(key));
      found_.bytes.push_back(bytes);
      found_.count.push_back(count);
    }
    return std::move(found_);
  }

 private:
  // The first range that ends behind `address`. Allocations often follow one another.
  size_t first_at(uint64_t address) {
    const std::vector<uint64_t>& ends = ranges_.end;
    const bool is_same = last_ < ends.size() && address < ends[last_] &&
                         (last_ == 0 || address >= ends[last_ - 1]);
    if (!is_same) {
      last_ = size_t(std::upper_bound(ends.begin(), ends.end(), address) - ends.begin());
    }
    return last_;
  }

  const AddressRanges& ranges_;
  std::unordered_map<uint64_t, std::pair<int64_t, int64_t>> sums_;
  Found found_;
  size_t last_ = 0;
};

}  // namespace memdeep
