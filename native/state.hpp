// Saves the state of a replay, and loads it again: the replay goes on as if it had never stopped.
//
// THE FORMAT (integers are little-endian and as wide as in memory)
//
//   header    "mdstate\n", u32 kStateVersion, u32 kOrder
//   content   u64 bytes of the capture that were taken, u64 merges of segments, then the other members as they are visited;
//             containers begin with their u64 count
//   trailer   zeros up to a multiple of 8, "mdstate.", u64 bytes of header and content, u64 checksum
//             of all before it
//
// Whoever writes the file makes it durable and gives it its name; one that is not whole is refused.

#pragma once

#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>

#include "replay.hpp"

namespace memdeep {

// Raise it with every change of what any `visit` lists, of the order or width of that, of what the
// figures mean, and of the ranges that looks ask about: a state of another version is refused, never
// guessed.
constexpr uint32_t kStateVersion = 4;

// A member that no `visit` lists would be lost: whoever changes these sizes has looked for it there.
#if defined(__GLIBCXX__) && defined(__LP64__) && !defined(_GLIBCXX_DEBUG)
static_assert(sizeof(Account) == 5720, "is the new member in Account::visit?");
static_assert(sizeof(Replay) == 7544, "is the new member in Replay::visit?");
#endif

struct StateError : std::exception {
  explicit StateError(const char* text) : reason(text) {}
  const char* reason;
  const char* what() const noexcept override { return reason; }
};

using StateSink = std::function<bool(const uint8_t*, size_t)>;  // whether it could take all of it
using StateSource = std::function<void(uint64_t, uint8_t*, size_t)>;  // gives bytes from an offset on

// False if anything could not be written. The replay goes on as if nothing had been saved.
bool save_state(Replay& replay, StateSink sink);

// Loads a state of `size` bytes. Throws StateError, and what `source` throws.
std::unique_ptr<Replay> load_state(StateSource source, uint64_t size);

// The checksum of a multiple of 8 bytes.
class StateSum {
 public:
  void add(const uint8_t* bytes, size_t size) {
    for (size_t at = 0; at < size; at += 8) {
      uint64_t word;
      std::memcpy(&word, bytes + at, sizeof word);
      sum_ = (sum_ ^ word) * 0xD6E8FEB86659FD93u;
      sum_ ^= sum_ >> 32;
    }
  }
  uint64_t value() const { return sum_; }

 private:
  uint64_t sum_ = 0x9E3779B97F4A7C15u;
};

}  // namespace memdeep
