// Arrays in memory of their own: neither Python's allocators nor malloc, nor anything that traces
// them, takes part in the walk of a heap.

#pragma once

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace memdeep {

constexpr char kFileGivenUp[] = "mdholds!";
constexpr size_t kParentBytes = 16;  // at the beginning of the file, which the program itself writes
enum GivenUp : uint64_t { kNoMemory = 1, kNotWritten, kTimeOver, kBroken };

inline int given_up_in = -1;  // the descriptor of the child's file

// For the forked child alone: it ends with a word in its file on why. Takes no memory.
[[noreturn]] inline void give_up(GivenUp reason, uint64_t detail) {
  if (given_up_in >= 0 && ftruncate(given_up_in, kParentBytes) == 0) {
    uint64_t words[3] = {0, reason, detail};
    memcpy(words, kFileGivenUp, 8);
    if (pwrite(given_up_in, words, sizeof words, kParentBytes) < 0) {}
  }
  _exit(int(reason));
}

// Not by libc, whose functions are traced: the forked child must write into nobody's trace.
inline void* map_untraced(size_t bytes) {
  return reinterpret_cast<void*>(syscall(SYS_mmap, nullptr, bytes, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

template <class Item>
struct Mapped {
  Item* items = nullptr;
  size_t count = 0, room = 0;

  Item& operator[](size_t index) { return check(index), items[index]; }
  const Item& operator[](size_t index) const { return check(index), items[index]; }

  void reserve(size_t wanted) {
#ifdef MEMDEEP_CHECKED
    if (wanted > usable) usable = wanted;
#endif
    if (wanted <= room) return;
    size_t larger = room ? room * 2 : 4096;
    if (larger < wanted) larger = wanted;
    void* place = room ? mremap(items, bytes(room), bytes(larger), MREMAP_MAYMOVE)
                       : map_untraced(bytes(larger));
    if (place == MAP_FAILED) give_up(kNoMemory, bytes(larger));
    items = static_cast<Item*>(place);
    room = larger;
  }

  void push(Item item) {
#ifdef MEMDEEP_CHECKED
    if (usable <= count) usable = count + 1;
#endif
    if (count == room) reserve(count + 1);
    items[count++] = item;
  }

  void fill(size_t number, Item item) {
    reserve(number);
    for (size_t index = 0; index < number; index++) items[index] = item;
    count = number;
  }

  void drop() {
    if (room) syscall(SYS_munmap, items, bytes(room));
    items = nullptr;
    count = room = 0;
#ifdef MEMDEEP_CHECKED
    usable = 0;
#endif
  }

 private:
#ifdef MEMDEEP_CHECKED  // no sanitizer knows where these arrays end
  size_t usable = 0;
  void check(size_t index) const {
    if (index >= usable) abort();
  }
#else
  void check(size_t) const {}
#endif
  static size_t bytes(size_t number) { return (number * sizeof(Item) + 4095) & ~size_t{4095}; }
};

// From a word other than ~0 to a number, by open addressing.
struct MappedTable {
  static constexpr uint32_t kNone = ~uint32_t{0};
  struct Entry {
    uint64_t key;
    uint32_t value;
  };
  Mapped<Entry> entries;
  size_t used = 0;

  // The place for the value of `key`: kNone where it is new, and to be set at once.
  uint32_t& at(uint64_t key) {
    if ((used + 1) * 10 > entries.count * 6) grow();
    Entry& entry = entries[place(key)];
    if (entry.key != key) {
      entry = {key, kNone};
      used++;
    }
    return entry.value;
  }

  uint32_t find(uint64_t key) const {
    if (!entries.count) return kNone;
    const Entry& entry = entries[place(key)];
    return entry.key == key ? entry.value : kNone;
  }

  void drop() {
    entries.drop();
    used = 0;
  }

 private:
  static constexpr uint64_t kFree = ~uint64_t{0};

  size_t place(uint64_t key) const {
    const size_t mask = entries.count - 1;
    size_t at = (key * 0x9E3779B97F4A7C15ull >> 20) & mask;
    while (entries[at].key != kFree && entries[at].key != key) at = (at + 1) & mask;
    return at;
  }

  void grow() {
    Mapped<Entry> old = entries;
    entries = {};
    entries.fill(old.count ? old.count * 2 : size_t{1} << 12, Entry{kFree, kNone});
    for (size_t index = 0; index < old.count; index++)
      if (old[index].key != kFree) entries[place(old[index].key)] = old[index];
    old.drop();
  }
};

}  // namespace memdeep
