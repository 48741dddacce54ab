// Hands out numbers of things, whatever they are: a hash table that holds the numbers alone. Knows
// nothing of the things; whoever keeps them compares and hashes them.

#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

namespace memdeep {

using std::size_t;
using std::uint32_t;
using std::uint64_t;
using std::uint8_t;
using std::int32_t;
using std::int64_t;

// Zeroed memory straight from the kernel, in huge pages where there are any.
template <class T>
class Pages {
 public:
  explicit Pages(size_t count) : bytes_(count * sizeof(T)) {
    void* memory =
        mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
    if (bytes_ >= size_t{2} << 20) madvise(memory, bytes_, MADV_HUGEPAGE);
#endif
    items_ = static_cast<T*>(memory);
  }
  ~Pages() {
    if (items_ != nullptr) munmap(items_, bytes_);
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  void swap(Pages& other) {
    std::swap(items_, other.items_);
    std::swap(bytes_, other.bytes_);
  }
  T& operator[](size_t place) const { return items_[place]; }

 private:
  T* items_ = nullptr;
  size_t bytes_;
};

inline uint64_t mix(uint64_t one, uint64_t other) {
  uint64_t mixed = (one ^ (other * 0x9E3779B97F4A7C15u)) * 0xD6E8FEB86659FD93u;
  return mixed ^ (mixed >> 32);
}

// Finds the number of a thing that is kept elsewhere: open addressing over numbers (0: free), each
// beside half of its hash, so that other things are seldom looked at and growing looks at none.
class Numbers {
 public:
  // The place for the number of a thing with this hash: 0 in it means the thing is new.
  // `is_same(number)` compares.
  template <class IsSame>
  uint32_t& at(uint64_t hash, IsSame is_same) {
    if (used_ * 2 > mask_) grow();
    const auto half = uint32_t(hash >> 32);
    for (size_t place = home(half);; place = (place + 1) & mask_) {
      Slot& slot = slots_[place];
      if (slot.number == 0) {
        ++used_;  // the caller fills it
        slot.half = half;
        return slot.number;
      }
      if (slot.half == half && is_same(slot.number)) return slot.number;
    }
  }

 private:
  struct Slot {
    uint32_t number, half;
  };
  static constexpr size_t kInitial = 256;

  size_t home(uint32_t half) const { return uint64_t{half} * (mask_ + 1) >> 32; }

  void grow() {
    const size_t old = mask_ + 1;
    Pages<Slot> larger(old * 2);
    slots_.swap(larger);
    mask_ = old * 2 - 1;
    for (size_t from = 0; from < old; ++from) {
      if (larger[from].number == 0) continue;
      size_t place = home(larger[from].half);
      while (slots_[place].number != 0) place = (place + 1) & mask_;
      slots_[place] = larger[from];
    }
  }

  Pages<Slot> slots_{kInitial};
  size_t mask_ = kInitial - 1;
  size_t used_ = 0;
};

}  // namespace memdeep
