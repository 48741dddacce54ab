// Loads what is no state of a replay, or one that nobody saved: under libFuzzer, or, where there is
// none, with mutations of the seeds given as arguments for FUZZ_SECONDS. Every input is tried as it is
// and with a checksum that fits. What is loaded must go on, and be the same when it is saved again.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <numeric>
#include <random>

#include "state.hpp"

namespace memdeep {

static bool operator==(const Row& one, const Row& other) {
  return one.place == other.place && one.born == other.born && one.died == other.died &&
         one.bytes == other.bytes && one.count == other.count;
}

}  // namespace memdeep

namespace {

using memdeep::Replay;
using Input = std::vector<uint8_t>;

constexpr size_t kTrailer = 24;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "not so: %s\n", what);
  std::abort();
}

std::unique_ptr<Replay> loaded(const Input& state) {
  auto source = [&](uint64_t offset, uint8_t* bytes, size_t size) {
    require(offset <= state.size() && size <= state.size() - offset, "it reads what is there");
    if (size != 0) std::memcpy(bytes, &state[offset], size);
  };
  return memdeep::load_state(source, state.size());
}

Input saved(Replay& replay) {
  Input state;
  auto sink = [&](const uint8_t* bytes, size_t size) {
    state.insert(state.end(), bytes, bytes + size);
    return true;
  };
  require(memdeep::save_state(replay, sink), "what can be written is saved");
  return state;
}

// The same content, with the size and the checksum that belong to it.
Input sealed(Input state) {
  if (state.size() < 16 + kTrailer) return state;
  state.resize(state.size() - state.size() % 8);
  uint8_t* trailer = &state[state.size() - kTrailer];
  uint64_t content;
  std::memcpy(&content, trailer + 8, sizeof content);
  const uint64_t most = state.size() - kTrailer;
  if (content > most || most - content >= 8) content = most;
  std::memcpy(trailer, "mdstate.", 8);
  std::memcpy(trailer + 8, &content, sizeof content);
  memdeep::StateSum sum;
  sum.add(state.data(), state.size() - 8);
  const uint64_t value = sum.value();
  std::memcpy(trailer + 16, &value, sizeof value);
  return state;
}

void varint(Input& records, uint64_t value) {
  for (; value >= 128; value >>= 7) records.push_back(uint8_t(value | 128));
  records.push_back(uint8_t(value));
}

// Records that may follow any others: few are refused.
Input records(bool native, unsigned seed) {
  std::minstd_rand random(1 + seed);
  Input made;
  auto text = [&](const char* string) { made.insert(made.end(), string, string + strlen(string) + 1); };
  for (int turn = 0; turn < 60; ++turn) {
    switch (random() % 8) {
      case 0:
        made.push_back(0x0C);
        made.push_back(uint8_t(1 + random() % 2));
        made.resize(made.size() + 7);
        break;
      case 1:
        made.push_back(0x41);
        varint(made, random() % 5);
        varint(made, random() % 9);
        break;
      case 2:
        made.push_back(0x0A);
        text(random() % 2 == 0 ? "memdeep:000000000000000000000000000003" : "worker");
        break;
      case 3:
        made.push_back(0x02);
        varint(made, random() % 3 == 0 ? 4097 : 8192);
        varint(made, random() % 100);
        break;
      case 4:  // a free of one of the last addresses
        made.push_back(uint8_t(0x80 | (random() % 15) << 3 | 5));
        break;
      default:
        made.push_back(0x80 | 15 << 3);
        varint(made, 2 * (random() % 5000));
        made.push_back(uint8_t(6 + random() % 9));
        if (native) made.push_back(0);
        varint(made, random() % 3 == 0 ? random() % 100'000 : random() % 300);
    }
  }
  return made;
}

void ask(Replay& replay) {
  std::vector<uint32_t> numbers(std::max(replay.sites.size(), replay.sequences.size()));
  std::iota(numbers.begin(), numbers.end(), 0);
  memdeep::Sums kept, passed;
  for (const memdeep::Rows* rows : {&replay.lifetimes, &replay.transients}) {
    memdeep::at_checkpoints(*rows, numbers.data(), numbers.data(), kept, passed);
  }
  memdeep::heap_at(kept.release(), replay.sequences.size());
  memdeep::AliveSums sums(replay.sites.size());
  const auto segments = uint32_t(std::min(replay.sequences.size(), size_t{20}));
  for (uint32_t segment = 0; segment < segments; ++segment) {
    replay.at_peak(segment, numbers.data(), sums);
  }
  replay.site_stacks();
}

void check(const Input& state) {
  std::unique_ptr<Replay> replay;
  try {
    replay = loaded(state);
  } catch (const memdeep::StateError&) {
    return;
  }
  std::unique_ptr<Replay> again = loaded(saved(*replay));
  require(again->alive() == replay->alive(), "as much is alive once it was saved again");
  if (state.size() % 2 == 0) {
    const auto until = uint32_t(state.size() / 2 % replay->sequences.size());
    std::vector<uint32_t> starts;
    for (uint32_t segment = 3; segment < until; segment += 3) starts.push_back(segment);
    for (Replay* one : {replay.get(), again.get()}) one->merge(until, starts, 20);
    again = loaded(saved(*again));
  }
  if (state.size() % 3 == 0) {
    for (Replay* one : {replay.get(), again.get()}) {
      for (uint64_t place = 1; place < 6; ++place) {
        one->keep_at(place);
        one->look_at_marker(place, {{0, 1 << 12}, {1 << 12, uint64_t{1} << 40}, {1, 0}});
        if (place % 2 == 0) one->let_go(place);
      }
      one->forget_future();
    }
    again = loaded(saved(*again));
  }
  const Input more = records(replay->header.native != 0, unsigned(state.size()));
  for (Replay* one : {replay.get(), again.get()}) {
    one->feed(more.data(), more.size());
    one->alive();
    one->finish();
    ask(*one);
  }
  require(again->records == replay->records, "as many records once it was saved again");
  require(again->heap() == replay->heap(), "the same heap once it was saved again");
  require(again->lifetimes == replay->lifetimes, "the same lifetimes once it was saved again");
  require(again->transients == replay->transients, "the same transients once it was saved again");
  require(again->peaks == replay->peaks, "the same peaks once it was saved again");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Input input(data, data + size);
  check(input);
  check(sealed(input));
  return 0;
}

#ifdef STANDALONE
int main(int count, char** paths) {
  std::vector<Input> seeds;
  for (int place = 1; place < count; ++place) {
    std::ifstream file(paths[place], std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    require(loaded(seeds.back()) != nullptr, "a seed is a state");
  }
  require(!seeds.empty(), "there are seeds");
  const char* limit = std::getenv("FUZZ_SECONDS");
  const std::chrono::seconds seconds(limit == nullptr ? 60 : std::atoi(limit));
  const auto end = std::chrono::steady_clock::now() + seconds;
  std::mt19937_64 random(std::random_device{}());
  const uint64_t values[] = {0, 1, 2, 19, 0x7F, 0xFF, 0xFFFF, 1u << 31, ~0u, uint64_t{1} << 47,
                             uint64_t{1} << 60, uint64_t{1} << 63, ~uint64_t{0}};
  size_t inputs = 0, taken = 0;
  for (; std::chrono::steady_clock::now() < end; ++inputs) {
    Input input = seeds[random() % seeds.size()];
    for (size_t changes = 1 + random() % 3; changes > 0 && input.size() > 100; --changes) {
      const size_t at = 16 + random() % (input.size() - 16 - 8);
      const auto from = input.begin() + std::ptrdiff_t(at);
      const size_t length = 1 + random() % std::min<size_t>(40, input.size() - at);
      const uint64_t value = values[random() % (sizeof values / sizeof *values)] + random() % 3 - 1;
      const Input piece(from, from + std::ptrdiff_t(length));
      switch (random() % 8) {
        case 0:
        case 1:
          input[at] ^= uint8_t(1u << random() % 8);
          break;
        case 2:
          input[at] = uint8_t(input[at] + random() % 5 - 2);
          break;
        case 3:
          std::memcpy(&input[at], &value, random() % 2 == 0 ? 4 : 8);
          break;
        case 4:
          std::memcpy(&input[16 + random() % (input.size() - 24)], &input[at], 8);
          break;
        case 5:
          input.erase(from, from + std::ptrdiff_t(length));
          break;
        case 6:
          input.insert(from, piece.begin(), piece.end());
          break;
        default:
          input.resize(at);
      }
    }
    check(input);
    const Input fitting = sealed(input);
    try {
      loaded(fitting);
      ++taken;
    } catch (const memdeep::StateError&) {
    }
    check(fitting);
  }
  std::printf("%zu states, %zu of them taken, none of them did any harm\n", inputs, taken);
}
#endif
