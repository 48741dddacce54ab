// Feeds the replay with what is no capture: under libFuzzer, or, where there is none, with mutations
// of the seeds given as arguments for FUZZ_SECONDS. Every input is fed whole and in pieces; both must
// end alike.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <numeric>
#include <random>

#include "alive.hpp"
#include "line_table.hpp"
#include "replay.hpp"

namespace memdeep {

static bool operator==(const Row& one, const Row& other) {
  return one.place == other.place && one.born == other.born && one.died == other.died &&
         one.bytes == other.bytes && one.count == other.count;
}

}  // namespace memdeep

namespace {

using memdeep::Replay;

std::unique_ptr<Replay> replayed(const uint8_t* data, size_t size, unsigned pieces) {
  auto replay = std::make_unique<Replay>();
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
  const std::vector<memdeep::Moved> phases = memdeep::moved(kept, stretches, 2);
  for (const memdeep::Stretch& stretch : stretches) {
    int64_t grown = 0;
    for (int64_t bytes : phases[stretch.phase].retained.bytes) grown += bytes;
    for (int64_t bytes : phases[stretch.phase].freed.bytes) grown -= bytes;
    require(grown == heap[stretch.end] - heap[stretch.start], "what was moved is the growth");
  }
  for (double share : memdeep::largest_shares(kept, passed, places.size(), 0.01)) {
    require(share >= 0 && share <= 1, "a share is a share");
  }
}

void check(const uint8_t* data, size_t size) {
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
  for (uint32_t segment : segments) {
    for (int64_t bytes : whole->at_peak(segment, nodes.data(), nodes.size()).bytes) {
      peaks[segment] += uint64_t(bytes);
    }
  }
  require(whole->site_stacks().size() == whole->sites.size(), "every site has a stack");
  for (const memdeep::Window& window : whole->windows) {
    if (window.segment < highest.size()) {
      highest[window.segment] = std::max(highest[window.segment], window.peak);
    }
  }
  require(peaks == highest, "the stacks at a peak add up to it");
  check_lifetimes(*whole);
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
