// Keeps the books of a replay: which cell every live allocation belongs to, and what follows from
// that for sites, segments and peaks. Knows sites by number and addresses; knows no stack and no byte
// of a capture.
//
// What one site allocates in one segment is a cell; every live allocation knows its
// cell. A free thus tells the site and the segment that made it, and rows are only ever written for
// cells that were touched. The peak of a segment is found as in memray's HighWaterMarkAggregator: a
// peak ends where the heap first falls; each cell folds what it did since its last peak into what it
// holds at the newest one, lazily. What a cell holds at a segment's peak is kept as the difference
// to the segment's start.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "blocks.hpp"
#include "lifetimes.hpp"
#include "merge.hpp"
#include "numbers.hpp"
#include "packed.hpp"
#include "ranges.hpp"

namespace memdeep {

constexpr uint64_t kMaxAddress = uint64_t{1} << 48;  // in units of 8 bytes
constexpr uint64_t kMaxSize = uint64_t{1} << 47;
constexpr size_t kLargest = 20;  // single allocations kept for each segment
constexpr uint64_t kBig = uint64_t{32} << 10;  // bytes of a block that is known by its range too

// The live allocations by address: 16 bytes each, linear probing, deletion by shifting back.
class LiveTable {
 public:
  struct Entry {
    uint64_t low;  // address: 48 bits; cell: its lower 16 bits
    uint64_t high;  // size: 47 bits; is among the largest: 1 bit; cell: its upper 16 bits
    uint64_t address() const { return low & kAddressMask; }
    uint64_t size() const { return high & (kMaxSize - 1); }
    uint32_t cell() const { return uint32_t(low >> 48) | uint32_t(high >> 48 << 16); }
    bool is_large() const { return (high & kMaxSize) != 0; }
    void set_large() { high |= kMaxSize; }
  };

  LiveTable() : entries_(kInitial) {}

  size_t size() const { return used_; }

  void prefetch(uint64_t address) const { __builtin_prefetch(&entries_[home(address)], 1); }

  // The cell at the first place where `address` would be, or 0: good enough to prefetch.
  uint32_t likely_cell(uint64_t address) const {
    const Entry& entry = entries_[home(address)];
    return entry.address() == address ? entry.cell() : 0;
  }

  Entry* find(uint64_t address) const {
    for (size_t place = home(address);; place = (place + 1) & mask_) {
      uint64_t found = entries_[place].address();
      if (found == 0) return nullptr;
      if (found == address) return &entries_[place];
    }
  }

  // Puts an allocation in; `before` is what was there, with address 0 if nothing was.
  Entry* put(uint64_t address, uint64_t size, uint32_t cell, Entry& before) {
    if (used_ * 8 >= (mask_ + 1) * 5) grow();
    size_t place = home(address);
    while (entries_[place].address() != 0 && entries_[place].address() != address) {
      place = (place + 1) & mask_;
    }
    Entry* entry = &entries_[place];
    before = *entry;
    used_ += entry->address() == 0;
    *entry = {address | uint64_t(cell & 0xFFFF) << 48, size | uint64_t(cell >> 16) << 48};
    return entry;
  }

  void erase(Entry* entry) {
    size_t hole = size_t(entry - &entries_[0]);
    --used_;
    for (size_t place = (hole + 1) & mask_;; place = (place + 1) & mask_) {
      uint64_t address = entries_[place].address();
      if (address == 0) break;
      if (((place - home(address)) & mask_) >= ((place - hole) & mask_)) {
        entries_[hole] = entries_[place];
        hole = place;
      }
    }
    entries_[hole] = Entry{0, 0};
  }

  template <class Visit>
  void each(Visit visit) const {
    for (size_t place = 0; place <= mask_; ++place) {
      if (entries_[place].address() != 0) visit(entries_[place]);
    }
  }

  // Gives each allocation the cell that `numbers` has for its own.
  void renumber(const std::vector<uint32_t>& numbers) {
    each([&](Entry& entry) {
      const uint64_t cell = numbers[entry.cell()];
      entry.low = entry.address() | (cell & 0xFFFF) << 48;
      entry.high = (entry.high & (2 * kMaxSize - 1)) | cell >> 16 << 48;
    });
  }

  // Only what is used of it. In the order in which it lies there, so that loading goes through memory
  // as saving does.
  template <class File>
  void visit(File& file) {
    uint64_t count = used_;
    file(count);
    if constexpr (File::kLoads) {
      file.require(file.has(count, sizeof(Entry)));
      while (count * 8 >= (mask_ + 1) * 5) grow();
      for (; count != 0; --count) {
        Entry entry, before;
        file(entry.low, entry.high);
        file.require(entry.address() != 0);
        Entry* place = put(entry.address(), entry.size(), entry.cell(), before);
        file.require(before.address() == 0);
        if (entry.is_large()) place->set_large();
      }
    } else {
      each([&](Entry& entry) { file(entry.low, entry.high); });
    }
  }

 private:
  static constexpr size_t kInitial = 4096;
  static constexpr uint64_t kAddressMask = kMaxAddress - 1;

  size_t home(uint64_t address) const { return address * 0x9E3779B97F4A7C15u >> shift_; }

  void grow() {
    Pages<Entry> larger((mask_ + 1) * 2);
    entries_.swap(larger);
    size_t old = mask_ + 1;
    mask_ = old * 2 - 1;
    --shift_;
    for (size_t from = 0; from < old; ++from) {
      if (larger[from].address() == 0) continue;
      size_t place = home(larger[from].address());
      while (entries_[place].address() != 0) place = (place + 1) & mask_;
      entries_[place] = larger[from];
    }
  }

  Pages<Entry> entries_;
  size_t mask_ = kInitial - 1;
  size_t used_ = 0;
  unsigned shift_ = 64 - 12;
};

// The ranges of the live blocks of kBig bytes and more; none overlaps another. Counts of the pages
// they touch answer nearly every question without a look at the ranges.
class BigBlocks {
 public:
  BigBlocks() : counts_(kCounts) {}

  void insert(uint64_t start, uint64_t end) {
    ends_.emplace_hint(ends_.end(), start, end);
    count(start, end, 1);
  }

  void erase(uint64_t start, uint64_t end) {
    if (ends_.erase(start) != 0) count(start, end, uint32_t(-1));
  }

  // False if no block overlaps a range of less than kBig bytes; true is not sure.
  bool may_meet(uint64_t start, uint64_t end) const {
    return (counts_[page(start)] | counts_[page(end - 1)] | everywhere_) != 0;
  }

  // The start of a block that overlaps the range, or 0.
  uint64_t meets(uint64_t start, uint64_t end) const {
    auto after = ends_.lower_bound(end);
    if (after == ends_.begin()) return 0;
    --after;
    return after->second > start ? after->first : 0;
  }

 private:
  static constexpr unsigned kPageBits = 15;
  static constexpr size_t kCounts = size_t{1} << 18;

  static size_t page(uint64_t address) { return address >> kPageBits & (kCounts - 1); }

  void count(uint64_t start, uint64_t end, uint32_t change) {
    const uint64_t last = (end - 1) >> kPageBits;
    if (last - (start >> kPageBits) >= kCounts) {
      everywhere_ += change;
      return;
    }
    for (uint64_t at = start >> kPageBits; at <= last; ++at) counts_[at & (kCounts - 1)] += change;
  }

  std::map<uint64_t, uint64_t> ends_;  // by start
  Pages<uint32_t> counts_;  // by page
  uint32_t everywhere_ = 0;  // blocks of too many pages to count
};

struct Large {
  uint32_t site, born, died, parts;
  uint64_t bytes, address;
};

enum class Cut : uint32_t { kMemory, kMarker, kMarkerEnd, kThreadMarker, kEnd, kEarlier };

struct Window {  // what lies before a cut and after the one before it; heap and RSS at the cut
  Cut cut;
  uint32_t segment;  // that it lies in
  int64_t time_ms;
  uint64_t rss, heap, peak;
};

struct Gone {  // a block, or a piece of a mapping, that was alive as a kept segment began
  uint64_t start, size;
  uint32_t site, born, died;
  uint32_t serial;  // of the mapping; 0: a block
};

struct ThreadPeak {  // the highest heap of what one thread allocated, in one segment
  uint32_t segment, thread;
  uint64_t bytes;
};

class Account {
 public:
  // The results; complete after close(), and of rows and windows there is nothing before it.
  Rows lifetimes;  // kept past the end of the segment they were born in; by `died`
  Rows transients;  // born and died in one segment, by segment
  Rows peaks;  // held at the peak of segment `died`, less what was held at its start
  std::vector<Large> largest;  // by segment, then in the order of allocation
  std::vector<Window> windows;
  std::vector<ThreadPeak> thread_peaks;  // where a thread's heap changed; by segment
  uint64_t unknown_frees = 0, peak_bytes = 0;
  uint64_t unseen_frees = 0, unseen_bytes = 0;  // of blocks in whose place there is another

  // Up to what was pushed last only after settle().
  uint64_t heap() const { return heap_; }

  // The heap, and the highest since the one before, about ten times a second.
  struct Height {
    int64_t time_ms;
    uint64_t heap, peak;
  };

  // Those since this was called before; from the start when it is called first. So for whoever draws
  // them while the trace grows: nobody else has them noted.
  std::vector<Height> take_heights() {
    if (!notes_heights_)
      past_windows_.each([&](const PastWindows::Record& record) {
        note_height({int64_t(record[2]), record[4], record[4] + record[5]});
      });
    notes_heights_ = true;
    return std::exchange(heights_, {});
  }

  uint32_t segments() const { return segment_ + 1; }

  // Does what waits for a batch to be full.
  void settle() { flush(); }

  // What is held at the peak of a segment by what `places` has for the sites; `sums` adds it up.
  Alive at_peak(uint32_t segment, const uint32_t* places, AliveSums& sums) const {
    add_alive(lifetimes, segment, [places](uint32_t site) { return places[site]; }, sums);
    auto change = std::lower_bound(
        peaks.begin(), peaks.end(), segment,
        [](const Row& row, uint32_t wanted) { return row.died < wanted; });
    for (; change != peaks.end() && change->died == segment; ++change) {
      sums.add(places[change->place], change->bytes, change->count);
    }
    return sums.release_held();
  }

 protected:
  // What is not listed follows from what is. Nothing may wait for a batch.
  template <class File>
  void visit(File& file) {
    file(past_lifetimes_, past_transients_, past_peaks_, past_windows_, largest, thread_peaks);
    file(unknown_frees, peak_bytes, unseen_frees, unseen_bytes);
    file(live_, dropped_, mappings_, cells_, vacant_cells_, touched_, touched_threads_);
    file(thread_heaps_, watched_, heap_, window_peak_, segment_peak_, segment_, peak_, large_begin_);
    file(earlier_site_, kept_, gone_, serial_);
    uint64_t count = 0;
    for (const auto& of_power : ranges_) count += of_power.size();
    file(count);
    if constexpr (File::kLoads) {
      for (; count != 0; --count) {
        uint64_t start;
        Range range;
        file(start, range.end, range.mapping);
        file.require(start < range.end && range.end < kMaxAddress << 4);
        insert_range(start, range.end, range.mapping);
      }
    } else {
      for (auto& of_power : ranges_) {
        for (auto& [start, range] : of_power) {
          uint64_t from = start;
          file(from, range.end, range.mapping);
        }
      }
    }
  }

  // Makes, of what was loaded, all that follows from it, and requires that it can be: of so many
  // sites and threads.
  template <class File>
  void restore(const File& file, size_t sites, size_t threads) {
    check_rows(file, sites, threads);
    check_segment(file, sites, threads);
    std::vector<int64_t> held(cells_.size()), counts(cells_.size());
    uint64_t heap = 0;
    auto hold = [&](uint32_t cell, uint64_t size, int64_t count) {
      file.require(cell != 0 && cell < cells_.size());
      held[cell] += int64_t(size);
      counts[cell] += count;
      heap += size;
      file.require(heap >> 60 == 0);
    };
    live_.each([&](const LiveTable::Entry& entry) {
      hold(entry.cell(), entry.size(), 1);
      if (entry.size() < kBig) return;
      const uint64_t start = entry.address() << 3;
      file.require(big_.meets(start, start + entry.size()) == 0);
      big_.insert(start, start + entry.size());
    });
    std::vector<uint32_t> parts(mappings_.size());
    for (const auto& of_power : ranges_) {
      for (const auto& [start, range] : of_power) {
        file.require(range.mapping < mappings_.size());
        const uint32_t before = parts[range.mapping]++;
        hold(mappings_[range.mapping].cell, range.end - start, before == 0 ? 1 : 0);
      }
    }
    for (size_t number = 0; number < parts.size(); ++number) {
      const Mapping& mapping = mappings_[number];
      file.require(mapping.parts == parts[number] && mapping.cell < cells_.size() &&
                   (mapping.large == kNoLarge || mapping.large < largest.size()));
      if (mapping.parts == 0) vacant_mappings_.push_back(uint32_t(number));
    }
    file.require(heap == heap_);
    settled_bytes_ = std::move(held);
    for (uint32_t number : touched_) settled_bytes_[number] -= cells_[number].change();
    for (size_t number = 1; number < cells_.size(); ++number) {
      file.require(cells_[number].alive == counts[number]);
    }
  }

  // Follows what a site holds, together with all others that are watched under this number, from 1.
  void watch(uint32_t site, uint32_t number) {
    watched_sites_.resize(std::max(watched_sites_.size(), size_t{site} + 1));
    watched_.resize(std::max(watched_.size(), size_t{number} + 1));
    watched_sites_[site] = number;
  }

  // The most that the watched sites of a number, from 0, held at one time.
  uint64_t most_watched(size_t place) const {
    return place + 1 < watched_.size() ? watched_[place + 1].most : 0;
  }

  // The cell of a site of a thread in the current segment.
  uint32_t cell_of_site(uint32_t site, uint32_t thread) {
    if (site >= site_cells_.size()) site_cells_.resize(site + 1);
    auto& [stamp, cell] = site_cells_[site];
    if (stamp != segment_ + 1) {
      cell = new_cell(site, thread);
      stamp = segment_ + 1;
    }
    return cell;
  }

  // What was there before the trace, all of one site: no block of it is among the largest, and it is
  // no wonder if others lie in its place. Units and limits are as below.
  void put_earlier(uint64_t address, uint64_t size, uint32_t cell) {
    const uint64_t start = address << 3, end = start + size;
    earlier_site_ = cells_[cell].site;
    drop_overlapped(start, end);
    LiveTable::Entry before;
    live_.put(address, size, cell, before);
    if (before.address() != 0) release(before);
    charge(cell, size);
    if (size >= kBig) big_.insert(start, end);
  }
  void map_earlier(uint64_t start, uint64_t size, uint32_t cell) {
    earlier_site_ = cells_[cell].site;
    unmap(start, size);
    charge(cell, size);
    insert_range(start, start + size, new_mapping({cell, 1, kNoLarge, ++serial_}));
  }

  // Addresses are in units of 8 bytes, below kMaxAddress and not 0; sizes are below kMaxSize.
  // Operations wait until a batch is full, so that the memory they will touch has been fetched.
  // A block that overlaps another proves that this one was freed, in a way that was not seen. Of the
  // smaller ones only malloc's are asked for that: Python's come from an allocator of its own.
  void allocate(uint64_t address, uint64_t size, uint32_t cell, bool is_mallocs) {
    push({address, size, cell, is_mallocs || size >= kBig});
  }
  // What was there before the trace leaves it in the name of `earlier_site`, of the thread that frees it,
  // if that is given.
  void free(uint64_t address, uint32_t earlier_site = 0) {
    push({address, kFreed, earlier_site, false});
  }

  void map(uint64_t start, uint64_t size, uint32_t cell) {
    flush();
    drop_overlapped(start, start + size);
    unmap(start, size);  // MAP_FIXED replaces what is there
    charge(cell, size);
    uint32_t large = kNoLarge;
    if (size > large_floor_) large = note_large(cell, size, 0);
    if (size == 0) {  // memray keeps no range of it: nothing can free it
      --cells_[cell].alive;
      return;
    }
    insert_range(start, start + size, new_mapping({cell, 1, large, ++serial_}));
  }

  // munmap shortens or splits all that it meets. By powers of two of their sizes, so that only a few
  // before the start need be looked at.
  void unmap(uint64_t start, uint64_t size, uint32_t earlier_site = 0) {
    flush();
    const uint64_t end = start + size;
    if (size == 0) return;
    std::vector<std::pair<uint64_t, Range>> rest;
    for (size_t power = 0; power < kPowers; ++power) {
      std::multimap<uint64_t, Range>& ranges = ranges_[power];
      if (ranges.empty()) continue;
      const uint64_t reach = uint64_t{2} << power;
      auto found = ranges.lower_bound(start > reach ? start - reach : 0);
      while (found != ranges.end() && found->first < end) {
        const auto [from, range] = *found;
        if (range.end <= start) {
          ++found;
          continue;
        }
        found = ranges.erase(found);
        const uint64_t cut_from = std::max(from, start), cut_to = std::min(range.end, end);
        Mapping& mapping = mappings_[range.mapping];
        --mapping.parts;
        if (from < cut_from) rest.push_back({from, {cut_from, range.mapping}});
        if (cut_to < range.end) rest.push_back({cut_to, {range.end, range.mapping}});
        mapping.parts += (from < cut_from) + (cut_to < range.end);
        const bool is_gone = mapping.parts == 0;
        note_gone(cut_from, cut_to - cut_from, mapping.cell, mapping.serial);
        discharge(mapping.cell, cut_to - cut_from, is_gone ? 1 : 0, earlier_site);
        if (is_gone) {
          if (mapping.large != kNoLarge) largest[mapping.large].died = segment();
          vacant_mappings_.push_back(range.mapping);
        }
      }
    }
    for (const auto& [from, range] : rest) insert_range(from, range.end, range.mapping);
  }

  // What is alive now in each of `ranges`, and by site in those that are of interest.
  Found within(const AddressRanges& ranges) { return within_at(ranges, segment_ + 1); }

  // Keeps, from now on, what was alive as this segment began: whoever knows only later what to ask of
  // it may do so until it is let go.
  void keep_segment() { kept_.push_back(segment_); }
  void let_segment_go(uint32_t segment) {
    kept_.erase(std::remove(kept_.begin(), kept_.end(), segment), kept_.end());
    const auto is_nobodys = [&](const Gone& one) {
      const auto kept = std::upper_bound(kept_.begin(), kept_.end(), one.born);
      return kept == kept_.end() || *kept > one.died;
    };
    gone_.erase(std::remove_if(gone_.begin(), gone_.end(), is_nobodys), gone_.end());
  }

  // As `within`, of what was alive as a kept segment began.
  Found within_at(const AddressRanges& ranges, uint32_t segment) {
    flush();
    RangeSums sums(ranges);
    std::vector<Gone> pieces;  // of mappings: what was one may be several by now
    auto take = [&](const Gone& one) {
      if (one.born >= segment || one.died < segment) return;
      if (one.serial == 0) return sums.add(one.start, one.size, one.site);
      pieces.push_back(one);
    };
    live_.each([&](const LiveTable::Entry& entry) {
      const Cell& cell = cells_[entry.cell()];
      take({entry.address() << 3, entry.size(), cell.site, cell.born, kNever, 0});
    });
    for (const auto& of_power : ranges_) {
      for (const auto& [start, range] : of_power) {
        const Mapping& mapping = mappings_[range.mapping];
        const Cell& cell = cells_[mapping.cell];
        take({start, range.end - start, cell.site, cell.born, kNever, mapping.serial});
      }
    }
    for (const Gone& one : gone_) take(one);
    std::sort(pieces.begin(), pieces.end(), [](const Gone& one, const Gone& other) {
      return std::pair(one.serial, one.start) < std::pair(other.serial, other.start);
    });
    for (size_t at = 0; at < pieces.size();) {
      const Gone& first = pieces[at];
      uint64_t size = 0;
      for (; at < pieces.size() && pieces[at].serial == first.serial &&
             pieces[at].start == first.start + size; ++at) {
        size += pieces[at].size;
      }
      sums.add(first.start, size, first.site);
    }
    return sums.release();
  }

  // All that is alive now, by address; empty, and false, if there are more than `most`.
  bool list_blocks(BlockList& blocks, size_t most) {
    flush();
    size_t count = live_.size();
    for (const auto& of_power : ranges_) count += of_power.size();
    if (count > most) return false;
    blocks.reserve(count);
    live_.each([&](const LiveTable::Entry& entry) {
      blocks.push_back({entry.address() << 3, entry.size(), cells_[entry.cell()].site, 0});
    });
    for (const auto& of_power : ranges_) {
      for (const auto& [start, range] : of_power) {
        blocks.push_back({start, range.end - start, cells_[mappings_[range.mapping].cell].site, 1});
      }
    }
    sort_by_address(blocks);
    return true;
  }

  // Visits, for every cell, what is alive now: its site, where it was born, bytes and allocations.
  // Takes no look at the single ones.
  template <class Visit>
  void each_alive(Visit visit) {
    flush();
    settled_bytes_.resize(cells_.size());
    std::vector<int64_t> bytes = settled_bytes_;
    for (uint32_t number : touched_) bytes[number] += cells_[number].change();
    for (size_t number = 1; number < cells_.size(); ++number) {
      const Cell& cell = cells_[number];
      if (cell.alive != 0) visit(Row{cell.site, cell.born, kNever, bytes[number], cell.alive});
    }
  }

  // Ends a window within the segment.
  void end_window(Cut cut, int64_t time_ms, uint64_t rss) {
    flush();
    close_window(cut, time_ms, rss);
  }

  void next_segment(Cut cut, int64_t time_ms, uint64_t rss) {
    close_segment();
    close_window(cut, time_ms, rss);
    ++segment_;
    segment_peak_ = heap_;
    peak_ = 0;
    large_begin_ = uint32_t(largest.size());
    large_floor_ = 0;
  }

  // Makes old segments one, as if those between them had never begun; see merge.cpp.
  void merge_segments(const Merge& merge);

  void close(int64_t time_ms, uint64_t rss) {
    close_segment();
    close_window(Cut::kEnd, time_ms, rss);
    unpack();
    for (const Window& window : windows) peak_bytes = std::max(peak_bytes, window.peak);
    each_alive([&](const Row& row) { lifetimes.push_back(row); });
  }

 private:
  struct alignas(64) Cell {  // one cache line
    uint32_t site, born;
    uint32_t touched;  // the segment the figures below are for
    uint32_t peak;  // the last peak of it that they were folded for
    int64_t peak_bytes, since_bytes, freed_bytes, freed_count;
    int32_t peak_count, since_count;
    uint32_t alive;  // allocations, whatever the segment
    uint32_t thread;
    int64_t change() const { return peak_bytes + since_bytes; }  // since the segment began
  };
  static_assert(sizeof(Cell) == 64);
  struct Watched {  // the sites of one number; those of number 0 are not watched
    uint64_t bytes = 0, most = 0;
  };
  struct ThreadHeap {
    uint64_t bytes, peak;
    uint32_t stamp;  // segment + 1, when the peak is of that segment
    template <class File>
    void visit(File& file) {
      file(bytes, peak, stamp);
    }
  };
  struct Mapping {  // one mmap; munmap may have left several parts of it, or none
    uint32_t cell, parts, large, serial;
  };
  struct Range {
    uint64_t end;
    uint32_t mapping;
  };
  struct Operation {
    uint64_t address;
    uint64_t size;  // kFreed for a free
    uint32_t cell;  // of a free: a site, as `free` has it
    bool is_proof;  // that what it overlaps was freed
  };
  // What is kept of segments that are closed: a day has ten million rows, and as many windows.
  using PastRows = PackedRecords<5>;  // died, segments from birth to death, place, bytes, count
  using PastWindows = PackedRecords<6>;  // as in Window, the peak as what it is above the heap
  static constexpr uint64_t kFreed = ~uint64_t{0};
  static constexpr size_t kBatch = 64;
  static constexpr int64_t kHeightMs = 100;
  static constexpr uint32_t kNoLarge = 0xFFFFFFFF;
  static constexpr size_t kPowers = 64;
  static constexpr size_t kMaxDropped = size_t{1} << 16;

  uint32_t segment() const { return segment_; }

  std::vector<uint32_t> highest_of(const Merge& merge) const;
  Rows merged_peaks(const Merge& merge, const Rows& lives, const Rows& peaks) const;
  void merge_rows(const Merge& merge);
  void merge_windows(const Merge& merge);
  void merge_largest(const Merge& merge);
  void merge_cells(const Merge& merge);

  // A file may say anything: sums of what it says must be numbers still.
  class Bounded {
   public:
    template <class File>
    void add(const File& file, int64_t bytes, int64_t count) {
      sum_ += std::abs(double(bytes)) + std::abs(double(count));
      file.require(sum_ < double(uint64_t{1} << 60));
    }

   private:
    double sum_ = 0;
  };

  template <class File>
  void check_rows(const File& file, size_t sites, size_t threads) const {
    Bounded bounded;
    for (const PastRows* rows : {&past_lifetimes_, &past_transients_, &past_peaks_}) {
      uint64_t last_death = 0;
      rows->each([&](const PastRows::Record& record) {
        const auto [died, age, place, bytes, count] = record;
        file.require(place != 0 && place < sites && age <= died && died >= last_death &&
                     died < segment_);
        file.require(rows == &past_peaks_ || (age == 0) == (rows == &past_transients_));
        last_death = died;
        bounded.add(file, int64_t(bytes), int64_t(count));
      });
    }
    Bounded bounded_gone;
    uint32_t last = 0;
    for (const Large& large : largest) {
      file.require(large.site != 0 && large.site < sites && large.born >= last &&
                   large.born <= segment_ && large.bytes < kMaxSize &&
                   large.address < kMaxAddress &&
                   (large.died == kNever || (large.died >= large.born && large.died <= segment_)));
      last = large.born;
    }
    uint32_t ended = 0;
    past_windows_.each([&](const PastWindows::Record& record) {
      const uint64_t cut = record[0], segment = record[1];
      file.require(cut <= uint64_t(Cut::kEarlier) && cut != uint64_t(Cut::kEnd) && segment == ended);
      ended += cut == uint64_t(Cut::kMarker) || cut == uint64_t(Cut::kThreadMarker) ||
               cut == uint64_t(Cut::kEarlier);
    });
    file.require(ended == segment_);
    for (size_t at = 0; at < kept_.size(); ++at) {
      file.require(kept_[at] <= segment_ && (at == 0 || kept_[at - 1] < kept_[at]));
    }
    for (const Gone& one : gone_) {
      file.require(one.site < sites && one.born < one.died && one.died <= segment_ &&
                   one.start < kMaxAddress << 4 && one.size < kMaxSize);
      bounded_gone.add(file, int64_t(one.size), 1);
    }
    last = 0;
    for (const ThreadPeak& peak : thread_peaks) {
      file.require(peak.thread < threads && peak.segment < segment_ && peak.segment >= last);
      last = peak.segment;
    }
  }

  // Of the open segment: which of its cells and threads were touched, and the largest in it.
  template <class File>
  void check_segment(const File& file, size_t sites, size_t threads) {
    file.require(!cells_.empty() && dropped_.size() <= kMaxDropped && watched_.size() <= sites &&
                 thread_heaps_.size() <= threads);
    std::vector<uint8_t> is_listed(cells_.size());
    auto list = [&](uint32_t number) {
      file.require(number != 0 && number < cells_.size() && is_listed[number] == 0);
      is_listed[number] = 1;
    };
    size_t touched = 0;
    Bounded bounded;
    for (size_t number = 1; number < cells_.size(); ++number) {
      const Cell& cell = cells_[number];
      file.require(cell.site != 0 && cell.site < sites && cell.born <= segment_ &&
                   cell.touched <= segment_ &&
                   (cell.touched < segment_ || cell.peak <= peak_) &&
                   cell.thread < thread_heaps_.size());
      touched += cell.touched == segment_;
      for (int64_t bytes : {cell.peak_bytes, cell.since_bytes, cell.freed_bytes}) {
        bounded.add(file, bytes, cell.freed_count);
      }
      for (int32_t count : {cell.peak_count, cell.since_count}) {
        file.require(count > -(1 << 30) && count < 1 << 30);
      }
    }
    file.require(touched == touched_.size());
    site_cells_.assign(sites, {0, 0});
    for (uint32_t number : touched_) {
      list(number);
      const Cell& cell = cells_[number];
      file.require(cell.touched == segment_);
      const bool is_earlier = earlier_site_ != 0 && cell.born == 0 && cell.site != earlier_site_;
      if (cell.born != segment_ && !is_earlier) continue;
      auto& [stamp, known] = site_cells_[cell.site];
      file.require(stamp == 0);
      stamp = segment_ + 1;
      known = number;
    }
    for (uint32_t number : vacant_cells_) {
      list(number);
      file.require(cells_[number].alive == 0);
    }
    size_t threads_touched = 0;
    for (const ThreadHeap& own : thread_heaps_) threads_touched += own.stamp == segment_ + 1;
    file.require(threads_touched == touched_threads_.size());
    is_listed.assign(thread_heaps_.size(), 0);
    for (uint32_t thread : touched_threads_) {
      file.require(thread < thread_heaps_.size() && thread_heaps_[thread].stamp == segment_ + 1 &&
                   is_listed[thread]++ == 0);
    }
    file.require(large_begin_ <= largest.size() && largest.size() - large_begin_ <= kLargest);
    for (size_t place = 0; place < largest.size(); ++place) {
      const Large& large = largest[place];
      file.require((large.born == segment_) == (place >= large_begin_));
      if (large.died != kNever || large.address == 0) continue;
      file.require(large_alive_.emplace(large.address, uint32_t(place)).second);
    }
    if (largest.size() - large_begin_ == kLargest) large_floor_ = largest[smallest_large()].bytes;
  }

  uint32_t new_cell(uint32_t site, uint32_t thread) {
    uint32_t number;
    if (vacant_cells_.empty()) {
      number = uint32_t(cells_.size());
      cells_.emplace_back();
    } else {
      number = vacant_cells_.back();
      vacant_cells_.pop_back();
    }
    cells_[number] = {site, segment(), segment(), peak_, 0, 0, 0, 0, 0, 0, 0, thread};
    touched_.push_back(number);
    touch_thread(thread);
    return number;
  }

  // The cell of this segment for what a thread frees of what was there before the trace: all of it is.
  uint32_t earlier_cell(uint32_t site) {
    const uint32_t cell = cell_of_site(site, 0);
    cells_[cell].born = 0;
    return cell;
  }

  uint32_t new_mapping(const Mapping& mapping) {
    if (vacant_mappings_.empty()) {
      mappings_.push_back(mapping);
      return uint32_t(mappings_.size() - 1);
    }
    const uint32_t number = vacant_mappings_.back();
    vacant_mappings_.pop_back();
    mappings_[number] = mapping;
    return number;
  }

  void push(const Operation& operation) {
    live_.prefetch(operation.address);
    waiting_[waiting_count_++] = operation;
    if (waiting_count_ == kBatch) flush();
  }

  void flush() {
    for (size_t place = 0; place < waiting_count_; ++place) {
      if (waiting_[place].size == kFreed) {
        __builtin_prefetch(&cells_[live_.likely_cell(waiting_[place].address)], 1);
      }
    }
    for (size_t place = 0; place < waiting_count_; ++place) {
      const Operation& operation = waiting_[place];
      if (operation.size == kFreed) {
        LiveTable::Entry* entry = live_.find(operation.address);
        if (entry == nullptr) {
          if (!take_back(operation.address)) ++unknown_frees;
          continue;
        }
        const LiveTable::Entry freed = *entry;
        live_.erase(entry);
        release(freed, operation.cell);
      } else {
        const uint64_t start = operation.address << 3, end = start + operation.size;
        if (operation.is_proof && (operation.size >= kBig || big_.may_meet(start, end))) {
          drop_overlapped(start, end);
        }
        LiveTable::Entry before;
        LiveTable::Entry* entry =
            live_.put(operation.address, operation.size, operation.cell, before);
        if (before.address() != 0) drop(before);
        charge(operation.cell, operation.size);
        if (operation.size >= kBig) big_.insert(start, end);
        if (operation.size > large_floor_) {
          entry->set_large();
          note_large(operation.cell, operation.size, operation.address);
        }
      }
    }
    waiting_count_ = 0;
  }

  // Frees the big blocks that overlap the range.
  void drop_overlapped(uint64_t start, uint64_t end) {
    while (const uint64_t met = start == end ? 0 : big_.meets(start, end)) {
      LiveTable::Entry* entry = live_.find(met >> 3);
      const LiveTable::Entry before = *entry;
      live_.erase(entry);
      drop(before);
    }
  }

  // Frees a block that memray would count for ever: another lies there. One from before the trace was
  // freed when it began, or as it was listed.
  void drop(const LiveTable::Entry& before) {
    if (earlier_site_ != 0 && cells_[before.cell()].site == earlier_site_) return release(before);
    ++unseen_frees;
    unseen_bytes += before.size();
    if (dropped_.size() == kMaxDropped) dropped_.clear();
    dropped_[before.address()] = before.size();
    release(before);
  }

  // Tells whether the block at `address` was dropped a moment ago. Its free was seen then, only late:
  // memray records that of a realloc when the memory may be another thread's already.
  bool take_back(uint64_t address) {
    auto found = dropped_.find(address);
    if (found == dropped_.end()) return false;
    --unseen_frees;
    unseen_bytes -= found->second;
    dropped_.erase(found);
    return true;
  }

  void charge(uint32_t number, uint64_t size) {
    Cell& cell = cells_[number];
    heap_ += size;
    ThreadHeap& own = own_heap(cell.thread);
    own.bytes += size;
    own.peak = std::max(own.peak, own.bytes);
    fold(cell);
    if (cell.site < watched_sites_.size()) {
      Watched& held = watched_[watched_sites_[cell.site]];
      held.most = std::max(held.most, held.bytes += size);
    }
    cell.since_bytes += int64_t(size);
    ++cell.since_count;
    ++cell.alive;
  }

  void note_gone(uint64_t start, uint64_t size, uint32_t number, uint32_t serial = 0) {
    const Cell& cell = cells_[number];
    if (kept_.empty() || kept_.back() <= cell.born) return;
    gone_.push_back({start, size, cell.site, cell.born, segment(), serial});
  }

  void release(const LiveTable::Entry& entry, uint32_t earlier_site = 0) {
    note_gone(entry.address() << 3, entry.size(), entry.cell());
    if (entry.size() >= kBig) {
      const uint64_t start = entry.address() << 3;
      big_.erase(start, start + entry.size());
    }
    if (entry.is_large()) {
      auto found = large_alive_.find(entry.address());
      if (found != large_alive_.end()) {
        largest[found->second].died = segment();
        large_alive_.erase(found);
      }
    }
    discharge(entry.cell(), entry.size(), 1, earlier_site);
  }

  void discharge(uint32_t number, uint64_t size, int32_t count, uint32_t earlier_site = 0) {
    if (heap_ >= window_peak_ && size != 0) {  // falls from the highest point so far
      window_peak_ = heap_;
      if (heap_ >= segment_peak_) {
        segment_peak_ = heap_;
        ++peak_;
      }
    }
    heap_ -= size;
    if (earlier_site != 0 && cells_[number].site == earlier_site_) {
      // The cell keeps what it has: this much of it was the other site's from the beginning.
      own_heap(cells_[number].thread).bytes -= size;
      cells_[number].alive -= uint32_t(count);
      const uint32_t others = earlier_cell(earlier_site);
      settled_bytes_.resize(cells_.size());
      settled_bytes_[number] -= int64_t(size);
      settled_bytes_[others] += int64_t(size);
      Cell& other = cells_[others];
      fold(other);
      other.since_bytes -= int64_t(size);
      other.since_count -= count;
      other.freed_bytes += int64_t(size);
      other.freed_count += count;
      return;
    }
    Cell& cell = cells_[number];
    if (cell.touched != segment()) {
      const uint32_t alive = cell.alive;
      cell = {cell.site, cell.born, segment(), peak_, 0, 0, 0, 0, 0, 0, alive, cell.thread};
      touched_.push_back(number);
      touch_thread(cell.thread);
    }
    own_heap(cell.thread).bytes -= size;
    if (cell.site < watched_sites_.size()) watched_[watched_sites_[cell.site]].bytes -= size;
    fold(cell);
    cell.since_bytes -= int64_t(size);
    cell.since_count -= count;
    cell.freed_bytes += int64_t(size);
    cell.freed_count += count;
    cell.alive -= uint32_t(count);
  }

  // The heap of a thread whose cells were touched in this segment.
  ThreadHeap& own_heap(uint32_t thread) { return thread_heaps_[thread]; }

  void touch_thread(uint32_t thread) {
    if (thread >= thread_heaps_.size()) thread_heaps_.resize(thread + 1);
    ThreadHeap& own = thread_heaps_[thread];
    if (own.stamp != segment() + 1) {
      own.stamp = segment() + 1;
      own.peak = own.bytes;
      touched_threads_.push_back(thread);
    }
  }

  // What was done since the last peak belongs to a newer one.
  void fold(Cell& cell) const {
    if (cell.peak == peak_) return;
    cell.peak_bytes += cell.since_bytes;
    cell.peak_count += cell.since_count;
    cell.since_bytes = 0;
    cell.since_count = 0;
    cell.peak = peak_;
  }

  static void keep(PastRows& rows, const Row& row) {
    rows.push({row.died, row.died - row.born, row.place, uint64_t(row.bytes), uint64_t(row.count)});
  }

  static void unpack(PastRows& from, Rows& rows) {
    rows.reserve(from.size());
    from.each([&](const PastRows::Record& record) {
      const auto [died, age, place, bytes, count] = record;
      rows.push_back({uint32_t(place), uint32_t(died - age), uint32_t(died), int64_t(bytes),
                      int64_t(count)});
    });
    from = {};
  }

  void unpack() {
    unpack(past_lifetimes_, lifetimes);
    unpack(past_transients_, transients);
    unpack(past_peaks_, peaks);
    windows.reserve(past_windows_.size());
    past_windows_.each([&](const PastWindows::Record& record) {
      const auto [cut, segment, time_ms, rss, heap, above] = record;
      windows.push_back(
          {Cut(uint32_t(cut)), uint32_t(segment), int64_t(time_ms), rss, heap, heap + above});
    });
    past_windows_ = {};
  }

  void insert_range(uint64_t start, uint64_t end, uint32_t mapping) {
    const auto power = size_t(63 - __builtin_clzll(end - start));
    ranges_[power].insert({start, {end, mapping}});
  }

  // Puts an allocation among the largest of its segment, for one that is smaller.
  uint32_t note_large(uint32_t cell, uint64_t size, uint64_t address) {
    const uint32_t site = cells_[cell].site;
    uint32_t place = uint32_t(largest.size());
    if (place - large_begin_ < kLargest) {
      largest.push_back({});
    } else {
      place = smallest_large();
      if (largest[place].address != 0) {
        auto found = large_alive_.find(largest[place].address);
        if (found != large_alive_.end() && found->second == place) large_alive_.erase(found);
      } else {
        forget_mapping(place);
      }
    }
    largest[place] = {site, segment(), kNever, 1, size, address};
    if (address != 0) large_alive_[address] = place;
    if (largest.size() - large_begin_ == kLargest) large_floor_ = largest[smallest_large()].bytes;
    return place;
  }

  uint32_t smallest_large() const {
    auto begin = largest.begin() + std::ptrdiff_t(large_begin_);
    auto is_smaller = [](const Large& one, const Large& other) { return one.bytes < other.bytes; };
    return uint32_t(std::min_element(begin, largest.end(), is_smaller) - largest.begin());
  }

  void forget_mapping(uint32_t large) {
    for (Mapping& mapping : mappings_) {
      if (mapping.parts != 0 && mapping.large == large) {
        mapping.large = kNoLarge;
        return;
      }
    }
  }

  // A window ends at every memory record and every marker.
  void close_window(Cut cut, int64_t time_ms, uint64_t rss) {
    const uint64_t above = std::max(window_peak_, heap_) - heap_;
    past_windows_.push({uint64_t(cut), segment(), uint64_t(time_ms), rss, heap_, above});
    if (notes_heights_) note_height({time_ms, heap_, heap_ + above});
    window_peak_ = heap_;
  }

  void note_height(Height height) {
    if (!heights_.empty() && heights_.back().time_ms / kHeightMs == height.time_ms / kHeightMs) {
      height.peak = std::max(height.peak, heights_.back().peak);
      heights_.back() = height;
    } else {
      heights_.push_back(height);
    }
  }

  void close_segment() {
    flush();
    if (heap_ >= segment_peak_) {  // it ends at its peak
      segment_peak_ = heap_;
      ++peak_;
    }
    // In which order they were touched depends on when a batch was full, or somebody asked.
    std::sort(touched_.begin(), touched_.end());
    std::sort(touched_threads_.begin(), touched_threads_.end());
    settled_bytes_.resize(cells_.size());
    for (uint32_t number : touched_) {
      Cell& cell = cells_[number];
      const uint32_t now = segment();
      settled_bytes_[number] += cell.change();
      fold(cell);
      if (cell.freed_bytes != 0 || cell.freed_count != 0) {
        keep(cell.born == now ? past_transients_ : past_lifetimes_,
             {cell.site, cell.born, now, cell.freed_bytes, cell.freed_count});
      }
      if (cell.peak_bytes != 0 || cell.peak_count != 0) {
        keep(past_peaks_, {cell.site, cell.born, now, cell.peak_bytes, cell.peak_count});
      }
      cell.freed_bytes = cell.freed_count = 0;
      if (cell.alive == 0) vacant_cells_.push_back(number);
    }
    touched_.clear();
    for (uint32_t thread : touched_threads_) {
      thread_peaks.push_back({segment(), thread, thread_heaps_[thread].peak});
    }
    touched_threads_.clear();
  }

  Operation waiting_[kBatch];
  size_t waiting_count_ = 0;
  LiveTable live_;
  BigBlocks big_;
  std::unordered_map<uint64_t, uint64_t> dropped_;  // bytes by address, of the last ones
  std::multimap<uint64_t, Range> ranges_[kPowers];
  std::vector<Mapping> mappings_;
  std::vector<uint32_t> vacant_mappings_;  // of which nothing is left
  std::vector<Cell> cells_ = std::vector<Cell>(1);
  std::vector<int64_t> settled_bytes_;  // by cell, alive when the segment began
  std::vector<uint32_t> vacant_cells_, touched_, touched_threads_;
  std::vector<ThreadHeap> thread_heaps_;  // by number of the thread
  std::vector<uint32_t> watched_sites_;  // by site, its number in `watched_`; seldom there
  std::vector<Watched> watched_;
  PastRows past_lifetimes_, past_transients_, past_peaks_;
  PastWindows past_windows_;
  std::vector<Height> heights_;  // see take_heights; no part of a state
  bool notes_heights_ = false;
  uint64_t heap_ = 0, window_peak_ = 0, segment_peak_ = 0;
  uint32_t segment_ = 0, peak_ = 0;
  uint32_t earlier_site_ = 0;  // of what was there before the trace; 0: none
  std::vector<uint32_t> kept_;  // segments, ascending
  std::vector<Gone> gone_;
  uint32_t serial_ = 0;  // of the last mapping

  std::unordered_map<uint64_t, uint32_t> large_alive_;  // by address
  uint32_t large_begin_ = 0;
  uint64_t large_floor_ = 0;
  std::vector<std::pair<uint32_t, uint32_t>> site_cells_{{0, 0}};  // segment + 1, cell
};

}  // namespace memdeep
