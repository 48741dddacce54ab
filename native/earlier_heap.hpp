// Lists the blocks that glibc's malloc has given out, the arenas of CPython's allocator and the blocks
// in these. Runs in a forked child, whose memory stands still: nothing here waits for a lock.
//
// What glibc keeps before each block is the size of it and three flags; the next one tells if it is in
// use. Blocks that were freed into a thread's cache, or a fast bin, still look as if they were: the
// first are told by glibc's own mark against double frees, the others by the lists of the bins.
// CPython's arenas of 1 MiB are mappings, divided into pools of 16 KiB, of blocks of one size each.

#pragma once

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>

#include "earlier_format.hpp"
#include "holder_file.hpp"

namespace memdeep {

struct EarlierOrder {
  bool lists_pools;  // the blocks in arenas, and not the arenas
  long version;  // of glibc: 36 for 2.36
  uint64_t freed_mark;  // in the second word of a block in a thread's cache; 0 if it is not known
};

class EarlierHeap {
 public:
  EarlierHeap(int descriptor, const EarlierOrder& order) : file_(descriptor), order_(order) {}

  void list() {
    for (const int number : {SIGSEGV, SIGBUS}) signal(number, pass_over);
    read_areas();
    for (size_t at = 0; at < areas_.count; at++) {
      const Area area = areas_[at];
      if (area.kind == kHeap) list_main(area);
      if (area.kind == kAnonymous && !(can_read(area.start) && list_arena(area))) scan(area);
    }
    varint(kEarlierEnd), varint(count_), varint(sum_);
    file_.flush();
  }

 private:
  enum Kind { kOther, kHeap, kAnonymous, kLibrary };
  struct Area {
    uint64_t start, end;
    Kind kind;
  };
  struct Pool {  // as `struct pool_header` of CPython 3.10 to 3.14
    uint32_t count, pad;
    uint64_t free, next, before;
    uint32_t arena, size_class, next_offset, last_offset;
  };
  static constexpr uint64_t kFlags = 7, kInUse = 1, kOfMapping = 2;
  static constexpr uint64_t kLeastChunk = 32, kPage = 4096, kLeastMapped = 32 << 10;
  static constexpr uint64_t kArenaAlignment = uint64_t{64} << 20, kMostArea = uint64_t{1} << 40;
  // In a malloc_state, before 2.43, which has no fast bins any more, and from then on.
  static constexpr uint64_t kBinsOffset = 16, kBins = 10, kTopOffset = 96, kTopOffsetSince = 8;
  static constexpr long kMangledSince = 32, kNoBinsSince = 43;
  static constexpr uint64_t kMostFast = 0xB0, kMostCached = 0x410;  // of chunks
  static constexpr size_t kMostMaps = size_t{32} << 20;
  static constexpr uint64_t kPoolBytes = 16 << 10, kPoolHead = 48, kArenaBytes = 1 << 20;

  // What may be read by its mapping may be a guard all the same, as below the stacks of threads.
  static inline sigjmp_buf behind;
  static inline volatile bool is_guarded = false;

  static void pass_over(int number) {
    if (!is_guarded) give_up(kBroken, uint64_t(number));
    siglongjmp(behind, 1);
  }

  static bool can_read(uint64_t address) {
    is_guarded = true;
    volatile bool can = false;
    if (sigsetjmp(behind, 1) == 0) {
      can = *reinterpret_cast<const volatile uint8_t*>(address) < 256;
    }
    is_guarded = false;
    return can;
  }

  static uint64_t word(uint64_t address) {
    uint64_t value;
    memcpy(&value, reinterpret_cast<const void*>(address), sizeof value);
    return value;
  }

  // ---------------------------------------------------------------- writing

  void varint(uint64_t value) {
    uint8_t bytes[10];
    size_t size = 0;
    for (; value >= 128; value >>= 7) bytes[size++] = uint8_t(value | 128);
    bytes[size++] = uint8_t(value);
    file_.put(bytes, size);
  }

  void put(EarlierKind kind, uint64_t address, uint64_t size) {
    const uint64_t gap = uint64_t(int64_t(address - at_) >> 3);
    varint((gap << 1 ^ (~(gap >> 63) + 1)) << 2 | kind);
    varint(size);
    at_ = (address + size + 7) & ~uint64_t{7};
    count_++, sum_ += size;
  }

  // What was asked for is not known: of the 16 sizes that make one chunk, the middle.
  void put_chunk(uint64_t chunk, uint64_t size) { put(kEarlierBlock, chunk + 16, size - 16); }

  // ---------------------------------------------------------------- mappings

  void read_areas() {
    Mapped<char> text;  // all of it at once, and for good: it must lie where the maps say
    text.reserve(kMostMaps);
    const int maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (maps < 0) give_up(kNotWritten, uint64_t(errno));
    for (ssize_t done = 1; done > 0;) {
      if (text.count + (1 << 16) >= kMostMaps) give_up(kNoMemory, kMostMaps);
      done = read(maps, text.items + text.count, 1 << 16);
      if (done < 0 && errno != EINTR) give_up(kNotWritten, uint64_t(errno));
      if (done > 0) text.count += size_t(done);
      if (done < 0) done = 1;
    }
    close(maps);
    text.push('\0');
    for (const char* line = text.items; *line;) {
      const char* next = strchr(line, '\n');
      add_area(line, next ? size_t(next - line) : strlen(line));
      if (!next) break;
      line = next + 1;
    }
  }

  // start-end perms offset device inode [path]
  void add_area(const char* line, size_t size) {
    char* rest;
    const uint64_t start = strtoull(line, &rest, 16), end = strtoull(rest + 1, &rest, 16);
    if (strncmp(rest, " rw-p", 5) != 0 || end - start > kMostArea) return;
    const char* path = rest;
    for (int field = 0; field < 4 && path < line + size; field++) {
      path = static_cast<const char*>(memchr(path + 1, ' ', size_t(line + size - path - 1)));
      if (!path) path = line + size;
    }
    while (path < line + size && (*path == ' ' || (*path >= '0' && *path <= '9'))) path++;
    const size_t length = size_t(line + size - path);
    auto is = [&](const char* word) { return length == strlen(word) && !memcmp(path, word, length); };
    auto ends = [&](const char* word) {
      const size_t own = strlen(word);
      return length >= own && !memcmp(path + length - own, word, own);
    };
    Kind kind = kOther;
    if (is("[heap]")) kind = kHeap;
    if (length == 0 || (length > 6 && !memcmp(path, "[anon:", 6))) kind = kAnonymous;
    if (ends("/libc.so.6")) kind = kLibrary;
    // What lies behind the data of a library is the rest of them.
    if (kind == kAnonymous && last_kind_ == kLibrary && last_end_ == start) kind = kLibrary;
    last_kind_ = kind, last_end_ = end;
    if (kind != kOther) areas_.push({start, end, kind});
  }

  // ---------------------------------------------------------------- glibc

  // Goes through chunks from `from`; returns where the chain ends: at `top`, at the end, or where it is
  // none. Lists those in use if it shall.
  uint64_t chain(uint64_t from, uint64_t end, uint64_t top, bool lists) {
    uint64_t chunk = from;
    while (chunk + kLeastChunk <= end && chunk != top) {
      const uint64_t head = word(chunk + 8), size = head & ~kFlags;
      if (size < kLeastChunk || size % 16 || size > end - chunk || head & kOfMapping) break;
      const uint64_t next = chunk + size;
      if (next + 16 > end) break;  // the last one of all is nobody's
      if (lists && word(next + 8) & kInUse && !was_freed(chunk, size)) put_chunk(chunk, size);
      chunk = next;
    }
    return chunk;
  }

  bool was_freed(uint64_t chunk, uint64_t size) {
    if (size <= kMostCached + 16 && order_.freed_mark && word(chunk + 24) == order_.freed_mark)
      return true;
    return size <= kMostFast && in_bins_.find(chunk) != MappedTable::kNone;
  }

  bool has_bins() const { return order_.version < kNoBinsSince; }

  void read_bins(uint64_t bins, uint64_t start, uint64_t end) {
    for (uint64_t bin = 0; bin < kBins; bin++) {
      uint64_t chunk = word(bins + 8 * bin);
      while (chunk % 16 == 0 && chunk >= start && chunk + kLeastChunk <= end) {
        uint32_t& known = in_bins_.at(chunk);
        if (known != MappedTable::kNone) break;
        known = 1;
        const uint64_t next = word(chunk + 16);
        chunk = order_.version >= kMangledSince ? next ^ (chunk + 16) >> 12 : next;
      }
    }
  }

  void list_main(const Area& area) {
    const uint64_t top = chain(area.start, area.end, 0, false);
    for (size_t at = 0; at < areas_.count; at++) {
      const Area& data = areas_[at];
      if (data.kind != kLibrary || !has_bins()) continue;
      for (uint64_t place = data.start + kTopOffset; place + 8 <= data.end; place += 8)
        if (word(place) == top)
          read_bins(place - kTopOffset + kBinsOffset, area.start, area.end);
    }
    chain(area.start, area.end, 0, true);
  }

  // Another arena begins, in a heap of its own, with what is known of both, and is aligned to their size.
  // False if this is none.
  bool list_arena(const Area& area) {
    const uint64_t start = area.start;
    if (start % kArenaAlignment || area.end - start < kPage) return false;
    const uint64_t arena = word(start), size = word(start + 16), first = word(start + 8);
    if (size < kPage || size > kArenaAlignment || size > area.end - start || arena % 16) return false;
    const bool is_first = first == 0 && arena > start && arena - start <= 64;
    if (!is_first && (first % kArenaAlignment || !first || !is_known(arena))) return false;
    const uint64_t end = start + size;
    if (is_first && has_bins()) read_bins(arena + kBinsOffset, start, end);
    const uint64_t top = word(arena + (has_bins() ? kTopOffset : kTopOffsetSince));
    const uint64_t least = is_first ? arena + 2048 : start + 32, most = least + 512;
    for (uint64_t from = least & ~uint64_t{15}; from < most; from += 16) {
      const uint64_t reached = chain(from, end, top, false);
      if (reached == top || (!is_first && reached + 64 >= end)) {
        chain(from, end, top, true);
        break;
      }
    }
    if (area.end - end >= kPage) scan({end, area.end, kAnonymous});
    return true;
  }

  // Whether `address` lies in an area of which a malloc_state may be part.
  bool is_known(uint64_t address) const {
    for (size_t at = 0; at < areas_.count; at++)
      if (areas_[at].start <= address && address + 2048 <= areas_[at].end) return true;
    return false;
  }

  // ---------------------------------------------------------------- mappings of others

  // A chunk with a mapping of its own, and its bytes; 0 if this page begins none. From 2.43 on the two
  // words before the block are not counted.
  static uint64_t mapped_chunk(uint64_t page, uint64_t end) {
    const uint64_t before = word(page), head = word(page + 8);
    const uint64_t size = ((head & ~kFlags) + 16) & ~(kPage - 1);
    const bool holds = (head & kFlags) == kOfMapping && before == 0 &&
                       (size == (head & ~kFlags) || size == (head & ~kFlags) + 16) &&
                       size >= kLeastMapped && size <= end - page;
    return holds ? size : 0;
  }

  void scan(const Area& area) {
    volatile uint64_t page = area.start, begun = area.start;
    if (sigsetjmp(behind, 1)) {  // this page is a guard
      is_guarded = false;
      scan_arenas(begun, page);
      page = page + kPage;
      begun = page;
    }
    while (page < area.end) {
      is_guarded = true;
      const uint64_t size = mapped_chunk(page, area.end);
      is_guarded = false;
      if (!size) {
        page = page + kPage;
        continue;
      }
      scan_arenas(begun, page);
      // Pages that were not asked for: half of one.
      put(kEarlierBlock, page + 16, size - 16 - (size > kLeastMapped ? kPage / 2 : 0));
      page = page + size;
      begun = page;
    }
    scan_arenas(begun, area.end);
  }

  static bool is_pool(uint64_t at) {
    Pool pool;
    memcpy(&pool, reinterpret_cast<const void*>(at), sizeof pool);
    if (pool.size_class >= 32) return false;
    const uint32_t size = (pool.size_class + 1) * 16;
    return pool.last_offset == kPoolBytes - size && pool.next_offset >= kPoolHead + size &&
           pool.next_offset <= kPoolBytes && (pool.next_offset - kPoolHead) % size == 0 &&
           pool.count <= (kPoolBytes - kPoolHead) / size && pool.arena < (1u << 20) &&
           (pool.free == 0 || (pool.free > at && pool.free < at + kPoolBytes));
  }

  // The first pool in the range, or its end.
  static uint64_t next_pool(uint64_t from, uint64_t end) {
    uint64_t at = (from + kPoolBytes - 1) & ~(kPoolBytes - 1);
    while (at + kPoolBytes <= end && !is_pool(at)) at += kPoolBytes;
    return at + kPoolBytes <= end ? at : end;
  }

  void scan_arenas(uint64_t start, uint64_t end) {
    if (end < start + kArenaBytes) return;
    uint64_t pool = next_pool(start, end);
    if (order_.lists_pools) {
      for (; pool < end; pool = next_pool(pool + kPoolBytes, end)) list_pool(pool);
      return;
    }
    // Arenas lie one behind the other, from the beginning or to the end of what is mapped.
    const bool is_from_end = (end - start) % kArenaBytes && (pool - start) % kArenaBytes >= kPoolBytes;
    uint64_t arena = is_from_end ? start + (end - start) % kArenaBytes : start;
    for (; arena + kArenaBytes <= end; arena += kArenaBytes)
      if (next_pool(arena, arena + kArenaBytes) < arena + kArenaBytes)
        put(kEarlierMapping, arena, kArenaBytes);
  }

  void list_pool(uint64_t at) {
    Pool pool;
    memcpy(&pool, reinterpret_cast<const void*>(at), sizeof pool);
    const uint32_t size = (pool.size_class + 1) * 16;
    const uint32_t used = (pool.next_offset - kPoolHead) / size;
    bool is_free[kPoolBytes / 16] = {};
    uint32_t free = 0;
    for (uint64_t block = pool.free; block > at && block < at + kPoolBytes - 7; block = word(block)) {
      const uint32_t place = uint32_t(block - at - kPoolHead) / size;
      if (place >= used || is_free[place]) break;
      is_free[place] = true;
      free++;
    }
    if (used - free != pool.count) return;
    for (uint32_t place = 0; place < used; place++)
      if (!is_free[place]) put(kEarlierBlock, at + kPoolHead + place * size, size - 8);
  }

  File file_;
  EarlierOrder order_;
  Mapped<Area> areas_;
  MappedTable in_bins_;
  Kind last_kind_ = kOther;
  uint64_t last_end_ = 0, at_ = 0, count_ = 0, sum_ = 0;
};

}  // namespace memdeep
