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
  return one.site == other.site && one.born == other.born && one.died == other.died &&
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

void check(const uint8_t* data, size_t size) {
  const auto whole = replayed(data, size, 0);
  const auto pieces = replayed(data, size, 1 + unsigned(size % 97));
  require(whole->records == pieces->records, "as many records in pieces");
  require(whole->heap() == pieces->heap(), "the same heap in pieces");
  require(whole->lifetimes == pieces->lifetimes, "the same lifetimes in pieces");
  require(whole->transients == pieces->transients, "the same transients in pieces");
  int64_t heap = 0;
  for (const memdeep::Row& row : whole->lifetimes) {
    require(row.site != 0 && row.site < whole->sites.size(), "a lifetime has a site");
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
  whole->each_peak(segments, [&](uint32_t segment, const std::vector<Replay::Held>& held) {
    const memdeep::Alive alive = memdeep::by_node(held, nodes.data(), nodes.size());
    for (int64_t bytes : alive.bytes) peaks[segment] += uint64_t(bytes);
  });
  require(whole->site_stacks().size() == whole->sites.size(), "every site has a stack");
  for (const memdeep::Window& window : whole->windows) {
    if (window.segment < highest.size()) {
      highest[window.segment] = std::max(highest[window.segment], window.peak);
    }
  }
  require(peaks == highest, "the stacks at a peak add up to it");
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
