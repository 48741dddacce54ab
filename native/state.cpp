// How the state of a replay is saved and loaded. What is in it every class lists in its own `visit`,
// one list for both ways. In a unit of its own: within the module's, compilers would call what the
// replay does for every record, for lack of room to put it in place.

#include "state.hpp"

#include <cstring>
#include <map>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace memdeep {

namespace {

constexpr char kStateMagic[] = "mdstate\n", kStateEnd[] = "mdstate.";
constexpr uint32_t kOrder = 0x01020304;
constexpr size_t kStateHeader = 16, kStateTrailer = 24;
constexpr size_t kStateChunk = size_t{1} << 20;  // a multiple of 8

// What can be copied as the bytes that it is.
template <class Item>
constexpr bool kIsPlain =
    std::has_unique_object_representations_v<Item> && !std::is_same_v<Item, bool>;

// Goes over members and what they hold, in the same order for saving and for loading.
template <class File>
class StateVisitor {
 public:
  template <class... Items>
  void operator()(Items&... items) {
    (one(items), ...);
  }

 private:
  File& self() { return static_cast<File&>(*this); }

  template <class Item>
  void one(Item& item) {
    if constexpr (std::is_same_v<Item, bool>) {
      uint8_t byte = item;
      self().raw(&byte, 1);
      self().require(byte <= 1);
      item = byte != 0;
    } else if constexpr (kIsPlain<Item>) {
      self().raw(&item, sizeof item);
    } else {
      item.visit(self());
    }
  }

  void one(std::string& text) {
    const size_t count = counted(text.size(), 1);
    if constexpr (File::kLoads) text.resize(count);
    self().raw(text.data(), count);
  }

  template <class Item>
  void one(std::vector<Item>& items) {
    if constexpr (kIsPlain<Item>) {
      const size_t count = counted(items.size(), sizeof(Item));
      if constexpr (File::kLoads) items.resize(count);
      self().raw(items.data(), count * sizeof(Item));
    } else {
      const size_t count = counted(items.size(), 1);
      if constexpr (File::kLoads) items.clear();
      for (size_t place = 0; place < count; ++place) {
        if constexpr (File::kLoads) items.emplace_back();  // not all at once: they may not be there
        one(items[place]);
      }
    }
  }

  template <class First, class Second>
  void one(std::pair<First, Second>& pair) {
    one(pair.first);
    one(pair.second);
  }

  template <class Key, class Value>
  void one(std::map<Key, Value>& items) {
    keyed(items);
  }
  template <class Key, class Value>
  void one(std::unordered_map<Key, Value>& items) {
    keyed(items);
  }

  template <class Items>
  void keyed(Items& items) {
    const size_t count = counted(items.size(), 1);
    if constexpr (File::kLoads) {
      items.clear();
      for (size_t place = 0; place < count; ++place) {
        typename Items::key_type key{};
        one(key);
        const auto [item, is_new] = items.try_emplace(std::move(key));
        self().require(is_new);
        one(item->second);
      }
    } else {
      for (auto& [key, value] : items) {
        one(const_cast<std::remove_const_t<std::remove_reference_t<decltype(key)>>&>(key));
        one(value);
      }
    }
  }

  template <class Item>
  void one(std::unordered_set<Item>& items) {
    const size_t count = counted(items.size(), sizeof(Item));
    if constexpr (File::kLoads) {
      items.clear();
      for (size_t place = 0; place < count; ++place) {
        Item item{};
        one(item);
        self().require(items.insert(item).second);
      }
    } else {
      for (Item item : items) one(item);
    }
  }

  // The number of items that a container has: there is no room in the file for more than it tells.
  size_t counted(size_t size, size_t least_bytes) {
    uint64_t count = size;
    self().raw(&count, sizeof count);
    self().require(self().has(count, least_bytes));
    return size_t(count);
  }
};

// Saves, in pieces, by way of `sink`, which tells whether it could take all of one.
class StateWriter : public StateVisitor<StateWriter> {
 public:
  static constexpr bool kLoads = false;

  explicit StateWriter(StateSink sink) : sink_(std::move(sink)), buffer_(new uint8_t[kStateChunk]) {
    raw(kStateMagic, 8);
    raw(&kStateVersion, sizeof kStateVersion);
    raw(&kOrder, sizeof kOrder);
  }

  void raw(const void* bytes, size_t size) {
    auto from = static_cast<const uint8_t*>(bytes);
    written_ += size;
    while (size > kStateChunk - used_) {
      const size_t part = kStateChunk - used_;
      std::memcpy(&buffer_[used_], from, part);
      from += part;
      size -= part;
      used_ = kStateChunk;
      flush();
    }
    if (size != 0) std::memcpy(&buffer_[used_], from, size);
    used_ += size;
  }

  void require(bool) {}
  bool has(uint64_t, size_t) const { return true; }

  // Writes the trailer; false if anything could not be written.
  bool end() {
    const uint64_t size = written_, nothing = 0;
    raw(&nothing, (8 - size % 8) % 8);
    raw(kStateEnd, 8);
    raw(&size, sizeof size);
    flush();
    const uint64_t sum = sum_.value();
    raw(&sum, sizeof sum);
    flush();
    return !has_failed_;
  }

 private:
  void flush() {
    sum_.add(buffer_.get(), used_);
    has_failed_ = has_failed_ || !sink_(buffer_.get(), used_);
    used_ = 0;
  }

  StateSink sink_;
  std::unique_ptr<uint8_t[]> buffer_;
  size_t used_ = 0;
  uint64_t written_ = 0;
  StateSum sum_;
  bool has_failed_ = false;
};

// Loads, in pieces, by way of `source`: it has `size` bytes, and gives so many from an offset on, or
// throws. Nothing is loaded of a file that is not whole. Throws StateError.
class StateReader : public StateVisitor<StateReader> {
 public:
  static constexpr bool kLoads = true;

  StateReader(StateSource source, uint64_t size)
      : source_(std::move(source)), buffer_(new uint8_t[kStateChunk]) {
    verify(size);
  }

  void raw(void* bytes, size_t size) {
    auto to = static_cast<uint8_t*>(bytes);
    while (size > fill_ - used_) {
      const size_t part = fill_ - used_;
      if (part != 0) std::memcpy(to, &buffer_[used_], part);
      to += part;
      size -= part;
      require(at_ < end_);
      used_ = 0;
      fill_ = size_t(std::min<uint64_t>(kStateChunk, end_ - at_));
      source_(at_, buffer_.get(), fill_);
      at_ += fill_;
    }
    if (size != 0) std::memcpy(to, &buffer_[used_], size);
    used_ += size;
  }

  void require(bool holds) const {
    if (!holds) throw StateError("what it says cannot be");
  }

  bool has(uint64_t count, size_t bytes) const {
    return count <= (end_ - at_ + (fill_ - used_)) / bytes;
  }

  void end() { require(!has(1, 1)); }

 private:
  void verify(uint64_t size) {
    uint8_t head[kStateHeader] = {};
    source_(0, head, size_t(std::min<uint64_t>(size, sizeof head)));
    uint32_t version, order;
    std::memcpy(&version, head + 8, sizeof version);
    std::memcpy(&order, head + 12, sizeof order);
    if (size < 8 ? std::memcmp(head, kStateMagic, size_t(size)) != 0
                 : std::memcmp(head, kStateMagic, 8) != 0) {
      throw StateError("it is no saved state");
    }
    if (size < kStateHeader + kStateTrailer) throw StateError("it is cut off");
    if (version != kStateVersion || order != kOrder) {
      throw StateError("it was saved by another version");
    }
    uint8_t tail[kStateTrailer];
    source_(size - sizeof tail, tail, sizeof tail);
    uint64_t content, sum;
    std::memcpy(&content, tail + 8, sizeof content);
    std::memcpy(&sum, tail + 16, sizeof sum);
    const uint64_t before = size - kStateTrailer;
    if (size % 8 != 0 || std::memcmp(tail, kStateEnd, 8) != 0) throw StateError("it is cut off");
    StateSum found;
    for (uint64_t at = 0; at < size - 8;) {
      const auto part = size_t(std::min<uint64_t>(kStateChunk, size - 8 - at));
      source_(at, buffer_.get(), part);
      found.add(buffer_.get(), part);
      at += part;
    }
    if (found.value() != sum || content > before || before - content >= 8 ||
        content < kStateHeader) {
      throw StateError("it is damaged");
    }
    at_ = kStateHeader;
    end_ = content;
  }

  StateSource source_;
  std::unique_ptr<uint8_t[]> buffer_;
  size_t used_ = 0, fill_ = 0;
  uint64_t at_ = 0, end_ = 0;
};

}  // namespace

bool save_state(Replay& replay, StateSink sink) {
  StateWriter writer(std::move(sink));
  replay.visit(writer);
  return writer.end();
}

std::unique_ptr<Replay> load_state(StateSource source, uint64_t size) {
  StateReader reader(std::move(source), size);
  auto replay = std::make_unique<Replay>();
  replay->visit(reader);
  reader.end();
  return replay;
}

}  // namespace memdeep
