// Adds up what was alive at one moment: by the node of a stack tree, by groups of nodes, and by few
// nodes for many. Knows neither where the figures come from nor what a node stands for.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <tuple>
#include <utility>
#include <vector>

namespace memdeep {

// Columns: each node once, in the order in which they were met.
struct Alive {
  std::vector<uint32_t> node;
  std::vector<int64_t> bytes, count;
  size_t size() const { return node.size(); }
};

// Finds the entry of a number among those met so far.
class Entries {
 public:
  explicit Entries(size_t numbers) : entry_(numbers) {}

  // The entry of `number`; `is_new` if it is the next one.
  size_t of(uint32_t number, bool& is_new) {
    uint32_t& entry = entry_[number];
    is_new = entry == 0;
    if (is_new) entry = ++met_;
    return entry - 1;
  }

  // Makes room for others again.
  void forget(const std::vector<uint32_t>& numbers) {
    for (uint32_t number : numbers) entry_[number] = 0;
    met_ = 0;
  }

 private:
  std::vector<uint32_t> entry_;  // plus 1; 0 is none
  uint32_t met_ = 0;
};

inline void append(Alive& alive, uint32_t number, int64_t bytes, int64_t count) {
  alive.node.push_back(number);
  alive.bytes.push_back(bytes);
  alive.count.push_back(count);
}

// The indices of the `most` of each group, by group: those that do not come last first, then by size;
// equals in their order. The columns have `count` entries.
inline std::vector<uint32_t> ranked(const uint32_t* groups, const uint8_t* is_last,
                                    const int64_t* sizes, size_t count, size_t most) {
  std::vector<uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [=](uint32_t one, uint32_t other) {
    return std::tuple(groups[one], is_last[one], -sizes[one]) <
           std::tuple(groups[other], is_last[other], -sizes[other]);
  });
  std::vector<uint32_t> found;
  size_t begin = 0;  // of the group
  for (size_t at = 0; at < count; ++at) {
    if (groups[order[at]] != groups[order[begin]]) begin = at;
    if (at - begin < most) found.push_back(order[at]);
  }
  return found;
}

// Adds up by number, below a bound that is known; after a release, anew.
class AliveSums {
 public:
  explicit AliveSums(size_t numbers) : entries_(numbers) {}

  void add(uint32_t number, int64_t bytes, int64_t count) {
    bool is_new;
    const size_t entry = entries_.of(number, is_new);
    if (is_new) {
      append(alive_, number, bytes, count);
    } else {
      alive_.bytes[entry] += bytes;
      alive_.count[entry] += count;
    }
  }

  Alive release() {
    entries_.forget(alive_.node);
    return std::exchange(alive_, {});
  }

  // What holds any bytes.
  Alive release_held() {
    const Alive all = release();
    Alive held;
    for (size_t entry = 0; entry < all.size(); ++entry) {
      if (all.bytes[entry] != 0) append(held, all.node[entry], all.bytes[entry], all.count[entry]);
    }
    return held;
  }

 private:
  Alive alive_;
  Entries entries_;
};

// One entry for each group (`groups` has one for each node, below the bound of `entries`): its sums,
// at the node that holds the most of them, the first in the tree among equals.
inline Alive by_group(const Alive& alive, const uint32_t* groups, Entries& entries) {
  Alive summed;
  std::vector<int64_t> most;
  std::vector<uint32_t> met;
  for (size_t place = 0; place < alive.size(); ++place) {
    bool is_new;
    const size_t entry = entries.of(groups[alive.node[place]], is_new);
    if (is_new) {
      append(summed, alive.node[place], alive.bytes[place], alive.count[place]);
      most.push_back(alive.bytes[place]);
      met.push_back(groups[alive.node[place]]);
      continue;
    }
    summed.bytes[entry] += alive.bytes[place];
    summed.count[entry] += alive.count[place];
    const bool is_as_large = alive.bytes[place] == most[entry];
    if (alive.bytes[place] > most[entry] || (is_as_large && alive.node[place] < summed.node[entry])) {
      most[entry] = alive.bytes[place];
      summed.node[entry] = alive.node[place];
    }
  }
  entries.forget(met);
  return summed;
}

// `alive` as it is, or over at most `most` nodes: those of most bytes with all they called; what the
// others hold goes to their nearest ancestor among them, or to the node `tree_size`.
// `parents` are -1 for an outermost node, and otherwise smaller than the node. `own` becomes what
// of each entry's bytes was its node's before.
inline Alive folded(const Alive& alive, const int32_t* parents, size_t tree_size, size_t most,
                    std::vector<int64_t>& own) {
  if (alive.size() <= most) {
    own = alive.bytes;
    return alive;
  }
  std::vector<int64_t> held(tree_size);
  for (size_t place = 0; place < alive.size(); ++place) {
    held[alive.node[place]] += alive.bytes[place];
  }
  for (size_t node = tree_size; node-- > 0;) {
    if (parents[node] >= 0) held[size_t(parents[node])] += held[node];
  }
  std::vector<uint32_t> ranked;
  for (size_t node = 0; node < tree_size; ++node) {
    if (held[node] > 0) ranked.push_back(uint32_t(node));
  }
  if (ranked.size() > most) {
    // A caller holds at least what it called, and comes first among equals.
    auto weighs_more = [&held](uint32_t one, uint32_t other) {
      return held[one] != held[other] ? held[one] > held[other] : one < other;
    };
    std::nth_element(ranked.begin(), ranked.begin() + std::ptrdiff_t(most), ranked.end(),
                     weighs_more);
    ranked.resize(most);
  }
  const auto nowhere = uint32_t(tree_size);
  std::vector<uint32_t> target(tree_size, nowhere);
  for (uint32_t node : ranked) target[node] = node;
  for (size_t node = 0; node < tree_size; ++node) {
    if (target[node] == nowhere && parents[node] >= 0) {
      target[node] = target[size_t(parents[node])];
    }
  }
  AliveSums sums(tree_size + 1);
  std::vector<int64_t> own_bytes(tree_size + 1);
  for (size_t place = 0; place < alive.size(); ++place) {
    const uint32_t node = alive.node[place];
    sums.add(target[node], alive.bytes[place], alive.count[place]);
    if (target[node] == node) own_bytes[node] = alive.bytes[place];
  }
  Alive few = sums.release();
  own.clear();
  for (uint32_t node : few.node) own.push_back(own_bytes[node]);
  return few;
}

}  // namespace memdeep
