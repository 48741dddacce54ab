// The line table of a CPython code object, 3.10 or later, read entry by entry. Source of the formats:
// CPython's Objects/lnotab_notes.txt (3.10) and Objects/locations.md (3.11 on).

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

namespace memdeep {

class LineTable {
 public:
  LineTable(const uint8_t* table, size_t size, int64_t first_line, uint32_t python_version)
      : is_3_10(python_version < 0x030B0000), line(first_line), at_(table), end_of_table_(table + size) {}

  const bool is_3_10;
  int64_t end = 0;  // where the entry ends, in bytes of code
  int64_t line;     // its line, or for code without one the line before it

  // Moves to the next entry; false at the end of the table, or where it is damaged.
  bool next() { return is_3_10 ? next_of_3_10() : next_of_3_11(); }

 private:
  static constexpr int64_t kInstruction = 2;
  const uint8_t *at_, *end_of_table_;

  bool next_of_3_10() {
    if (end_of_table_ - at_ < 2) return false;
    end += at_[0];
    const auto delta = int8_t(at_[1]);
    if (delta != -128) line += delta;  // which is for no line
    at_ += 2;
    return true;
  }

  bool next_of_3_11() {
    if (at_ >= end_of_table_ || *at_ < 0x80) return false;  // each begins with its highest bit set
    const uint8_t head = *at_++;
    const int code = head >> 3 & 15;
    end += ((head & 7) + 1) * kInstruction;
    if (code >= 10 && code <= 12) line += code - 10;
    if (code == 13 || code == 14) line += signed_number();
    while (at_ < end_of_table_ && *at_ < 0x80) ++at_;  // columns
    return true;
  }

  // In groups of six bits, least significant first; the sign is the lowest bit.
  int64_t signed_number() {
    uint64_t value = 0;
    bool has_more = true;
    for (int shift = 0; shift < 36 && has_more && at_ < end_of_table_; shift += 6) {
      value |= uint64_t{*at_ & 63u} << shift;
      has_more = (*at_++ & 64) != 0;
    }
    const auto size = int64_t(value >> 1);
    return (value & 1) != 0 ? -size : size;
  }
};

// The line of the instruction at each offset (as in a capture); 0 if it has none.
inline std::vector<int64_t> lines(LineTable table, const int32_t* offsets, size_t count) {
  std::vector<size_t> places(count);
  std::iota(places.begin(), places.end(), size_t{0});
  std::sort(places.begin(), places.end(), [&](size_t a, size_t b) { return offsets[a] < offsets[b]; });
  std::vector<int64_t> found(count);
  bool has_entry = false, is_within = true;
  for (size_t place : places) {
    if (offsets[place] < 0) continue;
    const int64_t offset = int64_t{offsets[place]} * (table.is_3_10 ? 2 : 1);
    while (is_within && table.end <= offset) {
      is_within = table.next();
      has_entry = has_entry || is_within;
    }
    // Behind the end of the table there is nothing, but in 3.10 memray takes the last line.
    if (is_within || (table.is_3_10 && has_entry)) found[place] = table.line;
  }
  return found;
}

}  // namespace memdeep
