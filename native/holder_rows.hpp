// Merges the dominator tree by type: what is large has a row of its own, recursion folds, and what is
// small belongs to the row above it.

#pragma once

#include "dominators.hpp"

namespace memdeep {

struct Row {
  uint32_t parent, kind, largest;
  uint32_t number;  // in the file, kNobody where it is too small for it
  uint64_t own_bytes, retained_bytes, objects, largest_bytes;
  uint32_t alike;  // rows above it in a chain of its kind
  bool is_large, is_alone;  // nothing but what it holds is merged in it
  uint32_t heads;           // objects in it, without the small ones that they hold

  bool is_single() const { return is_alone || heads == 1; }
};

// Of an object that no one else alone holds: another that does, and how many do.
struct Other {
  uint32_t node = kNobody, count = 0;
};

struct Rows {
  static constexpr uint64_t kShare = 200;  // 0.5 %
  static constexpr uint32_t kMost = 20'000, kDeepest = 200, kChain = 4, kMostMaps = 1'000;

  Mapped<Row> rows;           // row 0 is above all
  Mapped<uint32_t> of;        // of each object; kNobody of those that nobody holds
  Mapped<uint64_t> retained;  // by each object
  Mapped<Other> others;       // by row
  uint32_t written = 0;

  template <class Heap>  // what it is made of, in tests
  void build(const Heap& heap, const Dominators& tree) {
    retained.fill(heap.nodes(), 0);
    for (size_t at = 0; at < tree.order.count; at++)
      retained[tree.order[at]] = heap.sizes[tree.order[at]];
    for (size_t at = tree.order.count; at-- > 1;)
      retained[tree.dominator[tree.order[at]]] += retained[tree.order[at]];
    least_ = retained[0] / kShare;
    of.fill(heap.nodes(), kNobody);
    of[0] = 0;
    rows.push(Row{kNobody, 0, 0, kNobody, 0, 0, 0, ~uint64_t{0}, 0, false, false, 0});
    depths_.push(0);
    for (size_t at = 1; at < tree.order.count; at++) {
      const uint32_t v = tree.order[at];
      if (v == 1) {  // what C holds stands beside what has a name
        of[v] = 0;
        continue;
      }
      const uint32_t dominator = tree.dominator[v];
      Row& row = rows[of[v] = chosen(heap, v, dominator)];
      row.own_bytes += heap.sizes[v];
      row.objects++;
      row.heads++;
      if (retained[v] > row.largest_bytes || row.objects == 1) {
        row.largest = v;
        row.largest_bytes = retained[v];
      }
    }
    finish(heap);
  }

  // Finds, for the largest object of each row that is written, who holds it besides the one on the
  // shortest way to it, `parents`: on the next shortest way from what `is_told`.
  template <class Heap, class IsTold>
  void find_others(const Heap& heap, const Dominators& tree, const Mapped<uint32_t>& parents,
                   IsTold is_told) {
    Mapped<uint8_t> is_asked;
    is_asked.fill(heap.nodes(), 0);
    others.fill(rows.count, Other{});
    for (size_t at = 1, told = 0; at < rows.count; at++) {
      if (rows[at].number != told) continue;
      told++;
      const uint32_t v = rows[at].largest;
      is_asked[v] = 1;
    }
    for (uint32_t v = 2; v < heap.nodes(); v++) {
      if (tree.dominator[v] == kNobody || parents[v] == kNobody) continue;
      for (const uint32_t* e = heap.edges.begin(v); e != heap.edges.end(v); e++) {
        if (!is_asked[*e] || v == *e || !is_told(v)) continue;
        Other& other = others[of[*e]];
        if (parents[*e] == v) {  // it may hold it twice
          other.count += is_asked[*e] > 1;
          is_asked[*e] = 2;
          continue;
        }
        if (other.count >= kMostOthers || is_within(tree.dominator, v, *e)) continue;
        other.count++;
        if (other.node == kNobody || depth(parents, v) < depth(parents, other.node))
          other.node = v;
      }
    }
    is_asked.drop();
  }

  // The row of the file that an object belongs to.
  uint32_t number(uint32_t v) const { return of[v] == kNobody ? kNobody : rows[of[v]].number; }

 private:
  static constexpr uint32_t kMostOthers = 1'000, kMostSteps = 200;
  uint64_t least_ = 0;
  uint32_t large_ = 0, maps_ = 0;
  Mapped<uint8_t> depths_;
  MappedTable merged_;

  static uint32_t depth(const Mapped<uint32_t>& above, uint32_t v) {
    uint32_t steps = 0;
    while (v > 1 && steps < kMostSteps) v = above[v], steps++;
    return steps;
  }

  // Whether `v` itself is held by `holder` alone. In a long chain that is not asked to its end, and
  // taken to be so.
  static bool is_within(const Mapped<uint32_t>& dominator, uint32_t v, uint32_t holder) {
    for (uint32_t steps = 0; v > 1 && steps < kMostSteps; steps++)
      if ((v = dominator[v]) == holder) return true;
    return v > 1;
  }

  template <class Heap>
  uint32_t chosen(const Heap& heap, uint32_t v, uint32_t dominator) {
    const uint32_t above = of[dominator], kind = heap.kinds[v];
    // In a chain of like objects each holds nearly all that the one before it does.
    uint32_t up = above, alike = 0;
    for (int step = 0; step < 3 && up != 0; step++, up = rows[up].parent) {
      const Row& row = rows[up];
      if (row.kind != kind) continue;
      if (!row.is_large) return up;
      if (retained[v] < row.largest_bytes / 10 * 9) continue;
      if (row.alike >= kChain) return up;
      alike = row.alike + 1;
      break;
    }
    // What is mapped counts for no size, and may be the most there is.
    const bool is_map = heap.type(v).is_map && maps_ < kMostMaps;
    const bool is_large = is_map || (retained[v] >= least_ && large_ < kMost);
    // An object within a chain lies beside its like.
    const bool is_folded = above != 0 && rows[above].largest != dominator;
    uint32_t& known = merged_.at(uint64_t{above} << 32 | kind);
    if (known != MappedTable::kNone && (is_folded || !is_large)) return known;
    if (depths_[above] >= kDeepest) return above;
    const uint32_t made = uint32_t(rows.count);
    if (!is_large || is_folded) known = made;
    large_ += is_large, maps_ += is_map;
    rows.push(Row{above, kind, v, kNobody, 0, 0, 0, 0, alike, is_large,
                  is_large && !is_folded, 0});
    depths_.push(uint8_t(depths_[above] + 1));
    return made;
  }

  // Parents stand before children: what is too small goes into the row above it.
  template <class Heap>
  void finish(const Heap& heap) {
    for (size_t at = 1; at < rows.count; at++) rows[at].retained_bytes = rows[at].own_bytes;
    for (size_t at = rows.count; at-- > 1;)
      rows[rows[at].parent].retained_bytes += rows[at].retained_bytes;
    for (size_t at = 1; at < rows.count; at++) {
      Row& row = rows[at];
      const bool is_told = row.retained_bytes >= least_ || heap.types[row.kind].is_map;
      if (is_told && row.retained_bytes) row.number = written++;
    }
    for (size_t at = rows.count; at-- > 1;) {
      Row& row = rows[at];
      if (row.number != kNobody || row.parent == 0) continue;
      rows[row.parent].own_bytes += row.own_bytes;
      rows[row.parent].objects += row.objects;
    }
    for (size_t at = 1; at < rows.count; at++) {
      Row& row = rows[at];
      if (row.number == kNobody) row.number = rows[row.parent].number;
    }
    depths_.drop(), merged_.drop();
  }
};

}  // namespace memdeep
