// Immediate dominators by Semi-NCA (L. Georgiadis, "Linear-Time Algorithms for Dominators and
// Related Problems", 2005). Knows graphs, and nothing of Python.

#pragma once

#include <initializer_list>

#include "mapped.hpp"

namespace memdeep {

constexpr uint32_t kNobody = ~uint32_t{0};

// Edges from node to node: those of `v` are `targets[starts[v]]` to `targets[starts[v + 1]]`, but
// those of node 1 are `seeds`, which are known last.
struct Edges {
  Mapped<uint64_t> starts;
  Mapped<uint32_t> targets;
  Mapped<uint32_t> seeds;

  uint32_t nodes() const { return uint32_t(starts.count - 1); }
  const uint32_t* begin(uint32_t v) const {
    return v == 1 && seeds.count ? seeds.items : targets.items + starts[v];
  }
  const uint32_t* end(uint32_t v) const {
    return v == 1 && seeds.count ? seeds.items + seeds.count : targets.items + starts[v + 1];
  }
};

// `order` has the nodes that node 0 reaches, in the order of a depth-first search; `dominator` the
// immediate dominator of each node, kNobody of those not reached, and node 0 of itself.
struct Dominators {
  Mapped<uint32_t> order, dominator;

  void find(const Edges& edges) {
    const uint32_t nodes = edges.nodes();
    search(edges, nodes);
    const uint32_t reached = uint32_t(order.count);
    collect_predecessors(edges, reached);
    semi_.reserve(reached), label_.reserve(reached), ancestor_.reserve(reached);
    for (uint32_t i = 0; i < reached; i++) semi_[i] = label_[i] = i, ancestor_[i] = parent_[i];
    for (uint32_t i = reached - 1; i > 0 && i != kNobody; i--) {
      uint32_t semi = parent_[i];
      for (uint64_t e = first_[i]; e < first_[i + 1]; e++) {
        const uint32_t other = semi_[evaluated(predecessors_[e], i + 1)];
        if (other < semi) semi = other;
      }
      semi_[i] = semi;
    }
    // From here on `parent_` has the dominators.
    for (uint32_t i = 1; i < reached; i++) {
      uint32_t candidate = parent_[i];
      while (candidate > semi_[i]) candidate = parent_[candidate];
      parent_[i] = candidate;
    }
    dominator.fill(nodes, kNobody);
    for (uint32_t i = 0; i < reached; i++) dominator[order[i]] = order[parent_[i]];
    for (Mapped<uint32_t>* one : {&number_, &parent_, &predecessors_, &semi_, &label_, &ancestor_})
      one->drop();
    path_.drop(), first_.drop();
  }

 private:
  Mapped<uint32_t> number_, parent_, predecessors_, semi_, label_, ancestor_, path_;
  Mapped<uint64_t> first_;

  void search(const Edges& edges, uint32_t nodes) {
    Mapped<const uint32_t*> next;  // of the nodes on the stack, the edge to follow
    Mapped<uint32_t> stack;
    number_.fill(nodes, kNobody);
    auto enter = [&](uint32_t v, uint32_t parent) {
      number_[v] = uint32_t(order.count);
      parent_.push(parent);
      order.push(v);
      stack.push(v);
      next.push(edges.begin(v));
    };
    enter(0, 0);
    while (stack.count) {
      const uint32_t v = stack[stack.count - 1];
      const uint32_t*& edge = next[next.count - 1];
      if (edge == edges.end(v)) {
        stack.count--, next.count--;
        continue;
      }
      const uint32_t target = *edge++;
      if (number_[target] == kNobody) enter(target, number_[v]);
    }
    next.drop(), stack.drop();
  }

  void collect_predecessors(const Edges& edges, uint32_t reached) {
    first_.fill(reached + 2, 0);
    for (uint32_t i = 0; i < reached; i++)
      for (const uint32_t* e = edges.begin(order[i]); e != edges.end(order[i]); e++)
        first_[number_[*e] + 2]++;
    for (uint32_t i = 1; i < reached + 2; i++) first_[i] += first_[i - 1];
    predecessors_.reserve(first_[reached + 1]);
    for (uint32_t i = 0; i < reached; i++)
      for (const uint32_t* e = edges.begin(order[i]); e != edges.end(order[i]); e++)
        predecessors_[first_[number_[*e] + 1]++] = i;
  }

  // The node of least semidominator on the way from `v` up to those numbered below `linked`.
  uint32_t evaluated(uint32_t v, uint32_t linked) {
    if (ancestor_[v] < linked) return label_[v];
    path_.count = 0;
    do {
      path_.push(v);
      v = ancestor_[v];
    } while (ancestor_[v] >= linked);
    uint32_t above = v, least = label_[v];
    while (path_.count) {
      v = path_[--path_.count];
      ancestor_[v] = ancestor_[above];
      if (semi_[least] < semi_[label_[v]]) label_[v] = least;
      else least = label_[v];
      above = v;
    }
    return label_[v];
  }
};

}  // namespace memdeep
