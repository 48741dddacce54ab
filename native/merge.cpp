// How old segments of a replay become one, as if the markers between them had never been there: sites,
// bytes and peaks are those that a replay without these markers has.

#include "merge.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "replay.hpp"

namespace memdeep {

namespace {

// Adds up rows of one site, birth and death, and gives them in the order of the deaths.
Rows summed(Rows rows) {
  auto key = [](const Row& row) { return std::make_tuple(row.died, row.place, row.born); };
  std::sort(rows.begin(), rows.end(),
            [&](const Row& one, const Row& other) { return key(one) < key(other); });
  Rows found;
  for (const Row& row : rows) {
    if (found.empty() || key(found.back()) != key(row)) {
      found.push_back(row);
    } else {
      found.back().bytes += row.bytes;
      found.back().count += row.count;
    }
  }
  auto is_nothing = [](const Row& row) { return row.bytes == 0 && row.count == 0; };
  found.erase(std::remove_if(found.begin(), found.end(), is_nothing), found.end());
  return found;
}

}  // namespace

// The segment with the highest heap among those that become one: of equals the last, as in a replay.
std::vector<uint32_t> Account::highest_of(const Merge& merge) const {
  std::vector<uint32_t> highest(size_t{merge.of(segment_)} + 1);
  std::vector<uint64_t> peaks(highest.size());
  past_windows_.each([&](const PastWindows::Record& record) {
    const uint64_t peak = record[4] + record[5];
    const auto segment = uint32_t(record[1]);
    const uint32_t number = merge.of(segment);
    if (peak < peaks[number]) return;
    peaks[number] = peak;
    highest[number] = segment;
  });
  return highest;
}

// What is held at a peak, less what was held when its segment began.
Rows Account::merged_peaks(const Merge& merge, const Rows& lives, const Rows& peaks) const {
  const std::vector<uint32_t> highest = highest_of(merge);
  Rows found;
  for (const Row& row : peaks) {
    const uint32_t number = merge.of(row.died);
    if (highest[number] != row.died) continue;
    found.push_back({row.place, merge.of(row.born), number, row.bytes, row.count});
  }
  // What came and went between the beginning of the joined segment and that of the one with the peak.
  for (const Row& life : lives) {
    const uint32_t born = merge.of(life.born);
    const uint32_t died = life.died == kNever ? kNever : merge.of(life.died);
    if (life.born < merge.until() && life.born < highest[born] && life.died >= highest[born]) {
      found.push_back({life.place, born, born, life.bytes, life.count});
    }
    if (died != born && life.died < merge.until() && life.died < highest[died]) {
      found.push_back({life.place, born, died, -life.bytes, -life.count});
    }
  }
  return summed(std::move(found));
}

void Account::merge_rows(const Merge& merge) {
  Rows lives, passed, peaks;
  unpack(past_lifetimes_, lives);
  unpack(past_transients_, passed);
  unpack(past_peaks_, peaks);
  const size_t closed = lives.size();
  settled_bytes_.resize(cells_.size());
  for (size_t number = 1; number < cells_.size(); ++number) {  // what was alive when this one began
    const Cell& cell = cells_[number];
    if (cell.born == segment_) continue;
    const int64_t count = cell.alive + (cell.touched == segment_ ? cell.freed_count : 0);
    lives.push_back({cell.site, cell.born, kNever, settled_bytes_[number], count});
  }
  peaks = merged_peaks(merge, lives, peaks);
  lives.resize(closed);
  Rows kept;
  for (Row& row : passed) row.born = row.died = merge.of(row.died);
  for (Row row : lives) {
    row.born = merge.of(row.born);
    row.died = merge.of(row.died);
    (row.born == row.died ? passed : kept).push_back(row);
  }
  for (const Row& row : summed(std::move(kept))) keep(past_lifetimes_, row);
  for (const Row& row : summed(std::move(passed))) keep(past_transients_, row);
  for (const Row& row : peaks) keep(past_peaks_, row);
  std::map<std::pair<uint32_t, uint32_t>, uint64_t> heaps;
  for (const ThreadPeak& one : thread_peaks) {
    uint64_t& bytes = heaps[{merge.of(one.segment), one.thread}];
    bytes = std::max(bytes, one.bytes);
  }
  thread_peaks.clear();
  for (const auto& [key, bytes] : heaps) thread_peaks.push_back({key.first, key.second, bytes});
}

// A window that is no more goes on in the next one.
void Account::merge_windows(const Merge& merge) {
  std::vector<PastWindows::Record> windows;
  uint64_t peak = 0;
  past_windows_.each([&](PastWindows::Record record) {
    auto& [number, segment, time_ms, rss, heap, above] = record;
    const auto cut = Cut(uint32_t(number));
    peak = std::max(peak, heap + above);
    const bool stays = cut == Cut::kMemory ||
                       merge.begins(uint32_t(segment) + (cut == Cut::kMarkerEnd ? 0 : 1));
    if (!stays) return;
    above = peak - heap;
    peak = 0;
    windows.push_back(record);
  });
  auto goes_on = [&](size_t place) {
    const int64_t period_ms = merge.period_ms();
    if (period_ms == 0 || place + 1 == windows.size()) return false;
    if (uint32_t(windows[place + 1][1]) >= merge.until()) return false;
    for (size_t one : {place, place + 1}) {
      if (windows[one][0] != uint64_t(Cut::kMemory)) return false;
    }
    return int64_t(windows[place][2]) / period_ms == int64_t(windows[place + 1][2]) / period_ms;
  };
  past_windows_ = {};
  for (size_t place = 0; place < windows.size(); ++place) {
    const auto [cut, segment, time_ms, rss, heap, above] = windows[place];
    peak = std::max(peak, heap + above);
    if (goes_on(place)) continue;
    past_windows_.push({cut, merge.of(uint32_t(segment)), time_ms, rss, heap, peak - heap});
    peak = 0;
  }
}

// Of single allocations the largest of each segment stay.
void Account::merge_largest(const Merge& merge) {
  std::vector<uint32_t> numbers(largest.size(), kNoLarge);
  std::vector<Large> kept;
  uint32_t begin = 0;
  for (uint32_t first = 0; first < largest.size();) {
    if (first == large_begin_) begin = uint32_t(kept.size());
    uint32_t end = first;
    while (end < largest.size() && merge.of(largest[end].born) == merge.of(largest[first].born)) ++end;
    std::vector<uint32_t> places;
    for (uint32_t place = first; place < end; ++place) places.push_back(place);
    auto is_larger = [&](uint32_t one, uint32_t other) {
      return largest[one].bytes > largest[other].bytes;
    };
    std::stable_sort(places.begin(), places.end(), is_larger);
    if (places.size() > kLargest) places.resize(kLargest);
    std::sort(places.begin(), places.end());
    for (uint32_t place : places) {
      Large large = largest[place];
      large.born = merge.of(large.born);
      if (large.died != kNever) large.died = merge.of(large.died);
      numbers[place] = uint32_t(kept.size());
      kept.push_back(large);
    }
    first = end;
  }
  large_begin_ = large_begin_ == largest.size() ? uint32_t(kept.size()) : begin;
  largest = std::move(kept);
  for (auto one = large_alive_.begin(); one != large_alive_.end();) {
    one->second = numbers[one->second];
    one = one->second == kNoLarge ? large_alive_.erase(one) : std::next(one);
  }
  for (Mapping& mapping : mappings_) {
    if (mapping.parts != 0 && mapping.large != kNoLarge) mapping.large = numbers[mapping.large];
    if (mapping.parts == 0) mapping.large = kNoLarge;
  }
}

// Cells of one site that were born in what is one segment now become one.
void Account::merge_cells(const Merge& merge) {
  std::vector<bool> is_vacant(cells_.size());
  for (uint32_t number : vacant_cells_) is_vacant[number] = true;
  std::vector<uint32_t> numbers(cells_.size());
  std::vector<Cell> cells(1);
  std::vector<int64_t> settled(1);
  std::map<std::tuple<uint32_t, uint32_t, uint32_t>, uint32_t> known;
  for (size_t number = 1; number < cells_.size(); ++number) {
    if (is_vacant[number]) continue;
    Cell cell = cells_[number];
    if (cell.touched == segment_) {
      fold(cell);
    } else {  // what it did is told in rows
      cell = {cell.site, cell.born, cell.touched, peak_, 0, 0, 0, 0, 0, 0, cell.alive, cell.thread};
    }
    cell.touched = merge.of(cell.touched);
    cell.born = merge.of(cell.born);
    uint32_t& place = known[std::make_tuple(cell.site, cell.born, cell.thread)];
    numbers[number] = place == 0 ? uint32_t(cells.size()) : place;
    if (place == 0) {
      place = numbers[number];
      cells.push_back(cell);
      settled.push_back(settled_bytes_[number]);
      continue;
    }
    Cell& joined = cells[place];
    joined.touched = std::max(joined.touched, cell.touched);
    joined.peak_bytes += cell.peak_bytes;
    joined.since_bytes += cell.since_bytes;
    joined.freed_bytes += cell.freed_bytes;
    joined.freed_count += cell.freed_count;
    joined.peak_count += cell.peak_count;
    joined.since_count += cell.since_count;
    joined.alive += cell.alive;
    settled[place] += settled_bytes_[number];
  }
  cells_ = std::move(cells);
  settled_bytes_ = std::move(settled);
  vacant_cells_.clear();
  live_.renumber(numbers);
  for (Mapping& mapping : mappings_) mapping.cell = mapping.parts == 0 ? 0 : numbers[mapping.cell];
  for (uint32_t& number : touched_) number = numbers[number];
  std::sort(touched_.begin(), touched_.end());
  touched_.erase(std::unique(touched_.begin(), touched_.end()), touched_.end());
  const uint32_t stamp = segment_ + 1, now = merge.of(segment_) + 1;
  for (auto& [is_of, cell] : site_cells_) {
    is_of = is_of == stamp ? now : 0;
    cell = is_of == 0 ? 0 : numbers[cell];
  }
  for (ThreadHeap& own : thread_heaps_) own.stamp = own.stamp == stamp ? now : 0;
}

void Account::merge_segments(const Merge& merge) {
  flush();
  merge_rows(merge);
  merge_windows(merge);
  merge_largest(merge);
  merge_cells(merge);
  segment_ = merge.of(segment_);
}

bool Replay::merge(uint32_t until, std::vector<uint32_t> starts, int64_t period_ms) {
  const bool is_in_order = std::is_sorted(starts.begin(), starts.end()) && until < sequences.size() &&
                           (starts.empty() || starts.back() < until);
  if (!is_in_order || !cuts_.empty()) return false;
  if (earlier.site != 0) starts.insert(starts.begin(), 1);  // before it there is what was there
  const Merge merge(until, starts, period_ms);
  merge_segments(merge);
  std::vector<uint64_t> places{0};  // by the place of what was replaced, the new one; 0: none
  std::vector<int64_t> kept_sequences;
  std::vector<uint64_t> kept_setters, natives;
  uint64_t replaced = 0;
  for (uint32_t segment = 0; segment < sequences.size(); ++segment) {
    const bool stays = merge.begins(segment), is_name = sequences[segment] >= 0;
    if (segment != 0 && !is_name) places.push_back(stays ? ++replaced : 0);
    if (!stays) {
      seen_sequences_.erase(sequences[segment]);
      continue;
    }
    kept_sequences.push_back(sequences[segment]);
    kept_setters.push_back(setters[segment]);
    if (segment != 0) natives.push_back(segment_natives[segment - 1]);
  }
  std::unordered_set<int64_t> names(kept_sequences.begin(), kept_sequences.end());
  sequences = std::move(kept_sequences);
  setters = std::move(kept_setters);
  segment_natives = std::move(natives);
  const uint64_t gone = places.size() - 1 - replaced;
  auto moved = [&](bool is_name, uint64_t place) {  // where it is now; 0: nowhere
    if (is_name) return names.count(int64_t(place)) != 0 ? place : 0;
    return place < places.size() ? places[place] : place - gone;
  };
  auto move = [&](bool is_name, auto& items) {
    std::remove_reference_t<decltype(items)> kept;
    for (auto& [place, item] : items) {
      if (const uint64_t now = moved(is_name, place); now != 0) kept[now] = std::move(item);
    }
    items = std::move(kept);
  };
  move(false, at_markers_);
  move(false, seen_at_markers);
  move(true, at_names_);
  move(true, seen_at_names);
  std::map<Moment, Listed> listed;
  blocks_listed_ = 0;
  for (auto& [moment, one] : listed_) {
    const uint64_t now = moved(moment.first, moment.second);
    if (now == 0) continue;
    blocks_listed_ += one.blocks.size();
    listed[{moment.first, now}] = std::move(one);
  }
  listed_ = std::move(listed);
  markers_ -= gone;
  for (Lost& one : lost) one.segment = merge.of(one.segment);
  ++open_stamp_;
  ++merges_;
  return true;
}

}  // namespace memdeep
