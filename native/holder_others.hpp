// Finds who else holds the large object of a row: an object that several hold counts for none of them.

#pragma once

#include "holder_rows.hpp"

namespace memdeep {

struct Others {
  struct Found {
    uint32_t count;  // of other objects that refer to it
    uint32_t first;  // one of them, kNobody where none has a way of its own
  };
  Mapped<Found> of;  // of each row; a row of many objects has none

  // `parents` are those of the shortest ways; `is_left_out` says which objects are no holders.
  template <class LeftOut>
  void find(const Edges& edges, const Dominators& tree, const Rows& rows,
            const Mapped<uint32_t>& parents, LeftOut is_left_out) {
    of.fill(rows.rows.count, Found{0, kNobody});
    Mapped<uint8_t> is_wanted;
    Mapped<uint32_t> last;  // the object that referred to it when it was last met
    is_wanted.fill(edges.nodes(), 0);
    last.fill(rows.rows.count, kNobody);
    for (size_t at = 1; at < rows.rows.count; at++)
      if (rows.rows[at].is_large) is_wanted[rows.rows[at].largest] = 1;
    for (uint32_t v = 0; v < edges.nodes(); v++) {
      if (v == 1) continue;
      for (const uint32_t* e = edges.begin(v); e != edges.end(v); e++) {
        if (!is_wanted[*e]) continue;
        const uint32_t row = rows.of[*e];
        if (last[row] == v) continue;
        last[row] = v;
        if (v == tree.dominator[*e]) is_wanted[*e] = 0;  // it holds it alone
        else if (tree.dominator[v] != kNobody && !is_left_out(v) && !is_below(rows, v, row))
          add(of[row], v, *e, parents);
      }
    }
    for (size_t at = 1; at < of.count; at++) {
      const bool is_shared = is_wanted[rows.rows[at].largest] && of[at].count > 1;
      if (is_shared) of[at].count--;
      else of[at] = Found{0, kNobody};
    }
    is_wanted.drop(), last.drop();
  }

 private:
  static constexpr int kFar = 200;

  static bool is_below(const Rows& rows, uint32_t v, uint32_t row) {
    uint32_t up = rows.of[v];
    while (up != row && up != 0 && up != kNobody) up = rows.rows[up].parent;
    return up == row;
  }

  static void add(Found& found, uint32_t by, uint32_t target, const Mapped<uint32_t>& parents) {
    found.count++;
    if (found.first != kNobody || by == parents[target]) return;
    uint32_t up = by;
    for (int step = 0; up > 1 && up != kNobody; up = parents[up])
      if (up == target || ++step > kFar) return;
    found.first = by;
  }
};

}  // namespace memdeep
