// Feeds the replay with what is no capture: under libFuzzer, or, where there is none, with mutations
// of the seeds given as arguments for FUZZ_SECONDS. Every input is fed whole and in pieces; both must
// end alike.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <numeric>
#include <random>

#include "alive.hpp"
#include "join.hpp"
#include "line_table.hpp"
#include "paths.hpp"
#include "replay.hpp"

namespace memdeep {

static bool operator==(const Row& one, const Row& other) {
  return one.place == other.place && one.born == other.born && one.died == other.died &&
         one.bytes == other.bytes && one.count == other.count;
}

}  // namespace memdeep

namespace {

using memdeep::Replay;

constexpr unsigned kCuts = 4;

std::unique_ptr<Replay> replayed(const uint8_t* data, size_t size, unsigned pieces,
                                 unsigned cuts = 0) {
  auto replay = std::make_unique<Replay>();
  for (unsigned cut = 0; cut < cuts; ++cut) replay->cut({int64_t(cut * size % 7), cut / 2});
  std::minstd_rand random(pieces);
  for (size_t at = 0; at < size;) {
    const size_t piece = pieces == 0 ? size : 1 + random() % pieces;
    const size_t count = std::min(piece, size - at);
    const std::vector<uint8_t> exact(data + at, data + at + count);  // its end is guarded
    replay->feed(exact.data(), exact.size());
    at += count;
  }
  replay->finish();
  return replay;
}

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "not so: %s\n", what);
  std::abort();
}

// Segments in pairs make a checkpoint, but for the last three; sites are taken by sevens.
void check_lifetimes(const Replay& replay) {
  std::vector<uint32_t> places(replay.sites.size()), ends(replay.sequences.size());
  for (size_t site = 0; site < places.size(); ++site) places[site] = uint32_t(site / 7);
  for (size_t segment = 0; segment < ends.size(); ++segment) {
    ends[segment] = segment + 3 < ends.size() ? uint32_t(segment / 2) + 1 : memdeep::kNever;
  }
  const auto checkpoints = uint32_t(ends.size() / 2 + 2);
  memdeep::Sums kept_sums, passed_sums;
  int64_t allocated = 0, found = 0;
  for (const memdeep::Rows* rows : {&replay.lifetimes, &replay.transients}) {
    memdeep::at_checkpoints(*rows, places.data(), ends.data(), kept_sums, passed_sums);
    for (const memdeep::Row& row : *rows) {
      if (ends[row.born] != memdeep::kNever) allocated += row.bytes;
    }
  }
  const memdeep::Rows kept = kept_sums.release(), passed = passed_sums.release();
  for (const memdeep::Row& row : kept) found += row.bytes;
  for (const memdeep::Row& row : passed) found += row.bytes;
  require(found == allocated, "no byte is lost between checkpoints");
  const std::vector<int64_t> heap = memdeep::heap_at(kept, checkpoints);
  const std::vector<memdeep::Stretch> stretches = {{0, 0, checkpoints - 1}, {1, 0, 1}};
  std::vector<uint32_t> groups(places.size());
  for (size_t place = 0; place < groups.size(); ++place) groups[place] = uint32_t(place / 3);
  const memdeep::Moved phases =
      memdeep::moved(kept, stretches, 2, groups.data(), groups.size() / 3 + 1);
  size_t retained = 0, freed = 0;
  for (const memdeep::Stretch& stretch : stretches) {
    int64_t grown = 0, held = 0;
    for (uint32_t left = phases.retained_groups[stretch.phase]; left > 0; --left) {
      held += phases.retained.bytes[retained++];
    }
    for (uint32_t left = phases.freed_groups[stretch.phase]; left > 0; --left) {
      grown -= phases.freed.bytes[freed++];
    }
    grown += held;
    require(grown == heap[stretch.end] - heap[stretch.start], "what was moved is the growth");
    require(held == phases.kept_bytes[stretch.phase], "without repeats what is retained is kept");
  }
  for (double share : memdeep::largest_shares(kept, passed, places.size(), 0.01)) {
    require(share >= 0 && share <= 1, "a share is a share");
  }
}

// Tables that may be of any rules that `Paths` takes.
struct Tables {
  std::vector<int32_t> names, thread_names, stand_ins;
  std::vector<uint8_t> steps, is_tail;

  Tables(const Replay& replay, std::minstd_rand& random, size_t name_count) {
    auto fill = [&](auto& column, size_t count, unsigned limit, int least) {
      using Item = typename std::decay_t<decltype(column)>::value_type;
      for (; count > 0; --count) column.push_back(Item(int(random() % limit) + least));
    };
    const unsigned states = 1 + unsigned(random() % 6);
    fill(names, replay.frames.size(), unsigned(name_count) + 1, -1);
    fill(thread_names, replay.threads.size(), unsigned(name_count), 0);
    fill(steps, replay.frames.size() * states, states, 0);
    fill(stand_ins, states, unsigned(name_count) + 1, -1);
    const auto first_tail = uint8_t(random() % (states + 1));
    for (unsigned state = 0; state < states; ++state) is_tail.push_back(state >= first_tail);
    for (size_t place = 0; place < steps.size(); ++place) {
      if (is_tail[place % states] != 0) steps[place] = std::max(steps[place], first_tail);
    }
    for (int32_t& name : stand_ins) {
      if (random() % 2 == 0) name = -1;
    }
  }
  memdeep::PathRules rules() const {
    return {names.data(), thread_names.data(), steps.data(), stand_ins.size(), stand_ins.data(),
            is_tail.data()};
  }
};

// The names that are shown of a site's stack, outermost first, looked at by itself.
std::vector<int32_t> names_shown(const Replay& replay, const memdeep::Site& site,
                                 const memdeep::PathRules& rules) {
  std::vector<uint32_t> frames;
  for (uint32_t node = site.node; node != 0; node = replay.node_parents[node]) {
    frames.push_back(replay.node_frames[node]);
  }
  std::reverse(frames.begin(), frames.end());
  std::vector<uint8_t> states{0};
  for (uint32_t frame : frames) {
    states.push_back(rules.steps[frame * rules.states + states.back()]);
  }
  std::vector<int32_t> shown{rules.thread_names[site.thread]};
  if (rules.stand_ins[states.back()] != -1) {
    shown.push_back(rules.stand_ins[states.back()]);
    return shown;
  }
  size_t first = 0;
  if (rules.is_tail[states.back()] != 0) {
    first = frames.size();
    while (first > 0 && rules.is_tail[states[first]] != 0) --first;
  }
  for (; first < frames.size(); ++first) {
    if (rules.names[frames[first]] != -1) shown.push_back(rules.names[frames[first]]);
  }
  return shown;
}

// Names the stacks in two goes, as if of two parts of a run, into one tree; a stack at a time, the
// same must come out.
void check_paths(const Replay& replay, unsigned seed) {
  std::minstd_rand random(1 + seed);
  std::vector<int32_t> parents, frames;  // the tree, as it grows a stack at a time
  std::map<std::pair<int32_t, int32_t>, int32_t> children;
  int32_t frame_count = 0;
  for (int part = 0; part < 2; ++part) {
    const size_t name_count = size_t(frame_count) + 1 + random() % 20;
    const Tables tables(replay, random, name_count);
    std::vector<int32_t> nodes(replay.sites.size(), -1), expected;
    for (size_t site = 1; site < nodes.size() && !parents.empty(); ++site) {
      if (random() % 8 == 0) nodes[site] = int32_t(random() % parents.size());  // named elsewhere
    }
    expected = nodes;
    memdeep::PathTree tree(parents.data(), frames.data(), parents.size(), size_t(frame_count),
                           name_count);
    memdeep::Paths(replay, tables.rules(), tree).name(nodes);
    std::vector<uint32_t> threads;
    for (size_t site = 1; site < expected.size(); ++site) {
      const uint32_t thread = replay.sites[site].thread;
      if (expected[site] != -1) continue;
      if (std::find(threads.begin(), threads.end(), thread) == threads.end()) {
        threads.push_back(thread);
      }
    }
    std::map<int32_t, int32_t> numbers;  // of the frames, by name
    for (int32_t name = 0; name < frame_count; ++name) numbers[name] = name;
    const std::vector<int32_t> given = expected;
    for (uint32_t thread : threads) {
      for (size_t site = 1; site < expected.size(); ++site) {
        if (given[site] != -1 || replay.sites[site].thread != thread) continue;
        int32_t at = -1;
        for (int32_t name : names_shown(replay, replay.sites[site], tables.rules())) {
          const int32_t frame = numbers.emplace(name, int32_t(numbers.size())).first->second;
          const auto [child, is_new] = children.insert({{at, frame}, int32_t(parents.size())});
          if (is_new) {
            parents.push_back(at);
            frames.push_back(frame);
          }
          at = child->second;
        }
        expected[site] = at;
      }
    }
    frame_count = int32_t(numbers.size());
    require(nodes == expected, "the nodes of the sites are those of their stacks");
    require(tree.parents == parents && tree.frames == frames, "nodes come in the stacks' order");
  }
}

void check_cuts(const Replay& whole, const Replay& divided) {
  require(divided.sequences.size() == whole.sequences.size() + kCuts, "each cut ends a segment");
  require(divided.records == whole.records, "as many records with cuts");
  require(divided.heap() == whole.heap(), "the same heap with cuts");
  require(divided.peak_bytes == whole.peak_bytes, "the same peak with cuts");
  require(divided.allocated_bytes == whole.allocated_bytes, "as much is allocated with cuts");
  check_lifetimes(divided);
}

// Blocks and objects made of the input, as a damaged file might have them: each byte is given once.
void check_join(const uint8_t* data, size_t size) {
  std::minstd_rand random(unsigned(size == 0 ? 1 : 1 + data[size / 2] + size));
  size_t at = 0;
  auto next = [&] { return size == 0 ? unsigned(random()) : data[at++ % size] + unsigned(random()) % 7; };
  std::vector<uint64_t> address, block_size, object, object_size, pointer;
  std::vector<int32_t> node;
  std::vector<uint8_t> is_mapping, state;
  std::vector<uint32_t> kind, holder, owner;
  uint64_t place = random() % 2 == 0 ? 0x1000 : ~uint64_t{0} - 200'000;
  const uint64_t first = place;
  uint64_t all_bytes = 0;
  for (unsigned left = next() % 300; left > 0; --left) {
    const uint64_t bytes = next() % 5 == 0 ? next() * 40 : next() % 600;
    if (place + bytes + 600 < place) break;
    address.push_back(place);
    block_size.push_back(bytes);
    node.push_back(int32_t(next() % 9) - 1);
    is_mapping.push_back(next() % 4 == 0);
    all_bytes += bytes;
    place += bytes + next() % 3 * 16;
  }
  const uint64_t span = place - first + 64;
  for (unsigned left = next() % 400; left > 0; --left) {
    const bool is_head = !address.empty() && next() % 2 == 0;
    const uint64_t begin = is_head ? address[next() % address.size()] + next() % 4 * 16 : first;
    object.push_back(is_head ? begin : begin + random() % span);
    object_size.push_back(next() % 17 == 0 ? ~uint64_t{0} - next() : next() % 900);
    kind.push_back(next() % 5);
    holder.push_back(next() % 6 == 0 ? memdeep::kNobody : next() % 7);
    state.push_back(next() % 4);
  }
  std::sort(object.begin(), object.end());
  for (unsigned left = object.empty() ? 0 : next() % 500; left > 0; --left) {
    pointer.push_back(next() % 9 == 0 ? random() : first + random() % span);
    owner.push_back(next() % unsigned(object.size()));
  }
  const memdeep::JoinBlocks blocks{address.data(), block_size.data(), node.data(),
                                   is_mapping.data(), address.size()};
  const memdeep::JoinObjects objects{object.data(), object_size.data(), kind.data(), holder.data(),
                                     state.data(),  object.size(),      pointer.data(), owner.data(),
                                     pointer.size()};
  uint64_t given = 0;
  for (const memdeep::JoinRow& row : memdeep::Join(blocks, objects).rows()) given += row.bytes;
  require(given == all_bytes, "each byte of a block is given once");
}

// Puts in, before the capture, blocks and mappings that lie where some of its own do; of the lists that
// the input itself would be, nearly all are torn.
void check_earlier(const uint8_t* data, size_t size) {
  Replay torn;
  torn.put_in_earlier(data, size);
  torn.finish();
  std::vector<uint8_t> list(memdeep::kEarlierBegin, memdeep::kEarlierBegin + 8);
  list.resize(memdeep::kEarlierHead);
  auto varint = [&](uint64_t value) {
    for (; value >= 128; value >>= 7) list.push_back(uint8_t(value | 128));
    list.push_back(uint8_t(value));
  };
  uint64_t at = 0, count = 0, sum = 0;
  for (; count < 30 && count + 2 < size; ++count) {
    const uint64_t kind = 1 + data[count] % 2, bytes = 1 + data[count + 1] * uint64_t{700};
    const uint64_t address = kind == 1 ? 0x1000 + data[count + 2] % 40 * uint64_t{0x1000}
                                       : 0x700000 + data[count + 2] % 16 * uint64_t{0x1000};
    const uint64_t gap = uint64_t(int64_t(address - at) >> 3);
    varint((gap << 1 ^ (~(gap >> 63) + 1)) << 2 | kind), varint(bytes);
    at = (address + bytes + 7) & ~uint64_t{7};
    sum += bytes;
  }
  varint(memdeep::kEarlierEnd), varint(count), varint(sum);
  Replay replay;
  require(replay.put_in_earlier(list.data(), list.size()), "the list is whole");
  require(replay.earlier.count == count && replay.earlier.bytes == sum, "all of it is put in");
  replay.feed(data, size);
  replay.finish();
  int64_t heap = 0;
  std::vector<uint8_t> is_earlier(replay.sites.size());
  for (uint32_t site : replay.earlier_sites) is_earlier[site] = 1;
  for (const memdeep::Row& row : replay.lifetimes) {
    if (row.died == memdeep::kNever) heap += row.bytes;
    require(!is_earlier[row.place] || row.born == 0, "what was there before was there");
  }
  require(uint64_t(heap) == replay.heap(), "what was not freed is the heap, with that of before");
  std::vector<uint32_t> nodes(replay.sites.size());
  std::iota(nodes.begin(), nodes.end(), 0);
  memdeep::AliveSums sums(nodes.size());
  const auto segments = uint32_t(std::min(replay.sequences.size(), size_t{20}));
  std::vector<uint64_t> highest(segments);
  for (const memdeep::Window& window : replay.windows) {
    if (window.segment < segments) {
      highest[window.segment] = std::max(highest[window.segment], window.peak);
    }
  }
  for (uint32_t segment = 0; segment < segments; ++segment) {
    uint64_t peak = 0;
    for (int64_t bytes : replay.at_peak(segment, nodes.data(), sums).bytes) peak += uint64_t(bytes);
    require(peak == highest[segment], "the stacks at a peak add up to it, with that of before");
  }
}

void check(const uint8_t* data, size_t size) {
  check_join(data, size);
  check_earlier(data, size);
  const auto whole = replayed(data, size, 0);
  const auto pieces = replayed(data, size, 1 + unsigned(size % 97));
  require(whole->records == pieces->records, "as many records in pieces");
  require(whole->heap() == pieces->heap(), "the same heap in pieces");
  require(whole->lifetimes == pieces->lifetimes, "the same lifetimes in pieces");
  require(whole->transients == pieces->transients, "the same transients in pieces");
  int64_t heap = 0;
  for (const memdeep::Row& row : whole->lifetimes) {
    require(row.place != 0 && row.place < whole->sites.size(), "a lifetime has a site");
    require(row.born < row.died, "a lifetime ends after its beginning");
    if (row.died == memdeep::kNever) heap += row.bytes;
  }
  require(uint64_t(heap) == whole->heap(), "what was not freed is the heap");
  std::vector<uint32_t> segments(whole->sequences.size());
  std::iota(segments.begin(), segments.end(), 0);
  segments.resize(std::min(segments.size(), size_t{50}));
  std::vector<uint64_t> peaks(segments.size()), highest(segments.size());
  std::vector<uint32_t> nodes(whole->sites.size());
  std::iota(nodes.begin(), nodes.end(), 0);
  memdeep::AliveSums sums(nodes.size());
  for (uint32_t segment : segments) {
    for (int64_t bytes : whole->at_peak(segment, nodes.data(), sums).bytes) {
      peaks[segment] += uint64_t(bytes);
    }
  }
  if (whole->sites.size() < 500) check_paths(*whole, unsigned(size));
  require(whole->site_stacks().size() == whole->sites.size(), "every site has a stack");
  for (const memdeep::Window& window : whole->windows) {
    if (window.segment < highest.size()) {
      highest[window.segment] = std::max(highest[window.segment], window.peak);
    }
  }
  require(peaks == highest, "the stacks at a peak add up to it");
  check_lifetimes(*whole);
  check_cuts(*whole, *replayed(data, size, 1 + unsigned(size % 97), kCuts));
  const int32_t offsets[] = {0, std::numeric_limits<int32_t>::max(), -1, 40};
  for (const auto& [number, code] : whole->codes) {
    const auto* table = reinterpret_cast<const uint8_t*>(code.line_table.data());
    const std::vector<uint8_t> exact(table, table + code.line_table.size());
    for (uint32_t version : {0x030A0000u, 0x030B0000u}) {
      memdeep::lines({exact.data(), exact.size(), code.first_line, version}, offsets, 4);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  check(data, size);
  return 0;
}

#ifdef STANDALONE
int main(int count, char** paths) {
  std::vector<std::vector<uint8_t>> seeds;
  for (int place = 1; place < count; ++place) {
    std::ifstream file(paths[place], std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  require(!seeds.empty(), "there are seeds");
  const char* limit = std::getenv("FUZZ_SECONDS");
  const std::chrono::seconds seconds(limit == nullptr ? 60 : std::atoi(limit));
  const auto end = std::chrono::steady_clock::now() + seconds;
  std::mt19937_64 random(std::random_device{}());
  size_t inputs = 0;
  for (; std::chrono::steady_clock::now() < end; ++inputs) {
    std::vector<uint8_t> input = seeds[random() % seeds.size()];
    for (size_t changes = random() % 8; changes > 0 && !input.empty(); --changes) {
      const size_t at = random() % input.size();
      const size_t length = std::min<size_t>(random() % 40, input.size() - at);
      const auto from = input.begin() + std::ptrdiff_t(at);
      const auto to = from + std::ptrdiff_t(length);
      const std::vector<uint8_t> piece(from, to);
      switch (random() % 5) {
        case 0:
          input[at] = uint8_t(random());
          break;
        case 1:
          input[at] ^= uint8_t(1u << random() % 8);
          break;
        case 2:
          input.erase(from, to);
          break;
        case 3:
          input.insert(from, piece.begin(), piece.end());
          break;
        default:
          input.resize(at);
      }
    }
    check(input.data(), input.size());
  }
  std::printf("%zu inputs, none of them did any harm\n", inputs);
}
#endif
