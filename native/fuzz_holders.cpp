// Tries what the walk of objects does with a graph on graphs made up by chance, for FUZZ_SECONDS:
// dominators, rows and the file, which is left at the place given, to be read. With MEMDEEP_CHECKED
// an array that is left by its index ends the process.

#include <fcntl.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "holder_file.hpp"

namespace {

using namespace memdeep;

constexpr size_t kBatch = 50;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "not so: %s\n", what);
  std::abort();
}

struct MadeUpText {
  Mapped<char> characters;

  void add(const std::string& words) {
    for (const char one : words) characters.push(one);
  }
};

struct MadeUpHeap {
  struct Type {
    uint32_t object;
    bool is_map;
  };
  Mapped<uint64_t> addresses, sizes, pointers;
  Mapped<uint32_t> kinds, owners;
  Mapped<Type> types;
  Edges edges;

  uint32_t nodes() const { return uint32_t(addresses.count); }
  const Type& type(uint32_t node) const { return types[kinds[node]]; }
};

struct MadeUpNames {
  void type_name(MadeUpText& into, uint32_t type) const { into.add("type" + std::to_string(type)); }
  void path(MadeUpText& into, const Mapped<uint32_t>&, uint32_t node, size_t& last,
            uint32_t other = kNobody) const {
    if (other != kNobody) into.add("by " + std::to_string(other));
    if (node % 5 == 0) return;
    into.add("p" + std::to_string(node));
    last = into.characters.count;
    into.add(node % 3 == 0 ? " local 'x'" : ".x");
  }
};

uint64_t ascending(uint64_t& last, std::mt19937_64& random) {
  return last += 16 * (1 + random() % 9);
}

// As the walk would leave it: node 0 reaches node 1, and addresses are in no order.
void make(MadeUpHeap& heap, std::mt19937_64& random) {
  const uint32_t nodes = 2 + uint32_t(random() % (random() % 9 == 0 ? 30'000 : 60));
  const unsigned kinds = 1 + unsigned(random() % 6), most = 1 + unsigned(random() % 5);
  const unsigned shape = unsigned(random() % 4);
  for (unsigned kind = 0; kind <= kinds; kind++) heap.types.push({kind, kind == 3});
  uint64_t last = 0x10000;
  std::vector<uint64_t> places;
  for (uint32_t v = 2; v < nodes; v++) places.push_back(ascending(last, random));
  if (random() % 2) std::shuffle(places.begin(), places.end(), random);
  const bool is_hostile = random() % 16 == 0;
  for (uint32_t v = 0; v < nodes; v++) {
    heap.addresses.push(v < 2 ? v : places[v - 2]);
    heap.kinds.push(v < 2 ? 0 : 1 + uint32_t(random() % kinds));
    heap.sizes.push(v < 2 ? 0 : is_hostile ? random() >> 24 : random() % 500);
    heap.edges.starts.push(heap.edges.targets.count);
    if (v == 0) heap.edges.targets.push(1);
    if (v == 1) continue;
    for (uint64_t left = random() % (most + 1); left > 0 && nodes > 2; left--) {
      const uint32_t next = v + 1 < nodes && v > 0 ? v + 1 : 2;
      const uint32_t target = shape == 0 ? next : 2 + uint32_t(random() % (nodes - 2));
      heap.edges.targets.push(shape == 1 && v ? std::min(target, std::max(v, 2u)) : target);
    }
    if (v > 1 && random() % 3 == 0) {
      heap.pointers.push(random());
      heap.owners.push(v);
    }
  }
  heap.edges.starts.push(heap.edges.targets.count);
}

void check(std::mt19937_64& random, const char* path) {
  MadeUpHeap heap;
  make(heap, random);
  Found found{};
  found.sequence = random() % 100;
  found.states.fill(heap.nodes(), kGarbage);
  found.parents.fill(heap.nodes(), kNobody);
  for (uint32_t v = 2; v < heap.nodes(); v++)
    if (random() % 50 == 0) heap.edges.seeds.push(v);
  Dominators tree;
  tree.find(heap.edges);
  for (size_t at = 0; at < tree.order.count; at++) {
    const uint32_t v = tree.order[at];
    require(tree.dominator[v] != kNobody, "what is reached has a dominator");
    require(at == 0 || tree.dominator[v] != v, "none is its own dominator but the first");
    found.states[v] = kNamed;
  }
  Rows rows;
  rows.build(heap, tree);
  for (size_t at = 1; at < rows.rows.count; at++)
    require(rows.rows[at].parent < at, "a parent stands before its rows");
  require(rows.written <= 1u << 16, "there are not too many rows");
  rows.find_others(heap, tree, tree.dominator, [](uint32_t v) { return v % 7 != 0; });
  const int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  require(file >= 0, "there is a place for the file");
  char head[kParentBytes] = {};
  memcpy(head, kFileBegin, 8);
  require(write(file, head, sizeof head) == sizeof head, "the head is written");
  write_file<MadeUpText>(file, heap, MadeUpNames{}, rows, found);
  close(file);
  heap.addresses.drop(), heap.sizes.drop(), heap.pointers.drop(), heap.kinds.drop();
  heap.owners.drop(), heap.types.drop(), heap.edges.starts.drop(), heap.edges.targets.drop();
  heap.edges.seeds.drop(), found.states.drop(), found.parents.drop();
  tree.order.drop(), tree.dominator.drop();
  rows.rows.drop(), rows.of.drop(), rows.retained.drop(), rows.others.drop();
}

void check_table(std::mt19937_64& random) {
  MappedTable table;
  std::vector<uint64_t> keys;
  for (size_t left = random() % 9000; left > 0; left--) {
    const uint64_t key = random() % 2 ? random() % 5000 : random() >> 1;
    uint32_t& place = table.at(key);
    if (place != MappedTable::kNone) {
      require(keys[place] == key, "a key has its own place");
      continue;
    }
    place = uint32_t(keys.size());
    keys.push_back(key);
  }
  for (size_t at = 0; at < keys.size(); at++) require(table.find(keys[at]) == at, "a key is found");
  table.drop();
}

}  // namespace

int main(int count, char** words) {
  require(count == 2, "there is a directory for the files");
  const char* limit = std::getenv("FUZZ_SECONDS");
  const std::chrono::seconds seconds(limit == nullptr ? 60 : std::atoi(limit));
  const auto end = std::chrono::steady_clock::now() + seconds;
  std::mt19937_64 random(std::random_device{}());
  size_t graphs = 0;
  for (; std::chrono::steady_clock::now() < end; graphs += kBatch) {
    const uint64_t seed = random();
    const pid_t child = fork();  // as in a program: what is left there is its end's to take away
    if (child == 0) {
      std::mt19937_64 chance(seed);
      for (size_t at = 0; at < kBatch; at++)
        check(chance, (std::string(words[1]) + "/holders-" + std::to_string(at)).c_str());
      check_table(chance);
      _exit(0);
    }
    int status = 0;
    require(child > 0 && waitpid(child, &status, 0) == child, "there is a process for it");
    if (status != 0) std::fprintf(stderr, "seed %llu\n", static_cast<unsigned long long>(seed));
    require(status == 0, "it ends well");
  }
  std::printf("%zu graphs, none of them did any harm\n", graphs);
}
