// Gives call sites their nodes in a tree of the stacks that are shown: node by node of the replay, so
// that what two stacks share is looked at once. Knows a frame by what tables say that it makes of a
// stack; refuses to know what it is called, whose it is and why some are not shown.

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "replay.hpp"

namespace memdeep {

// What is shown of a stack follows from its state, which is 0 without a frame; each frame, from the
// outermost on, leads from one state to another. A frame is shown under a name; names below the
// number of frames that the tree has are these frames.
struct PathRules {
  const int32_t* names;  // by frame of the replay; -1: not shown
  const int32_t* thread_names;  // by thread: of the outermost frame of its stacks
  const uint8_t* steps;  // by frame of the replay, then by state: the state with it innermost
  size_t states;
  const int32_t* stand_ins;  // by state: the name of all that is shown of such a stack; -1: none
  const uint8_t* is_tail;  // by state: only the frames that led to such states, which are never
                           // left again, are shown
};

// A tree of stacks, to which nodes and frames are added as they are met.
class PathTree {
 public:
  // Of each node, a parent comes before it, or is -1.
  std::vector<int32_t> parents, frames;
  std::vector<int32_t> added_names;  // of the frames that it did not have

  // A tree with so many frames. Names are below `name_count`.
  PathTree(const int32_t* node_parents, const int32_t* node_frames, size_t node_count,
           size_t frame_count, size_t name_count)
      : parents(node_parents, node_parents + node_count),
        frames(node_frames, node_frames + node_count),
        numbers_(std::max(frame_count, name_count), -1),
        frame_count_(frame_count) {
    for (size_t name = 0; name < frame_count; ++name) numbers_[name] = int32_t(name);
    for (size_t node = 0; node < node_count; ++node) {
      entry(parents[node], frames[node]) = uint32_t(node + 1);
    }
  }

  // The node of the frame of this name below `parent`; outermost if that is -1.
  int32_t child(int32_t parent, int32_t name) {
    int32_t& frame = numbers_[size_t(name)];
    if (frame < 0) {
      frame = int32_t(frame_count_ + added_names.size());
      added_names.push_back(name);
    }
    uint32_t& number = entry(parent, frame);
    if (number == 0) {
      parents.push_back(parent);
      frames.push_back(frame);
      number = uint32_t(parents.size());
    }
    return int32_t(number - 1);
  }

 private:
  uint32_t& entry(int32_t parent, int32_t frame) {
    auto is_same = [&](uint32_t number) {
      return parents[number - 1] == parent && frames[number - 1] == frame;
    };
    return nodes_.at(mix(uint32_t(parent), uint32_t(frame)), is_same);
  }

  std::vector<int32_t> numbers_;  // by name: of the frame; -1: it is not in the tree yet
  size_t frame_count_;
  Numbers nodes_;  // plus 1
};

class Paths {
 public:
  Paths(const Replay& replay, const PathRules& rules, PathTree& tree)
      : replay_(replay), rules_(rules), tree_(tree) {}

  // Gives the sites whose node is -1 theirs, a thread at a time. Site 0, which is none, keeps it.
  void name(std::vector<int32_t>& nodes) {
    find_states();
    std::vector<std::vector<uint32_t>> sites(replay_.threads.size());
    std::vector<uint32_t> threads;  // in the order of their first sites
    for (uint32_t site = 1; site < nodes.size(); ++site) {
      if (nodes[site] != -1) continue;
      const uint32_t thread = replay_.sites[site].thread;
      if (sites[thread].empty()) threads.push_back(thread);
      sites[thread].push_back(site);
    }
    shown_.assign(states_.size(), -1);
    for (uint32_t thread : threads) {
      const int32_t root = tree_.child(-1, rules_.thread_names[thread]);
      for (uint32_t site : sites[thread]) nodes[site] = shown(replay_.sites[site].node, root);
      for (uint32_t node : seen_) shown_[node] = -1;
      seen_.clear();
    }
  }

 private:
  // A caller has the smaller number.
  void find_states() {
    states_.assign(replay_.node_parents.size(), 0);
    for (size_t node = 1; node < states_.size(); ++node) {
      const size_t frame = replay_.node_frames[node];
      states_[node] = rules_.steps[frame * rules_.states + states_[replay_.node_parents[node]]];
    }
  }

  // The tree's node for a stack of a thread whose stacks hang below `root`.
  int32_t shown(uint32_t node, int32_t root) {
    const int32_t stand_in = rules_.stand_ins[states_[node]];
    if (stand_in != -1) return tree_.child(root, stand_in);
    const bool is_tail = rules_.is_tail[states_[node]] != 0;
    const size_t begin = seen_.size();
    int32_t at = root;
    for (; node != 0 && (!is_tail || rules_.is_tail[states_[node]] != 0);
         node = replay_.node_parents[node]) {
      if (shown_[node] != -1) {
        at = shown_[node];
        break;
      }
      seen_.push_back(node);
    }
    for (size_t place = seen_.size(); place-- > begin;) {
      const int32_t name = rules_.names[replay_.node_frames[seen_[place]]];
      if (name != -1) at = tree_.child(at, name);
      shown_[seen_[place]] = at;
    }
    return at;
  }

  const Replay& replay_;
  const PathRules& rules_;
  PathTree& tree_;
  std::vector<uint8_t> states_;  // by node of the replay
  std::vector<int32_t> shown_;  // by node of the replay: the tree's, for the thread at hand; -1: none
  std::vector<uint32_t> seen_;  // the nodes that have one
};

}  // namespace memdeep
