// Bytes between the segments in which they were allocated and freed, by whatever they are charged
// to: adds them up anew by other places, by phases, and by what was alive. Knows neither where the
// figures come from nor what a place stands for.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "alive.hpp"
#include "numbers.hpp"

namespace memdeep {

constexpr uint32_t kNever = 0xFFFFFFFF;  // the segment of a free that did not happen

struct Row {  // bytes and allocations of a place, from one segment to another
  uint32_t place, born, died;
  int64_t bytes, count;
  template <class File>
  void visit(File& file) {
    file(place, born, died, bytes, count);
  }
};

using Rows = std::vector<Row>;

// Adds up the rows of one place, birth and death, in the order in which they are met.
class Sums {
 public:
  void add(const Row& row) {
    auto is_same = [&](uint32_t number) {
      const Row& known = rows_[number - 1];
      return known.place == row.place && known.born == row.born && known.died == row.died;
    };
    uint32_t& number = numbers_.at(mix(uint64_t{row.place} << 32 | row.born, row.died), is_same);
    if (number == 0) {
      rows_.push_back(row);
      number = uint32_t(rows_.size());
    } else {
      rows_[number - 1].bytes += row.bytes;
      rows_[number - 1].count += row.count;
    }
  }

  Rows release() { return std::move(rows_); }

 private:
  Rows rows_;
  Numbers numbers_;  // of the rows, from 1
};

// `rows`, charged to the places that `places` has for theirs; those of at most `small` bytes to
// those that `coarse` has.
inline Rows charged(const Rows& rows, const uint32_t* places, const uint32_t* coarse,
                    int64_t small) {
  Sums sums;
  for (const Row& row : rows) {
    const uint32_t place = (row.bytes > small ? places : coarse)[row.place];
    sums.add({place, row.born, row.died, row.bytes, row.count});
  }
  return sums.release();
}

// The rows of all places but those that `is_out` marks.
inline Rows without(const Rows& rows, const uint8_t* is_out) {
  Rows rest;
  for (const Row& row : rows) {
    if (!is_out[row.place]) rest.push_back(row);
  }
  return rest;
}

// The rows by place, then by birth; those that are alike in both stay as they come.
inline Rows in_order(Rows rows) {
  std::stable_sort(rows.begin(), rows.end(), [](const Row& one, const Row& other) {
    return std::pair(one.place, one.born) < std::pair(other.place, other.born);
  });
  return rows;
}

// A bound of the places of `rows`.
inline size_t places_of(const Rows& rows) {
  size_t places = 0;
  for (const Row& row : rows) places = std::max(places, size_t{row.place} + 1);
  return places;
}

// All that each place allocated.
inline Alive allocated(const Rows& rows) {
  AliveSums sums(places_of(rows));
  for (const Row& row : rows) sums.add(row.place, row.bytes, row.count);
  return sums.release();
}

// The bytes of the row of that rank by size; the largest is of rank 0. There must be one.
inline int64_t size_of_rank(const Rows& rows, size_t rank) {
  std::vector<int64_t> sizes;
  for (const Row& row : rows) sizes.push_back(row.bytes);
  const auto place = sizes.begin() + std::ptrdiff_t(rank);
  std::nth_element(sizes.begin(), place, sizes.end(), std::greater<int64_t>());
  return *place;
}

// Adds `rows` of segments to what was `kept` from one checkpoint to another, and what had `passed`
// before the next one. `ends` has for each segment the first checkpoint at its end or after it;
// kNever for one after the last.
inline void at_checkpoints(const Rows& rows, const uint32_t* places, const uint32_t* ends,
                           Sums& kept, Sums& passed) {
  for (const Row& row : rows) {
    const uint32_t born = ends[row.born];
    if (born == kNever) continue;
    const uint32_t died = row.died == kNever ? kNever : ends[row.died];
    (born == died ? passed : kept).add({places[row.place], born, died, row.bytes, row.count});
  }
}

// Adds what was there when a segment began, by the places that `place_of` has for those of `rows`.
template <class PlaceOf>
void add_alive(const Rows& rows, uint32_t segment, PlaceOf place_of, AliveSums& sums) {
  for (const Row& row : rows) {
    if (row.born < segment && row.died >= segment) {
      sums.add(place_of(row.place), row.bytes, row.count);
    }
  }
}

// The bytes that are alive at each of so many checkpoints.
inline std::vector<int64_t> heap_at(const Rows& rows, size_t checkpoints) {
  std::vector<int64_t> heap(checkpoints);
  for (const Row& row : rows) {
    if (row.born < checkpoints) heap[row.born] += row.bytes;
    if (row.died < checkpoints) heap[row.died] -= row.bytes;
  }
  for (size_t place = 1; place < checkpoints; ++place) heap[place] += heap[place - 1];
  return heap;
}

struct Stretch {  // of a phase: the segments (start, end]
  uint32_t phase, start, end;
};

// What phases did, those of the first before those of the next. `retained` was allocated in a
// stretch and still there at its end; `freed` was there at the start of a stretch and not at its end.
// `kept` was still there at the end of the last stretch: of phases with one stretch that is what they
// retained, and not told again. All are by groups of places, so many of each phase. Churn was allocated
// and freed within a stretch.
struct Moved {
  Alive retained, freed, kept;
  std::vector<uint32_t> retained_groups, freed_groups, kept_groups;
  std::vector<int64_t> kept_bytes, churn_bytes, churn_count;
};

// Adds up the rows of each phase, of which `born` is the number, by groups.
inline void append_by_group(const Rows& rows, size_t phases, const uint32_t* groups,
                            Entries& entries, Alive& all, std::vector<uint32_t>& sizes) {
  if (rows.empty()) return sizes.resize(phases);
  std::vector<Alive> by_phase(phases);
  for (const Row& row : rows) append(by_phase[row.born], row.place, row.bytes, row.count);
  for (const Alive& alive : by_phase) {
    const Alive summed = by_group(alive, groups, entries);
    for (size_t entry = 0; entry < summed.size(); ++entry) {
      append(all, summed.node[entry], summed.bytes[entry], summed.count[entry]);
    }
    sizes.push_back(uint32_t(summed.size()));
  }
}

// What each of so many phases did in its stretches. `groups` has one of `group_count` for each place.
inline Moved moved(const Rows& rows, const std::vector<Stretch>& stretches, size_t phases,
                   const uint32_t* groups, size_t group_count) {
  uint32_t segments = 0;
  std::vector<uint32_t> last_ends(phases), repeats(phases);
  for (const Stretch& stretch : stretches) {
    ++repeats[stretch.phase];
    segments = std::max(segments, stretch.end + 1);
    last_ends[stretch.phase] = std::max(last_ends[stretch.phase], stretch.end);
  }
  std::vector<std::vector<Stretch>> around(segments);
  for (const Stretch& stretch : stretches) {
    for (uint32_t segment = stretch.start + 1; segment <= stretch.end; ++segment) {
      around[segment].push_back(stretch);
    }
  }
  Moved found;
  for (auto* column : {&found.kept_bytes, &found.churn_bytes, &found.churn_count}) {
    column->resize(phases);
  }
  Sums retained, freed, kept;  // by place and phase
  for (const Row& row : rows) {
    if (row.born < segments) {
      for (const Stretch& stretch : around[row.born]) {
        if (row.died > stretch.end) {
          retained.add({row.place, stretch.phase, 0, row.bytes, row.count});
        } else {
          found.churn_bytes[stretch.phase] += row.bytes;
          found.churn_count[stretch.phase] += row.count;
        }
        if (row.died > last_ends[stretch.phase]) {
          found.kept_bytes[stretch.phase] += row.bytes;
          if (repeats[stretch.phase] > 1) kept.add({row.place, stretch.phase, 0, row.bytes, row.count});
        }
      }
    }
    if (row.died < segments) {
      for (const Stretch& stretch : around[row.died]) {
        if (row.born <= stretch.start) {
          freed.add({row.place, stretch.phase, 0, row.bytes, row.count});
        }
      }
    }
  }
  Entries entries(group_count);
  append_by_group(retained.release(), phases, groups, entries, found.retained,
                  found.retained_groups);
  append_by_group(freed.release(), phases, groups, entries, found.freed, found.freed_groups);
  append_by_group(kept.release(), phases, groups, entries, found.kept, found.kept_groups);
  return found;
}

// By place, the largest share it has of all that was allocated in one segment, of `kept` and
// `passed` together. A segment in which less was allocated than `small` of the most counts as that.
inline std::vector<double> largest_shares(const Rows& kept, const Rows& passed, size_t place_count,
                                          double small) {
  Sums by_birth;
  std::vector<int64_t> totals;
  for (const Rows* rows : {&kept, &passed}) {
    for (const Row& row : *rows) {
      by_birth.add({row.place, row.born, 0, row.bytes, row.count});
      if (row.born >= totals.size()) totals.resize(size_t{row.born} + 1);
      totals[row.born] += row.bytes;
    }
  }
  const int64_t most = totals.empty() ? 0 : *std::max_element(totals.begin(), totals.end());
  std::vector<double> shares(place_count);
  for (const Row& row : by_birth.release()) {
    const double whole = std::max(double(totals[row.born]), small * double(most));
    if (row.bytes > 0) shares[row.place] = std::max(shares[row.place], double(row.bytes) / whole);
  }
  return shares;
}

}  // namespace memdeep
