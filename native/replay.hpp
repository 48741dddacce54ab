// Replays a memray capture in one pass: reads its records and has account.hpp keep the books of what
// every call site allocated, freed and held. Knows the capture's bytes and stacks; knows no Python,
// no file and no meaning of a checkpoint.
//
// THE FORMAT (memray's records.h, header versions 12 and 13; integers are little-endian)
//
//   varint    7 bits a byte, least significant first, bit 7 set on all but the last; padding allowed
//   delta     a zigzag varint, added to the last value of its kind
//   string    bytes up to a NUL
//
//   header    "memray\0", i32 version, i32 Python's hexversion, u8 native traces, u8 file format
//             (0: single allocations), u64 allocations, u64 frames, i64 start and i64 end in
//             milliseconds since the epoch, string command line, i32 pid, u64 main thread,
//             u64 outermost frames of the main thread to skip, u8 Python allocator, u8 Python
//             allocators traced, u8 object lifetimes traced; from version 13 on: string libdest and
//             two lists of strings (site-packages, sys.path), each ended by an empty string
//
//   A record begins with a byte that holds its type and, below the type's highest bit, flags:
//
//   0x80..    allocation: bits 3-6 index the last 15 distinct addresses, or are 15 and an address
//             follows (delta, in units of 8 bytes); bits 0-2 are the allocator, or 0 and it follows
//             as a byte. Frees end here. Else: native stack (delta; only with native traces), size
//             (varint)
//   0x40..    frame push: bit 0 is set if C code entered the interpreter anew; code object (varint),
//             instruction offset (zigzag varint)
//   0x20..    object created or destroyed: bits 1-4 as bits 3-6 above; if created (bit 0), native
//             stack (delta; only with native traces). Only the deltas matter here
//   0x10..    frame pop: (bits 0-3) + 1 frames
//   0x01      trailer: the end
//   0x02      memory: RSS in bytes (varint), milliseconds since the start (varint)
//   0x05      native frame: instruction pointer (delta), its caller's stack (delta); numbered from 1
//   0x06      a new memory map begins
//   0x07      module: string file name, varint number of segments, u64 load address, then for each
//             segment: byte 0x08, u64 address before loading, varint size
//   0x0A      thread: string name of the current thread
//   0x0C      context switch: u64 the current thread
//   0x0E      code object: varint id, string function, string file name, first line (delta), varint
//             length and bytes of the line table
//
// MARKERS end a segment. memdeep writes them as a thread record whose name is "memdeep:" and 30
// digits; after a run they are overwritten by two memory records whose RSS is a multiple of 4096
// plus 1 and plus 2, as a varint padded to 10 bytes (memdeep/heap/markers.py).
//
// CUTS end a segment too, at times that are given beforehand. Each is made as a replaced marker would
// be, before the first memory record that is not earlier, and between the two replaced markers that it
// lies between; at the end if there is no such record. One for which a marker's name is given is made
// before that marker at the latest, which may come long before the next memory record.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "account.hpp"
#include "earlier.hpp"

namespace memdeep {

using Bytes = const uint8_t*;

constexpr size_t kSlack = 64;  // no record without strings is longer
constexpr size_t kMaxRecord = size_t{64} << 20;  // longer ones are not memray's
enum Allocator : unsigned { kPyFree = 1, kFree = 5, kMmap = 14, kMunmap = 15, kAllocators = 16 };
constexpr int64_t kOfCut = -2;  // in place of the number of a marker
enum Asked : uint8_t { kAskedMalloc = 1, kAskedMmap = 2, kAskedPymalloc = 4 };  // families of them

struct Header {
  int32_t version = 0, python_version = 0, pid = 0;
  uint8_t native = 0, python_allocator = 0, python_allocators = 0, object_lifetimes = 0;
  uint64_t main_thread = 0, skipped_frames = 0, allocations = 0;
  int64_t start_ms = 0, end_ms = 0;
  std::string command_line;
  template <class File>
  void visit(File& file) {
    file(version, python_version, pid, native, python_allocator, python_allocators);
    file(object_lifetimes, main_thread, skipped_frames, allocations, start_ms, end_ms);
    file(command_line);
  }
};

struct Code {
  std::string function, filename, line_table;
  int32_t first_line;
  template <class File>
  void visit(File& file) {
    file(function, filename, line_table, first_line);
  }
};

struct Frame {
  uint32_t code;
  int32_t offset;
  bool is_entry;
  uint64_t key() const {
    return uint64_t{code} << 33 | uint64_t{uint32_t(offset)} << 1 | uint64_t{is_entry};
  }
  template <class File>
  void visit(File& file) {
    file(code, offset, is_entry);
  }
};

struct Module {
  std::string filename;
  uint64_t address;
  std::vector<std::pair<uint64_t, uint64_t>> segments;
  bool operator==(const Module& other) const {
    return address == other.address && filename == other.filename && segments == other.segments;
  }
  template <class File>
  void visit(File& file) {
    file(filename, address, segments);
  }
};

struct Site {
  uint32_t node, thread, native, generation;
  uint32_t lost;  // the place of its `Lost`, plus 1; 0 for all others
  uint32_t memory_map;  // the number of memray's own generation in which it was first seen
  uint8_t asked;  // all `Asked` by which it allocated
  template <class File>
  void visit(File& file) {
    file(node, thread, native, generation, lost, memory_map, asked);
  }
};

struct Thread {
  uint64_t id;
  std::string name;
  template <class File>
  void visit(File& file) {
    file(id, name);
  }
};

struct TimeCut {
  int64_t time_ms;  // since the start
  uint64_t after;  // replaced markers that come before it
  int64_t before;  // the sequence number of the first marker that comes after it; -1: not known
};

struct Lost {  // allocated by a thread without a frame of Python, after it had had one
  uint32_t thread, segment;  // the first
  uint64_t bytes, most;  // of all, and alive at one time
};

class Replay : public Account {
 public:
  enum class State { kHeader, kRecords, kEnded, kDamaged };

  // The results; complete after finish().
  Header header;
  std::vector<Site> sites{{0, 0, 0, 0, 0, 0, 0}};  // number 0 of sites, nodes and frames is nothing
  std::vector<uint32_t> node_parents{0}, node_frames{0};
  std::vector<Frame> frames{{0, 0, false}};
  std::unordered_map<uint32_t, Code> codes;
  std::vector<uint64_t> native_addresses{0};
  std::vector<uint64_t> segment_natives;  // frames of native stacks known at the end of each segment
  std::vector<uint32_t> native_parents{0};
  std::vector<std::vector<Module>> generations{{}};
  std::vector<Thread> threads;
  std::vector<Lost> lost;
  std::vector<uint64_t> ids;  // of the threads that `thread_peaks` numbers
  std::vector<int64_t> sequences{-1};  // of the marker that begins a segment; -1: unknown, or kOfCut
  std::vector<uint64_t> setters{0};  // the thread that set that marker; 0: not known
  uint64_t records = 0;
  uint64_t allocated_bytes = 0;
  uint64_t calls[kAllocators] = {};  // by allocator; of frees too
  uint64_t late_cuts = 0;  // that were made at the end
  Earlier earlier;
  std::vector<uint32_t> earlier_sites;  // the first of what is left, the others of what threads freed
  bool truncated = false;
  std::string damage;  // what stopped the replay; empty if nothing did

  State state() const { return state_; }
  uint64_t position() const { return position_; }  // bytes of the capture that were taken
  int64_t last_time_ms() const { return last_time_ms_; }  // of the records that have a time
  uint64_t last_rss() const { return last_rss_; }

  // What is alive now, by node and by the segment it was born in; also before finish().
  Rows alive() {
    Sums sums;
    each_alive([&](const Row& row) {
      sums.add({sites[row.place].node, row.born, kNever, row.bytes, row.count});
    });
    return sums.release();
  }

  // Asks for a cut, before anything is fed; false if it is not in order: `after` must never fall.
  bool cut(const TimeCut& cut) {
    const bool is_in_order = cuts_.empty() || cuts_.back().after <= cut.after;
    if (is_in_order) cuts_.push_back(cut);
    return is_in_order;
  }

  // Those of the cuts that were made.
  std::vector<TimeCut> cuts_made() const {
    return {cuts_.begin(), cuts_.begin() + std::ptrdiff_t(cuts_made_)};
  }

  // Whether a cut would have been made by now.
  bool is_past(const TimeCut& cut) const {
    return last_time_ms_ != 0 && cut.after <= markers_ - cuts_made_ &&
           since_epoch(uint64_t(cut.time_ms)) <= last_time_ms_;
  }

  // Looks, at a marker, at what is alive in `ranges`: at the one of this place among the cuts and those
  // that were replaced, counted from 1, or at the thread's name with this sequence number. One that has
  // been met is looked at only if it was kept.
  void look_at_marker(uint64_t place, AddressRanges ranges) {
    const auto kept = kept_places_.find(place);
    if (kept != kept_places_.end()) {
      seen_at_markers[place] = within_at(ranges, kept->second);
    } else {
      at_markers_[place] = std::move(ranges);
    }
  }

  // Keeps what will be alive at a marker of that kind, so that it can be looked at once it was met; or
  // lets it go again.
  void keep_at(uint64_t place) {
    if (place > markers_) to_keep_.insert(place);
  }
  void let_go(uint64_t place) {
    const auto kept = kept_places_.find(place);
    if (kept == kept_places_.end()) return;
    const uint32_t segment = kept->second;
    kept_places_.erase(kept);
    let_segment_go(segment);
  }

  // Forgets all that was asked of what has not come yet, and what was asked of what has: it is answered.
  void forget_future() {
    cuts_.resize(cuts_made_);
    at_markers_.clear();
    at_names_.clear();
    to_keep_.clear();
    for (auto one = listed_.begin(); one != listed_.end();) {
      const bool is_past = one->second.is_met || one->second.is_left_out;
      one = is_past ? std::next(one) : listed_.erase(one);
    }
  }

  void look_at_name(uint64_t sequence, AddressRanges ranges) {
    at_names_[sequence] = std::move(ranges);
  }
  std::map<uint64_t, Found> seen_at_markers, seen_at_names;

  // Whether a marker was met and looked at, so that to ask for it once more is no use.
  bool has_found(bool is_name, uint64_t place) const {
    if (is_name) return seen_at_names.count(place) != 0;
    return seen_at_markers.count(place) != 0 && kept_places_.count(place) == 0;
  }

  // Lists, at a marker named as above, all that is alive there, by address. Of so many moments that
  // the blocks are more than kMostBlocks, the later ones are left out.
  using Moment = std::pair<bool, uint64_t>;  // is it a name; the place or the sequence number
  void list_at(Moment moment) { listed_[moment]; }

  // Whether there was too much at `moment` to be listed.
  bool was_left_out(Moment moment) const {
    const auto found = listed_.find(moment);
    return found != listed_.end() && found->second.is_left_out;
  }

  // Gives away what was listed at `moment`; false if it was not met, or was left out.
  bool take_listed(Moment moment, BlockList& blocks) {
    const auto found = listed_.find(moment);
    if (found == listed_.end() || !found->second.is_met) return false;
    blocks = std::move(found->second.blocks);
    listed_.erase(found);
    return true;
  }

  // Puts in what was there before, by the list in memdeep/rundir/earlier.py, before anything is fed;
  // false, and nothing is put in, if the list is not whole.
  bool put_in_earlier(Bytes list, size_t size) {
    if (earlier.site != 0) return false;
    uint32_t cell = 0;
    auto put = [&](bool is_mapping, uint64_t address, uint64_t bytes) {
      if (cell == 0) {
        threads.push_back({0, ""});  // none
        ids.push_back(0);
        cell = cell_of_site(earlier.site = new_earlier_site(0), 0);
      }
      if (is_mapping) {
        map_earlier(address, bytes, cell);
      } else {
        put_earlier(address >> 3, bytes, cell);
      }
    };
    return take_earlier(list, size, earlier, put);
  }

  // Takes the next bytes of the capture, any number of them.
  void feed(Bytes data, size_t size) {
    position_ += size;
    while (size != 0 && !is_over()) {
      if (pending_size_ == 0) {
        size_t used = size_t(consume(data, data + size, false) - data);
        data += used;
        size -= used;
        if (size == 0 || is_over()) break;
      }
      size_t before = pending_size_;
      size_t taken = std::min(size, std::max(wanted_ - std::min(wanted_, before), size_t{256}));
      append(data, taken);
      if (pending_size_ < wanted_) {
        data += taken;
        size -= taken;
        continue;
      }
      size_t used = consume_pending();
      if (used != 0 && used >= before && taken < size) {  // the rest is still in `data`
        data += used - before;
        size -= used - before;
        drop(pending_size_);
      } else {
        data += taken;
        size -= taken;
        drop(used);
      }
      if (pending_size_ > kMaxRecord) fail("a record is longer than any of memray's");
    }
  }

  // Takes the beginning of the capture once more: memray writes it anew when it ends.
  void reread_head(Bytes data, size_t size) {
    if (state_ == State::kHeader) return;
    const State state = state_;
    const std::string reason = damage;
    read_header(data, data + size);
    state_ = state;
    damage = reason;
  }

  // By site, the number of its stack, whatever the thread and the modules then loaded.
  std::vector<uint32_t> site_stacks() const {
    std::vector<uint32_t> stacks(sites.size());
    Numbers firsts;  // of the sites with one stack
    uint32_t count = 0;
    for (uint32_t site = 1; site < sites.size(); ++site) {
      auto is_same = [&](uint32_t other) {
        return sites[other].node == sites[site].node && sites[other].native == sites[site].native;
      };
      uint32_t& first = firsts.at(mix(sites[site].node, sites[site].native), is_same);
      if (first == 0) {
        first = site;
        stacks[site] = count++;
      } else {
        stacks[site] = stacks[first];
      }
    }
    return stacks;
  }

  // Makes one segment of all below `until`, but that those in `starts` still begin, as if the other
  // markers had never been there; what was looked at there is forgotten. Of memory records below it one
  // stays in each period. False, and nothing is done, if the numbers are not in order, or after a cut.
  bool merge(uint32_t until, std::vector<uint32_t> starts, int64_t period_ms);

  // How often that was done.
  uint64_t merges() const { return merges_; }

  // Closes the last segment. Nothing may be fed afterwards.
  void finish() {
    if (!is_over() && pending_size_ != 0) drop(consume_pending());
    truncated = state_ != State::kEnded;
    late_cuts = cuts_.size() - cuts_made_;
    while (cuts_made_ < cuts_.size()) make_cut(std::max(last_time_ms_, header.start_ms));
    close(last_time_ms_, last_rss_);
    for (size_t place = 0; place < lost.size(); ++place) lost[place].most = most_watched(place);
  }

  // Lists what is saved of it, and is loaded into a new one: before finish(). What is not listed
  // follows from what is, or is only there to find something faster.
  template <class File>
  void visit(File& file) {
    settle();
    file(position_, merges_);  // first: whoever has the file reads them there
    file(header, sites, node_parents, node_frames, frames, codes);
    file(native_addresses, segment_natives, native_parents, generations, threads, lost, ids);
    file(sequences, setters, records, allocated_bytes, calls, damage);
    file(earlier.site, earlier.count, earlier.bytes, earlier_sites);
    file(seen_at_markers, seen_at_names, state_, wanted_);
    file(last_pointer_, last_address_, last_native_, last_line_, recent_, newest_);
    file(last_time_ms_, last_rss_, stacks_, seen_sequences_, at_markers_, at_names_, listed_);
    file(markers_, cuts_, cuts_made_, memory_map_, map_is_new_, map_modules_, kept_places_);
    std::vector<uint8_t> pending(pending_.begin(), pending_.begin() + std::ptrdiff_t(pending_size_));
    uint64_t current = setter();
    bool has_current = stack_ != nullptr;
    file(pending, has_current, current);
    Account::visit(file);
    if constexpr (File::kLoads) {
      pending_size_ = 0;
      append(pending.data(), pending.size());
      if (has_current) {
        const auto found = stacks_.find(current);
        file.require(found != stacks_.end());
        stack_ = &found->second;
      }
      check(file);
      restore_numbers(file);
      restore_modules();
      Account::restore(file, sites.size(), ids.size());
    }
  }

 private:
  struct Node {
    uint64_t key;  // of the frame
    uint32_t parent;
    uint32_t last_child;
  };
  struct Open {  // the cell that a node last charged, good while its stamp is the current one
    uint32_t thread : 29, asked : 3;  // what its site is known to be asked by
    uint32_t native, stamp, cell;
  };
  struct Stack {
    uint32_t thread;
    uint32_t number;  // of its id
    uint64_t id;
    std::vector<uint32_t> nodes;
    bool had_frames = false;
    uint32_t lost = 0;  // plus 1
    uint32_t earlier_site = 0;
    template <class File>
    void visit(File& file) {
      file(thread, number, id, nodes, had_frames, lost, earlier_site);
    }
  };
  struct Region {
    uint64_t end;
    uint32_t module;
  };
  bool is_over() const { return state_ == State::kEnded || state_ == State::kDamaged; }

  void fail(const char* reason) {
    state_ = State::kDamaged;
    damage = reason;
  }

  // ------------------------------------------------------------------ what was loaded

  // Requires that every number in it is one of something.
  template <class File>
  void check(const File& file) {
    auto holds = [&](bool it_does) { file.require(it_does); };
    holds(!node_parents.empty() && node_parents.size() == node_frames.size() && !frames.empty());
    holds(!native_addresses.empty() && native_addresses.size() == native_parents.size());
    holds(!sites.empty() && !generations.empty() && sequences.size() == setters.size());
    holds(sequences.size() == size_t{segments()} && segment_natives.size() + 1 == sequences.size());
    holds(state_ == State::kDamaged ||
          (state_ <= State::kEnded && (state_ == State::kHeader) == (header.version == 0)));
    holds(pending_size_ <= 2 * kMaxRecord && wanted_ <= 2 * kMaxRecord);
    holds(cuts_made_ <= cuts_.size() && markers_ >= cuts_made_);
    for (size_t node = 1; node < node_parents.size(); ++node) {
      holds(node_parents[node] < node && node_frames[node] < frames.size());
    }
    for (size_t native = 1; native < native_parents.size(); ++native) {
      holds(native_parents[native] < native);
    }
    for (const Frame& frame : frames) holds(frame.code >> 31 == 0);
    holds(earlier_sites.empty() == (earlier.site == 0));
    for (uint32_t site : earlier_sites) holds(site != 0 && site < sites.size());
    for (const auto& one : stacks_) holds(one.second.earlier_site < sites.size());
    for (uint64_t natives : segment_natives) holds(natives <= native_addresses.size());
    for (const Site& site : sites) {
      holds(site.node < node_parents.size() && site.generation < generations.size());
      holds((threads.empty() ? &site == &sites[0] : site.thread < threads.size()));
      holds(site.lost <= lost.size() && site.asked < 8);
    }
    for (const Lost& one : lost) holds(one.thread < threads.size() && one.segment < segments());
    for (const auto& [id, stack] : stacks_) {
      holds(stack.id == id && stack.thread < threads.size() && stack.number < ids.size());
      holds(stack.lost <= lost.size());
      for (uint32_t node : stack.nodes) holds(node != 0 && node < node_parents.size());
    }
    for (const Looks* looks : {&at_markers_, &at_names_}) {
      for (const auto& [place, ranges] : *looks) holds(ranges.is_in_order());
    }
    for (const auto* seen : {&seen_at_markers, &seen_at_names}) {
      for (const auto& [place, found] : *seen) {
        const size_t size = found.site.size();
        holds(found.range.size() == size && found.bytes.size() == size && found.count.size() == size);
        for (uint32_t range : found.range) holds(range < found.alive.size());
        for (uint32_t site : found.site) holds(site < sites.size());
      }
    }
    for (const auto& [moment, listed] : listed_) {
      blocks_listed_ += listed.blocks.size();
      for (const Block& block : listed.blocks) holds(block.site < sites.size());
    }
    for (size_t cut = 1; cut < cuts_.size(); ++cut) holds(cuts_[cut - 1].after <= cuts_[cut].after);
    for (const auto& [place, segment] : kept_places_) holds(place <= markers_ && segment < segments());
  }

  // Numbers nodes, frames, sites and threads anew, each as it was.
  template <class File>
  void restore_numbers(const File& file) {
    auto number = [&](uint32_t& place, size_t number) {
      file.require(place == 0);
      place = uint32_t(number);
    };
    frame_keys_.reserve(frames.size());
    for (size_t frame = 1; frame < frames.size(); ++frame) {
      const uint64_t key = frames[frame].key();
      number(number_of_frame(key), frame);
      frame_keys_.push_back(key);
    }
    nodes_.reserve(node_parents.size());
    for (size_t node = 1; node < node_parents.size(); ++node) {
      const uint64_t key = frame_keys_[node_frames[node]];
      number(number_of_node(key, node_parents[node]), node);
      nodes_.push_back({key, node_parents[node], 0});
    }
    open_.resize(nodes_.size());
    const std::unordered_set<uint32_t> without(earlier_sites.begin(), earlier_sites.end());
    for (size_t site = 1; site < sites.size(); ++site) {
      if (without.count(uint32_t(site)) != 0) continue;  // nobody looks for them by a stack
      number(number_of_site(sites[site]), site);
      if (sites[site].lost != 0) watch(uint32_t(site), sites[site].lost);
    }
    for (size_t thread = 0; thread < threads.size(); ++thread) {
      const std::string key = key_of(threads[thread].id, threads[thread].name);
      file.require(thread_numbers_.emplace(key, uint32_t(thread)).second);
    }
  }

  void restore_modules() {
    const std::vector<Module> modules = std::exchange(generations.back(), {});
    for (const Module& module : modules) keep_module(module);
  }

  // ------------------------------------------------------------------ the bytes

  static uint64_t varint(Bytes& from) {
    uint64_t byte = *from++;
    if (byte < 128) return byte;
    uint64_t value = byte & 127;
    for (unsigned shift = 7; shift < 70; shift += 7) {
      byte = *from++;
      if (shift < 64) value |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    return value;
  }

  static uint64_t delta(Bytes& from) {
    uint64_t zigzag = varint(from);
    return (zigzag >> 1) ^ (~(zigzag & 1) + 1);
  }

  template <class T>
  static T fixed(Bytes& from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    from += sizeof value;
    return value;
  }

  // A string; false if its end is not there yet.
  static bool string(Bytes& from, Bytes end, std::string* text) {
    if (from >= end) return false;
    auto nul = static_cast<Bytes>(std::memchr(from, 0, size_t(end - from)));
    if (nul == nullptr) return false;
    if (text != nullptr) text->assign(reinterpret_cast<const char*>(from), size_t(nul - from));
    from = nul + 1;
    return true;
  }

  // pending_ holds the beginning of a record whose end has not come, and kSlack zero bytes.
  void append(Bytes data, size_t size) {
    pending_.resize(pending_size_);
    pending_.insert(pending_.end(), data, data + size);
    pending_.resize(pending_.size() + kSlack);
    pending_size_ += size;
  }

  size_t consume_pending() {
    Bytes begin = pending_.data();
    return size_t(consume(begin, begin + pending_size_, true) - begin);
  }

  void drop(size_t size) {
    pending_.erase(pending_.begin(), pending_.begin() + std::ptrdiff_t(size));
    pending_size_ -= size;
    // Trying again for every byte of a long string would take the square of its length.
    wanted_ = pending_size_ + (pending_size_ < 256 ? 1 : pending_size_ / 4);
  }

  // Takes whole records from [from, end); returns the first byte not taken. `padded` says that
  // kSlack bytes may be read behind the end; else it stops that far before it.
  Bytes consume(Bytes from, Bytes end, bool padded) {
    if (state_ == State::kHeader) {
      Bytes after = read_header(from, end);
      if (after == nullptr) return from;
      from = after;
    }
    Bytes stop = end;
    if (!padded) stop = size_t(end - from) > kSlack ? end - kSlack : from;
    return state_ == State::kRecords ? read_records(from, end, stop) : from;
  }

  Bytes read_header(Bytes from, Bytes end) {
    constexpr size_t kFixed = 7 + 4 + 4 + 1 + 1 + 32;
    if (size_t(end - from) < kFixed) return nullptr;
    Header read;
    if (std::memcmp(from, "memray", 7) != 0) return fail("it is not a memray capture"), nullptr;
    from += 7;
    read.version = fixed<int32_t>(from);
    if (read.version != 12 && read.version != 13) return fail("its version is unknown"), nullptr;
    read.python_version = fixed<int32_t>(from);
    read.native = fixed<uint8_t>(from);
    if (fixed<uint8_t>(from) != 0) return fail("it is an aggregated capture"), nullptr;
    read.allocations = fixed<uint64_t>(from);
    from += 8;
    read.start_ms = fixed<int64_t>(from);
    read.end_ms = fixed<int64_t>(from);
    if (!string(from, end, &read.command_line)) return nullptr;
    if (size_t(end - from) < 4 + 8 + 8 + 3) return nullptr;
    read.pid = fixed<int32_t>(from);
    read.main_thread = fixed<uint64_t>(from);
    read.skipped_frames = fixed<uint64_t>(from);
    read.python_allocator = fixed<uint8_t>(from);
    read.python_allocators = fixed<uint8_t>(from);
    read.object_lifetimes = fixed<uint8_t>(from);
    if (read.version >= 13) {
      std::string path;
      if (!string(from, end, &path)) return nullptr;
      for (int list = 0; list < 2; ++list) {
        do {
          if (!string(from, end, &path)) return nullptr;
        } while (!path.empty());
      }
    }
    header = read;
    state_ = State::kRecords;
    if (earlier.site != 0) {
      last_time_ms_ = read.start_ms;
      look(at_markers_, 0, seen_at_markers);
      begin_segment(Cut::kEarlier, -1, 0);
    }
    return from;
  }

  uint32_t new_earlier_site(uint32_t thread) {
    sites.push_back({0, thread, 0, 0, 0, 0, 0});
    earlier_sites.push_back(uint32_t(sites.size() - 1));
    return earlier_sites.back();
  }

  // The site of what the current thread frees of what was there before; 0 if that is not known.
  uint32_t earlier_site() {
    if (earlier.site == 0) return 0;
    if (stack_->earlier_site == 0 || sites[stack_->earlier_site].thread != stack_->thread) {
      stack_->earlier_site = new_earlier_site(stack_->thread);
    }
    return stack_->earlier_site;
  }

  // Takes the records that begin before `stop`; a record that does not end before `end` is left.
  Bytes read_records(Bytes from, Bytes end, Bytes stop) {
    const bool native = header.native != 0;
    while (from < stop) {
      const Bytes record = from;
      const unsigned type = *from++;
      if (type & 0x80) {
        const unsigned recent = type >> 3 & 15;
        unsigned allocator = type & 7;
        uint64_t pointer = recent == 15 ? last_pointer_ + delta(from)
                                        : recent_[(newest_ + recent) & 15];
        if (allocator == 0) allocator = *from++;
        const bool frees = allocator == kFree || allocator == kPyFree;
        uint64_t stack = last_native_, size = 0;
        if (!frees) {
          if (native) stack += delta(from);
          size = varint(from);
        }
        if (from > end) return record;
        if (recent == 15) remember(pointer);
        if (stack_ == nullptr) return fail("an allocation comes before any thread"), record;
        if (frees) {
          ++calls[allocator];
          free(pointer, earlier_site());
        } else {
          last_native_ = stack;
          if (allocator >= kAllocators || size >= kMaxSize || pointer - 1 >= kMaxAddress - 1 ||
              stack >> 32) {
            return fail("an allocation is impossible"), record;
          }
          ++calls[allocator];
          if (allocator != kMunmap && has_lost_lines()) lose(size);
          if (allocator < kMmap) {
            allocated_bytes += size;
            const bool is_mallocs = allocator > kFree;
            const uint32_t cell = cell_of(uint32_t(stack), is_mallocs ? kAskedMalloc : kAskedPymalloc);
            allocate(pointer, size, cell, is_mallocs);
          } else if (allocator == kMmap) {
            allocated_bytes += size;
            map(pointer << 3, size, cell_of(uint32_t(stack), kAskedMmap));
          } else {
            unmap(pointer << 3, size, earlier_site());
          }
        }
      } else if (type & 0x40) {
        uint64_t code = varint(from);
        auto offset = uint32_t(delta(from));
        if (from > end) return record;
        if (stack_ == nullptr) return fail("a frame comes before any thread"), record;
        if (code >> 31) return fail("a code object is impossible"), record;
        stack_->had_frames = true;
        stack_->nodes.push_back(child(top(), code << 33 | uint64_t(offset) << 1 | (type & 1)));
      } else if (type & 0x20) {
        uint64_t pointer = 0, stack = last_native_;
        const bool is_new = (type >> 1 & 15) == 15;
        if (is_new) pointer = last_pointer_ + delta(from);
        if (native && (type & 1)) stack += delta(from);
        if (from > end) return record;
        if (is_new) remember(pointer);
        last_native_ = stack;
      } else if (type & 0x10) {
        const size_t count = (type & 15) + 1;
        if (stack_ == nullptr || stack_->nodes.size() < count) {
          return fail("a frame that was not entered is left"), record;
        }
        stack_->nodes.resize(stack_->nodes.size() - count);
      } else {
        from = read_rare(type, from, end);
        if (from == nullptr) return record;
        if (is_over()) return from;
      }
      ++records;
    }
    return from;
  }

  bool has_lost_lines() const { return stack_->nodes.empty() && stack_->had_frames; }

  void lose(uint64_t size) {
    if (stack_->lost == 0) {
      lost.push_back({stack_->thread, uint32_t(sequences.size() - 1), 0, 0});
      stack_->lost = uint32_t(lost.size());
    }
    lost[stack_->lost - 1].bytes += size;
  }

  void remember(uint64_t pointer) {
    last_pointer_ = pointer;
    newest_ = (newest_ - 1) & 15;
    recent_[newest_] = pointer;
  }

  // Takes a record of a rare type, behind its first byte; null if its end is not there yet, or if
  // it is damaged.
  Bytes read_rare(unsigned type, Bytes from, Bytes end) {
    switch (type) {
      case 0x01:
        state_ = State::kEnded;
        return from;
      case 0x02: {
        Bytes start = from;
        uint64_t rss = varint(from);
        const bool padded = from - start == 10;
        uint64_t time = varint(from);
        if (from > end) return nullptr;
        // A clock that was set back gives a difference below zero; a damaged one may give any.
        read_memory(rss, padded, since_epoch(time));
        return from;
      }
      case 0x05: {
        uint64_t address = last_address_ + delta(from);
        uint64_t parent = last_native_ + delta(from);
        if (from > end) return nullptr;
        if (parent >= native_addresses.size()) return fail("a native frame is impossible"), nullptr;
        last_address_ = address;
        last_native_ = parent;
        native_addresses.push_back(address);
        native_parents.push_back(uint32_t(parent));
        return from;
      }
      case 0x06:
        ++memory_map_;
        map_modules_.clear();
        map_is_new_ = false;
        return from;
      case 0x07:
        return read_module(from, end);
      case 0x0A: {
        std::string name;
        if (!string(from, end, &name)) return nullptr;
        read_thread_name(name);
        return from;
      }
      case 0x0C: {
        if (size_t(end - from) < 8) return nullptr;
        switch_to(fixed<uint64_t>(from));
        return from;
      }
      case 0x0E:
        return read_code(from, end);
      default:
        return fail("a record is of no known type"), nullptr;
    }
  }

  Bytes read_code(Bytes from, Bytes end) {
    Code code;
    uint64_t id, line, length;
    if (!varint_within(from, end, &id) || !string(from, end, &code.function) ||
        !string(from, end, &code.filename) || !varint_within(from, end, &line) ||
        !varint_within(from, end, &length)) {
      return nullptr;
    }
    if (id >> 31 || length > kMaxRecord) return fail("a code object is impossible"), nullptr;
    if (length > size_t(end - from)) return nullptr;
    code.line_table.assign(reinterpret_cast<const char*>(from), length);
    last_line_ += uint32_t((line >> 1) ^ (~(line & 1) + 1));
    code.first_line = int32_t(last_line_);
    codes[uint32_t(id)] = std::move(code);
    return from + length;
  }

  Bytes read_module(Bytes from, Bytes end) {
    Module module;
    uint64_t count;
    if (!string(from, end, &module.filename) || !varint_within(from, end, &count)) return nullptr;
    if (size_t(end - from) < 8) return nullptr;
    module.address = fixed<uint64_t>(from);
    for (; count != 0; --count) {
      if (from < end && *from != 0x08) return fail("a module is impossible"), nullptr;
      if (size_t(end - from) < 1 + 8) return nullptr;
      uint64_t address = (++from, fixed<uint64_t>(from)), size;
      if (!varint_within(from, end, &size)) return nullptr;
      module.segments.emplace_back(address, size);
    }
    add_module(std::move(module));
    return from;
  }

  // As varint(), where the bytes may run out.
  static bool varint_within(Bytes& from, Bytes end, uint64_t* value) {
    *value = 0;
    for (unsigned shift = 0; shift < 70 && from < end; shift += 7) {
      uint64_t byte = *from++;
      if (shift < 64) *value |= (byte & 127) << shift;
      if (byte < 128 || shift == 63) return true;
    }
    return false;
  }

  // ------------------------------------------------------------------ what the rare records mean

  void read_memory(uint64_t rss, bool padded, int64_t time_ms) {
    const bool is_marker = padded && rss % 4096 == 1, is_marker_end = padded && rss % 4096 == 2;
    while (!is_marker_end && is_cut_due(is_marker, time_ms)) make_cut(time_ms);
    last_time_ms_ = time_ms;
    last_rss_ = rss;
    if (is_marker) {
      begin_segment(Cut::kMarker, -1, setter());
    } else if (is_marker_end) {
      end_marker();
    } else {
      end_window(Cut::kMemory, time_ms, rss);
    }
  }

  void end_marker() {
    look(at_markers_, ++markers_, seen_at_markers);
    if (to_keep_.erase(markers_) != 0) {
      keep_segment();
      kept_places_[markers_] = segments() - 1;
    }
    list({false, markers_});
    end_window(Cut::kMarkerEnd, last_time_ms_, last_rss_);
  }

  int64_t since_epoch(uint64_t time_ms) const { return int64_t(uint64_t(header.start_ms) + time_ms); }

  bool is_cut_due(bool before_marker, int64_t time_ms) const {
    if (cuts_made_ == cuts_.size()) return false;
    return next_cut().after <= markers_ - cuts_made_ &&
           (before_marker || since_epoch(uint64_t(next_cut().time_ms)) <= time_ms);
  }

  bool is_cut_due_at_name(int64_t sequence) const {
    return cuts_made_ < cuts_.size() && next_cut().before >= 0 && next_cut().before <= sequence &&
           next_cut().after <= markers_ - cuts_made_;
  }

  const TimeCut& next_cut() const { return cuts_[cuts_made_]; }

  // Makes the next cut, before what happened at `time_ms`.
  void make_cut(int64_t time_ms) {
    const int64_t cut_ms = since_epoch(uint64_t(next_cut().time_ms));
    ++cuts_made_;
    last_time_ms_ = std::max(last_time_ms_, std::min(cut_ms, time_ms));
    begin_segment(Cut::kMarker, kOfCut, 0);
    end_marker();
  }

  using Looks = std::map<uint64_t, AddressRanges>;
  struct Listed {
    BlockList blocks;
    bool is_met = false, is_left_out = false;
    template <class File>
    void visit(File& file) {
      file(blocks, is_met, is_left_out);
    }
  };

  void list(Moment moment) {
    const auto found = listed_.find(moment);
    if (found == listed_.end() || found->second.is_met) return;
    found->second.is_met = list_blocks(found->second.blocks, kMostBlocks - blocks_listed_);
    found->second.is_left_out = !found->second.is_met;
    blocks_listed_ += found->second.blocks.size();
  }

  void look(const Looks& looks, uint64_t place, std::map<uint64_t, Found>& seen) {
    const auto found = looks.find(place);
    if (found != looks.end()) seen[place] = within(found->second);
  }

  uint64_t setter() const { return stack_ == nullptr ? 0 : stack_->id; }

  void begin_segment(Cut cut, int64_t sequence, uint64_t set_by) {
    next_segment(cut, last_time_ms_, last_rss_);
    segment_natives.push_back(native_addresses.size());
    sequences.push_back(sequence);
    setters.push_back(set_by);
    ++open_stamp_;
  }

  void read_thread_name(const std::string& name) {
    static constexpr char kPrefix[] = "memdeep:";
    constexpr size_t kPrefixSize = sizeof kPrefix - 1, kDigits = 30;
    if (name.size() == kPrefixSize + kDigits && name.compare(0, kPrefixSize, kPrefix) == 0) {
      int64_t sequence = 0;
      bool is_number = true;
      for (size_t place = kPrefixSize; place < name.size(); ++place) {
        is_number = is_number && name[place] >= '0' && name[place] <= '9' &&
                    sequence < int64_t{1} << 59;
        if (is_number) sequence = sequence * 10 + (name[place] - '0');
      }
      if (is_number) {
        // A signal handler's checkpoint inside another one makes a marker appear twice.
        if (seen_sequences_.insert(sequence).second) {
          while (is_cut_due_at_name(sequence)) make_cut(since_epoch(uint64_t(next_cut().time_ms)));
          look(at_names_, uint64_t(sequence), seen_at_names);
          list({true, uint64_t(sequence)});
          begin_segment(Cut::kThreadMarker, sequence, setter());
        }
        return;
      }
    }
    if (stack_ == nullptr) return;
    stack_->thread = thread_number(stack_->id, name);
  }

  void switch_to(uint64_t id) {
    auto found = stacks_.find(id);
    if (found == stacks_.end()) {
      found = stacks_.emplace(id, Stack{thread_number(id, ""), uint32_t(ids.size()), id, {}}).first;
    }
    if (found->second.number == ids.size()) ids.push_back(id);
    stack_ = &found->second;
  }

  static std::string key_of(uint64_t id, const std::string& name) {
    return std::string(reinterpret_cast<const char*>(&id), sizeof id) + name;
  }

  // Threads that follow one another under one id are told apart by name.
  uint32_t thread_number(uint64_t id, const std::string& name) {
    auto [found, is_new] = thread_numbers_.emplace(key_of(id, name), uint32_t(threads.size()));
    if (is_new) threads.push_back({id, name});
    return found->second;
  }

  // memray writes all modules anew whenever one is loaded. Only a module that lies where another
  // one was makes a new generation here.
  void add_module(Module&& module) {
    const std::string key = std::to_string(module.address) + ":" + module.filename;
    auto known = known_modules_.find(key);
    const bool is_known =
        known != known_modules_.end() && generations.back()[known->second] == module;
    if (!is_known && !map_is_new_ && contradicts(module)) {
      map_is_new_ = true;
      generations.emplace_back();
      known_modules_.clear();
      regions_.clear();
      for (Module& earlier : map_modules_) keep_module(earlier);
      open_stamp_ += 1;
    }
    if (!is_known || map_is_new_) keep_module(module);
    if (!map_is_new_) map_modules_.push_back(std::move(module));
  }

  bool contradicts(const Module& module) const {
    for (auto [address, size] : module.segments) {
      const uint64_t start = module.address + address;
      auto after = regions_.lower_bound(start + size);
      if (size == 0 || after == regions_.begin()) continue;
      const Region& region = std::prev(after)->second;
      const Module& other = generations.back()[region.module];
      const bool is_same = other.address == module.address && other.filename == module.filename;
      if (region.end > start && !is_same) return true;
    }
    return false;
  }

  void keep_module(const Module& module) {
    std::vector<Module>& modules = generations.back();
    known_modules_[std::to_string(module.address) + ":" + module.filename] =
        uint32_t(modules.size());
    for (auto [address, size] : module.segments) {
      const uint64_t start = module.address + address;
      if (start + size > start) regions_[start] = {start + size, uint32_t(modules.size())};
    }
    modules.push_back(module);
  }

  // ------------------------------------------------------------------ call sites

  uint32_t top() const { return stack_->nodes.empty() ? 0 : stack_->nodes.back(); }

  uint32_t child(uint32_t parent, uint64_t key) {
    const uint32_t last = nodes_[parent].last_child;
    if (nodes_[last].key == key && last != 0) return last;
    uint32_t& number = number_of_node(key, parent);
    if (number == 0) {
      number = uint32_t(nodes_.size());
      nodes_.push_back({key, parent, 0});
      open_.push_back({0, 0, 0, 0, 0});
      node_parents.push_back(parent);
      node_frames.push_back(frame_number(key));
    }
    nodes_[parent].last_child = number;
    return number;
  }

  // The places for the numbers of things: 0 in one means that the thing is new.
  uint32_t& number_of_node(uint64_t key, uint32_t parent) {
    auto is_same = [&](uint32_t node) {
      return nodes_[node].key == key && nodes_[node].parent == parent;
    };
    return node_numbers_.at(mix(key, parent), is_same);
  }

  uint32_t& number_of_frame(uint64_t key) {
    auto is_same = [&](uint32_t frame) { return frame_keys_[frame] == key; };
    return frame_numbers_.at(mix(key, 0), is_same);
  }

  uint32_t& number_of_site(const Site& site) {
    const uint64_t hash = mix(uint64_t(site.node) << 32 | site.native,
                              uint64_t(site.generation) << 32 | site.thread);
    auto is_same = [&](uint32_t number) {
      const Site& other = sites[number];
      return other.node == site.node && other.native == site.native &&
             other.thread == site.thread && other.generation == site.generation &&
             other.lost == site.lost;
    };
    return site_numbers_.at(hash, is_same);
  }

  uint32_t frame_number(uint64_t key) {
    uint32_t& number = number_of_frame(key);
    if (number == 0) {
      number = uint32_t(frames.size());
      frame_keys_.push_back(key);
      frames.push_back({uint32_t(key >> 33), int32_t(uint32_t(key >> 1)), (key & 1) != 0});
    }
    return number;
  }

  // The cell that the current stack charges in the current segment.
  uint32_t cell_of(uint32_t native, Asked asked) {
    const uint32_t node = top();
    if (has_lost_lines()) return cell_of_site(site_of(0, native, stack_->lost, asked), stack_->number);
    Open& open = open_[node];
    if (open.stamp != open_stamp_ || open.native != native || open.thread != stack_->thread ||
        (open.asked & asked) == 0) {
      const uint32_t site = site_of(node, native, 0, asked);
      open.thread = stack_->thread & 0x1FFFFFFF;
      open.asked = sites[site].asked & 7u;
      open.native = native;
      open.stamp = open_stamp_;
      open.cell = cell_of_site(site, stack_->number);
    }
    return open.cell;
  }

  uint32_t site_of(uint32_t node, uint32_t native, uint32_t lost_place, Asked asked) {
    const uint32_t site = site_number(node, native, lost_place);
    sites[site].asked |= asked;
    return site;
  }

  uint32_t site_number(uint32_t node, uint32_t native, uint32_t lost_place) {
    const auto generation = uint32_t(generations.size() - 1);
    const Site site{node, stack_->thread, native, generation, lost_place, memory_map_, 0};
    uint32_t& number = number_of_site(site);
    if (number == 0) {
      number = uint32_t(sites.size());
      sites.push_back(site);
      if (lost_place != 0) watch(number, lost_place);
    }
    return number;
  }

  State state_ = State::kHeader;
  uint64_t position_ = 0, merges_ = 0;
  std::vector<uint8_t> pending_;
  size_t pending_size_ = 0, wanted_ = 1;
  uint64_t last_pointer_ = 0, last_address_ = 0, last_native_ = 0;
  uint32_t last_line_ = 0;
  uint64_t recent_[16] = {};
  uint32_t newest_ = 0;
  int64_t last_time_ms_ = 0;
  uint64_t last_rss_ = 0;

  std::unordered_map<uint64_t, Stack> stacks_;
  Stack* stack_ = nullptr;
  std::unordered_map<std::string, uint32_t> thread_numbers_;
  std::unordered_set<int64_t> seen_sequences_;
  Looks at_markers_, at_names_;
  std::map<Moment, Listed> listed_;
  size_t blocks_listed_ = 0;
  uint64_t markers_ = 0;  // that were replaced, and cuts, so far
  std::vector<TimeCut> cuts_;
  size_t cuts_made_ = 0;
  std::map<uint64_t, uint32_t> kept_places_;  // the segment that begins at each
  std::unordered_set<uint64_t> to_keep_;  // places that were not met yet; no part of a state

  uint32_t memory_map_ = 0;
  bool map_is_new_ = false;  // the current memory map has made a generation of its own
  std::vector<Module> map_modules_;
  std::unordered_map<std::string, uint32_t> known_modules_;
  std::map<uint64_t, Region> regions_;

  std::vector<Node> nodes_{{0, 0, 0}};
  std::vector<uint64_t> frame_keys_{0};
  std::vector<Open> open_{{0, 0, 0, 0, 0}};
  Numbers node_numbers_, frame_numbers_, site_numbers_;
  uint32_t open_stamp_ = 1;

};

}  // namespace memdeep
