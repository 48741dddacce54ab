// Keeps records of a few figures in few bytes each, in order, to be read from the first to the last:
// a follower keeps those of a day. Knows nothing of what they mean.
//
// A record is a byte with a bit for every figure that differs from that of the record before, and for
// each of these the difference as a zigzag varint.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace memdeep {

template <size_t kFigures>
class PackedRecords {
 public:
  using Record = std::array<uint64_t, kFigures>;
  static_assert(kFigures <= 8);

  size_t size() const { return size_; }

  void push(const Record& record) {
    if (chunks_.empty() || chunks_.back().size() + kMostBytes > kChunk) chunks_.emplace_back();
    std::vector<uint8_t>& chunk = chunks_.back();
    const size_t head = chunk.size();
    chunk.push_back(0);
    for (size_t place = 0; place < kFigures; ++place) {
      const uint64_t change = record[place] - last_[place];
      if (change == 0) continue;
      chunk[head] = uint8_t(chunk[head] | 1u << place);
      uint64_t zigzag = (change << 1) ^ (~(change >> 63) + 1);
      for (; zigzag >= 128; zigzag >>= 7) chunk.push_back(uint8_t(zigzag | 128));
      chunk.push_back(uint8_t(zigzag));
    }
    last_ = record;
    ++size_;
  }

  template <class Visit>
  void each(Visit visit) const {
    decode(visit);
  }

  template <class File>
  void visit(File& file) {
    file(chunks_);
    if constexpr (File::kLoads) {
      size_ = 0;
      auto count = [this](const Record& record) {
        last_ = record;
        ++size_;
      };
      file.require(decode(count));
    }
  }

 private:
  static constexpr size_t kChunk = size_t{64} << 10, kMostBytes = 1 + 10 * kFigures;

  // False if the bytes are no records.
  template <class Visit>
  bool decode(Visit& visit) const {
    Record record{};
    for (const std::vector<uint8_t>& chunk : chunks_) {
      for (size_t at = 0; at < chunk.size();) {
        const uint8_t changed = chunk[at++];
        if (changed >> kFigures != 0) return false;
        for (size_t place = 0; place < kFigures; ++place) {
          if ((changed >> place & 1) == 0) continue;
          uint64_t zigzag = 0;
          for (unsigned shift = 0;; shift += 7) {
            if (at == chunk.size() || shift > 63) return false;
            const uint64_t byte = chunk[at++];
            zigzag |= (byte & 127) << shift;
            if (byte < 128) break;
          }
          record[place] += (zigzag >> 1) ^ (~(zigzag & 1) + 1);
        }
        visit(record);
      }
    }
    return true;
  }

  std::vector<std::vector<uint8_t>> chunks_;
  Record last_{};
  size_t size_ = 0;
};

}  // namespace memdeep
