// `memdeep.heap.replay._replay`: the replay as a Python type. Columns leave as bytes; what they mean is
// said in memdeep/heap/replay/reader.py. CPython's limited API of 3.10, so that one build serves all.

#include "python_values.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "line_table.hpp"
#include "python_join.hpp"
#include "python_lifetimes.hpp"
#include "paths.hpp"
#include "replay.hpp"
#include "state.hpp"

namespace {

using memdeep::Replay;

constexpr size_t kChunk = size_t{1} << 20;

struct Object {
  PyObject_HEAD
  std::unique_ptr<Replay> replay;
  std::unique_ptr<uint8_t[]> buffer;
  bool is_busy, is_finished;
};

Object* object(PyObject* self) { return reinterpret_cast<Object*>(self); }

// Runs `work` without the interpreter's lock; what it throws becomes a Python exception.
template <class Work>
bool run(PyObject* self, Work work) {
  Object* me = object(self);
  if (me->is_busy) {
    PyErr_SetString(PyExc_RuntimeError, "another thread is using this replay");
    return false;
  }
  me->is_busy = true;
  bool is_out_of_memory = false;
  Py_BEGIN_ALLOW_THREADS
  try {
    work(*me->replay);
  } catch (const std::exception&) {  // bad_alloc or length_error: nothing else is thrown
    is_out_of_memory = true;
  }
  Py_END_ALLOW_THREADS
  me->is_busy = false;
  if (is_out_of_memory) PyErr_NoMemory();
  return !is_out_of_memory;
}

PyObject* create(PyTypeObject* type, PyObject* args, PyObject* keywords) {
  static char* names[] = {nullptr};
  if (!PyArg_ParseTupleAndKeywords(args, keywords, ":Replay", names)) return nullptr;
  PyObject* self = allocated(type);
  if (self == nullptr) return nullptr;
  Object* me = object(self);
  new (&me->replay) std::unique_ptr<Replay>();
  new (&me->buffer) std::unique_ptr<uint8_t[]>();
  me->is_busy = me->is_finished = false;
  try {
    me->replay = std::make_unique<Replay>();
    me->buffer.reset(new uint8_t[kChunk]);
  } catch (const std::bad_alloc&) {
    Py_DECREF(self);
    return PyErr_NoMemory();
  }
  return self;
}

void destroy(PyObject* self) {
  Object* me = object(self);
  me->replay.~unique_ptr();
  me->buffer.~unique_ptr();
  release(self);
}

bool is_open(PyObject* self) {
  if (object(self)->is_finished) PyErr_SetString(PyExc_ValueError, "the replay is finished");
  return !object(self)->is_finished;
}

bool is_complete(PyObject* self) {
  if (!object(self)->is_finished) PyErr_SetString(PyExc_ValueError, "the replay is not finished");
  return object(self)->is_finished;
}

PyObject* feed(PyObject* self, PyObject* data) {
  char* bytes;
  Py_ssize_t size;
  if (!is_open(self) || PyBytes_AsStringAndSize(data, &bytes, &size) < 0) return nullptr;
  auto work = [&](Replay& replay) { replay.feed(reinterpret_cast<uint8_t*>(bytes), size_t(size)); };
  if (!run(self, work)) return nullptr;
  return Py_NewRef(Py_None);
}

PyObject* reread_head(PyObject* self, PyObject* data) {
  char* bytes;
  Py_ssize_t size;
  if (!is_open(self) || PyBytes_AsStringAndSize(data, &bytes, &size) < 0) return nullptr;
  auto work = [&](Replay& replay) {
    replay.reread_head(reinterpret_cast<uint8_t*>(bytes), size_t(size));
  };
  if (!run(self, work)) return nullptr;
  return Py_NewRef(Py_None);
}

PyObject* read_file(PyObject* self, PyObject* args) {
  int file;
  long long wanted;
  if (!is_open(self) || !PyArg_ParseTuple(args, "iL:read", &file, &wanted)) return nullptr;
  long long done = 0;
  int failure = 0;
  auto work = [&](Replay& replay) {
    while (done < wanted) {
      auto size = size_t(std::min<long long>(wanted - done, kChunk));
      ssize_t count = ::read(file, object(self)->buffer.get(), size);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) failure = errno;
      if (count <= 0) return;
      replay.feed(object(self)->buffer.get(), size_t(count));
      done += count;
    }
  };
  if (!run(self, work)) return nullptr;
  if (failure != 0) {
    errno = failure;
    return PyErr_SetFromErrno(PyExc_OSError);
  }
  return PyLong_FromLongLong(done);
}

PyObject* look(PyObject* self, PyObject* args) {
  unsigned long long place;
  int is_name;
  UnsignedLong start, end;
  Bytes by_site;
  if (!is_open(self) ||
      !PyArg_ParseTuple(args, "KpO&O&O&:look", &place, &is_name, UnsignedLong::read, &start,
                        UnsignedLong::read, &end, Bytes::read, &by_site)) {
    return nullptr;
  }
  bool is_in_order = true;
  bool holds = require(start.size == end.size && start.size == by_site.size,
                       "the columns are not of one length") &&
               require(start.size >> 32 == 0, "there are too many ranges");
  if (!holds) return nullptr;
  auto work = [&](Replay& replay) {
    memdeep::AddressRanges ranges{{start.begin(), start.end()},
                                  {end.begin(), end.end()},
                                  {by_site.begin(), by_site.end()}};
    is_in_order = ranges.is_in_order();
    if (!is_in_order) return;
    if (is_name != 0) {
      replay.look_at_name(place, std::move(ranges));
    } else {
      replay.look_at_marker(place, std::move(ranges));
    }
  };
  if (!run(self, work) || !require(is_in_order, "the ranges are not in order")) return nullptr;
  return Py_NewRef(Py_None);
}

PyObject* has_found(PyObject* self, PyObject* args) {
  unsigned long long place;
  int is_name;
  if (!is_open(self) || !PyArg_ParseTuple(args, "Kp:has_found", &place, &is_name)) return nullptr;
  return PyBool_FromLong(object(self)->replay->has_found(is_name != 0, place));
}

PyObject* list_at(PyObject* self, PyObject* args) {
  unsigned long long place;
  int is_name;
  if (!is_open(self) || !PyArg_ParseTuple(args, "Kp:list_at", &place, &is_name)) return nullptr;
  auto work = [&](Replay& replay) { replay.list_at({is_name != 0, place}); };
  if (!run(self, work)) return nullptr;
  return Py_NewRef(Py_None);
}

PyObject* cut(PyObject* self, PyObject* args) {
  long long time_ms, after, before = -1;
  if (!is_open(self) || !PyArg_ParseTuple(args, "LL|L:cut", &time_ms, &after, &before)) return nullptr;
  bool is_in_order = true;
  auto work = [&](Replay& replay) { is_in_order = replay.cut({time_ms, uint64_t(after), before}); };
  if (!require(after >= 0, "a cut comes after no number of markers") || !run(self, work) ||
      !require(is_in_order, "the cuts are not in order")) {
    return nullptr;
  }
  return Py_NewRef(Py_None);
}

PyObject* cuts_made(PyObject* self, PyObject*) {
  std::vector<memdeep::TimeCut> cuts;
  if (!run(self, [&](Replay& replay) { cuts = replay.cuts_made(); })) return nullptr;
  return list(cuts, [](const memdeep::TimeCut& cut) {
    return Py_BuildValue("(LK)", static_cast<long long>(cut.time_ms),
                         static_cast<unsigned long long>(cut.after));
  });
}

PyObject* is_past(PyObject* self, PyObject* args) {
  long long time_ms, after;
  if (!PyArg_ParseTuple(args, "LL:is_past", &time_ms, &after)) return nullptr;
  return PyBool_FromLong(object(self)->replay->is_past({time_ms, uint64_t(after), -1}));
}

PyObject* keep_at(PyObject* self, PyObject* args) {
  unsigned long long place;
  if (!is_open(self) || !PyArg_ParseTuple(args, "K:keep_at", &place)) return nullptr;
  if (!run(self, [&](Replay& replay) { replay.keep_at(place); })) return nullptr;
  return Py_NewRef(Py_None);
}

PyObject* let_go(PyObject* self, PyObject* args) {
  unsigned long long place;
  if (!is_open(self) || !PyArg_ParseTuple(args, "K:let_go", &place)) return nullptr;
  if (!run(self, [&](Replay& replay) { replay.let_go(place); })) return nullptr;
  return Py_NewRef(Py_None);
}

PyObject* forget_future(PyObject* self, PyObject*) {
  if (!is_open(self) || !run(self, [](Replay& replay) { replay.forget_future(); })) return nullptr;
  return Py_NewRef(Py_None);
}

PyObject* merge(PyObject* self, PyObject* args) {
  unsigned int until;
  long long period_ms;
  Unsigned starts;
  if (!is_open(self) ||
      !PyArg_ParseTuple(args, "IO&L:merge", &until, Unsigned::read, &starts, &period_ms)) {
    return nullptr;
  }
  bool is_in_order = true;
  auto work = [&](Replay& replay) {
    is_in_order = replay.merge(until, {starts.begin(), starts.end()}, period_ms);
  };
  if (!run(self, work) || !require(is_in_order, "the segments are not in order")) return nullptr;
  return Py_NewRef(Py_None);
}

PyObject* merges(PyObject* self, PyObject*) {
  return PyLong_FromUnsignedLongLong(object(self)->replay->merges());
}

PyObject* put_in_earlier(PyObject* self, PyObject* data) {
  char* bytes;
  Py_ssize_t size;
  if (!is_open(self) || PyBytes_AsStringAndSize(data, &bytes, &size) < 0) return nullptr;
  bool is_whole = false;
  auto work = [&](Replay& replay) {
    is_whole = replay.put_in_earlier(reinterpret_cast<uint8_t*>(bytes), size_t(size));
  };
  if (!require(object(self)->replay->header.version == 0, "the capture has begun") ||
      !run(self, work)) {
    return nullptr;
  }
  return PyBool_FromLong(is_whole);
}

// ---------------------------------------------------------------------- while it goes on

PyObject* code_of(uint32_t number, const memdeep::Code& code) {
  return Py_BuildValue("(INNiy#)", number, text(code.function), text(code.filename),
                       code.first_line, code.line_table.data(), Py_ssize_t(code.line_table.size()));
}

PyObject* position(PyObject* self, PyObject*) {
  return PyLong_FromUnsignedLongLong(object(self)->replay->position());
}

PyObject* now(PyObject* self, PyObject*) {
  using Height = memdeep::Account::Height;
  std::vector<Height> heights;
  auto settle = [&](Replay& replay) {
    replay.settle();
    heights = replay.take_heights();
  };
  if (!run(self, settle)) return nullptr;
  const Replay& replay = *object(self)->replay;
  Fields fields;
  fields.column("height_ms", heights, [](const Height& one) { return one.time_ms; });
  fields.column("height_heap", heights, [](const Height& one) { return one.heap; });
  fields.column("height_peak", heights, [](const Height& one) { return one.peak; });
  fields.put("heap_bytes", replay.heap());
  fields.put("time_ms", replay.last_time_ms());
  fields.put("rss", replay.last_rss());
  fields.put("segments", uint64_t{replay.sequences.size()});
  return fields.release();
}

PyObject* alive(PyObject* self, PyObject*) {
  memdeep::Rows rows;
  if (!run(self, [&](Replay& replay) { rows = replay.alive(); })) return nullptr;
  using memdeep::Row;
  Fields fields;
  fields.column("node", rows, [](const Row& row) { return row.place; });
  fields.column("born", rows, [](const Row& row) { return row.born; });
  fields.column("bytes", rows, [](const Row& row) { return row.bytes; });
  fields.column("count", rows, [](const Row& row) { return row.count; });
  return fields.release();
}

// The items from the one of this number on.
template <class Item>
std::vector<Item> items_from(const std::vector<Item>& items, unsigned long long first) {
  const auto known = std::ptrdiff_t(std::min<unsigned long long>(first, items.size()));
  return {items.begin() + known, items.end()};
}

PyObject* sequences(PyObject* self, PyObject* args) {
  unsigned long long first;
  if (!PyArg_ParseTuple(args, "K:sequences", &first)) return nullptr;
  std::vector<int64_t> found;
  auto work = [&](Replay& replay) { found = items_from(replay.sequences, first); };
  return run(self, work) ? packed(found) : nullptr;
}

PyObject* tree(PyObject* self, PyObject* args) {
  unsigned long long nodes, frames;
  if (!PyArg_ParseTuple(args, "KK:tree", &nodes, &frames)) return nullptr;
  std::vector<uint32_t> parents, node_frames;
  std::vector<memdeep::Frame> found;
  std::vector<std::pair<uint32_t, memdeep::Code>> codes;
  auto work = [&](Replay& replay) {
    parents = items_from(replay.node_parents, nodes);
    node_frames = items_from(replay.node_frames, nodes);
    found = items_from(replay.frames, frames);
    std::vector<uint32_t> numbers;
    for (const memdeep::Frame& frame : found) numbers.push_back(frame.code);
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
    for (uint32_t number : numbers) {
      const auto code = replay.codes.find(number);
      if (code != replay.codes.end()) codes.push_back(*code);
    }
  };
  if (!run(self, work)) return nullptr;
  auto same = [](auto value) { return value; };
  Fields fields;
  fields.column("node_parent", parents, same);
  fields.column("node_frame", node_frames, same);
  fields.column("frame_code", found, [](const memdeep::Frame& frame) { return frame.code; });
  fields.column("frame_offset", found, [](const memdeep::Frame& frame) { return frame.offset; });
  fields.put("codes", list(codes, [](const std::pair<uint32_t, memdeep::Code>& code) {
    return code_of(code.first, code.second);
  }));
  return fields.release();
}

PyObject* finish(PyObject* self, PyObject*) {
  if (!is_open(self) || !run(self, [](Replay& replay) { replay.finish(); })) return nullptr;
  object(self)->is_finished = true;
  return Py_NewRef(Py_None);
}

// ---------------------------------------------------------------------- the saved state

PyObject* save(PyObject* self, PyObject* args) {
  int file;
  if (!is_open(self) || !PyArg_ParseTuple(args, "i:save", &file)) return nullptr;
  int failure = 0;
  auto sink = [&](const uint8_t* bytes, size_t size) {
    while (size != 0) {
      const ssize_t count = ::write(file, bytes, size);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) failure = errno;
      if (count <= 0) return false;
      bytes += count;
      size -= size_t(count);
    }
    return true;
  };
  if (!run(self, [&](Replay& replay) { memdeep::save_state(replay, sink); })) return nullptr;
  if (failure != 0) {
    errno = failure;
    return PyErr_SetFromErrno(PyExc_OSError);
  }
  return Py_NewRef(Py_None);
}

struct ReadFailure : std::exception {};

PyObject* load(PyObject* module, PyObject* args) {
  int file;
  if (!PyArg_ParseTuple(args, "i:load", &file)) return nullptr;
  PyObject* type = PyObject_GetAttrString(module, "Replay");
  PyObject* self = type == nullptr ? nullptr : PyObject_CallNoArgs(type);
  Py_XDECREF(type);
  if (self == nullptr) return nullptr;
  int failure = 0;
  const char* reason = nullptr;
  auto source = [&](uint64_t offset, uint8_t* bytes, size_t size) {
    while (size != 0) {
      const ssize_t count = ::pread(file, bytes, size, off_t(offset));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) {
        failure = errno;
        throw ReadFailure();
      }
      if (count == 0) throw memdeep::StateError("it is cut off");  // meanwhile
      bytes += count;
      offset += uint64_t(count);
      size -= size_t(count);
    }
  };
  auto work = [&](Replay&) {
    struct stat status;
    if (fstat(file, &status) != 0) {
      failure = errno;
      return;
    }
    try {
      object(self)->replay = memdeep::load_state(source, uint64_t(status.st_size));
    } catch (const memdeep::StateError& error) {
      reason = error.reason;
    } catch (const ReadFailure&) {
    }
  };
  const bool is_done = run(self, work) && failure == 0 && reason == nullptr;
  if (is_done) return self;
  Py_DECREF(self);
  if (failure != 0) {
    errno = failure;
    return PyErr_SetFromErrno(PyExc_OSError);
  }
  return reason == nullptr ? nullptr : PyErr_Format(PyExc_ValueError, "%s", reason);
}

// ---------------------------------------------------------------------- the results

PyObject* module_of(const memdeep::Module& module) {
  PyObject* segments = list(module.segments, [](const std::pair<uint64_t, uint64_t>& segment) {
    return Py_BuildValue("(KK)", static_cast<unsigned long long>(segment.first),
                         static_cast<unsigned long long>(segment.second));
  });
  if (segments == nullptr) return nullptr;
  return Py_BuildValue("(NKN)", text(module.filename),
                       static_cast<unsigned long long>(module.address), segments);
}

PyObject* header(PyObject* self, PyObject*) {
  const Replay& replay = *object(self)->replay;
  if (replay.header.version == 0) return Py_NewRef(Py_None);
  const memdeep::Header& read = replay.header;
  Fields fields;
  fields.put("version", int64_t{read.version});
  fields.put("python_version", int64_t{read.python_version});
  fields.put("native", PyBool_FromLong(read.native));
  fields.put("python_allocators", PyBool_FromLong(read.python_allocators));
  fields.put("command_line", text(read.command_line));
  fields.put("pid", int64_t{read.pid});
  fields.put("main_thread", read.main_thread);
  fields.put("skipped_frames", read.skipped_frames);
  fields.put("start_ms", read.start_ms);
  fields.put("allocations", read.allocations);
  fields.put("end_ms", read.end_ms);
  return fields.release();
}

PyObject* columns(PyObject* self, PyObject*) {
  if (!is_complete(self)) return nullptr;
  const Replay& replay = *object(self)->replay;
  using namespace memdeep;
  Fields fields;
  auto same = [](auto value) { return value; };
  fields.column("site_node", replay.sites, [](const Site& site) { return site.node; });
  fields.column("site_thread", replay.sites, [](const Site& site) { return site.thread; });
  fields.column("site_native", replay.sites, [](const Site& site) { return site.native; });
  fields.column("site_generation", replay.sites, [](const Site& site) { return site.generation; });
  fields.column("site_memory_map", replay.sites, [](const Site& site) { return site.memory_map; });
  fields.column("site_asked", replay.sites, [](const Site& site) { return site.asked; });
  fields.column("node_parent", replay.node_parents, same);
  fields.column("node_frame", replay.node_frames, same);
  fields.column("frame_code", replay.frames, [](const Frame& frame) { return frame.code; });
  fields.column("frame_offset", replay.frames, [](const Frame& frame) { return frame.offset; });
  fields.column("frame_is_entry", replay.frames, [](const Frame& frame) {
    return uint8_t(frame.is_entry);
  });
  fields.column("native_address", replay.native_addresses, same);
  fields.column("segment_natives", replay.segment_natives, same);
  fields.column("native_parent", replay.native_parents, same);
  fields.column("large_site", replay.largest, [](const Large& large) { return large.site; });
  fields.column("large_born", replay.largest, [](const Large& large) { return large.born; });
  fields.column("large_died", replay.largest, [](const Large& large) { return large.died; });
  fields.column("large_bytes", replay.largest, [](const Large& large) { return large.bytes; });
  fields.column("window_cut", replay.windows, [](const Window& one) { return uint32_t(one.cut); });
  fields.column("window_segment", replay.windows, [](const Window& one) { return one.segment; });
  fields.column("window_time_ms", replay.windows, [](const Window& one) { return one.time_ms; });
  fields.column("window_rss", replay.windows, [](const Window& one) { return one.rss; });
  fields.column("window_heap", replay.windows, [](const Window& one) { return one.heap; });
  fields.column("window_peak", replay.windows, [](const Window& one) { return one.peak; });
  fields.column("lost_thread", replay.lost, [](const Lost& lost) { return lost.thread; });
  fields.column("lost_segment", replay.lost, [](const Lost& lost) { return lost.segment; });
  fields.column("lost_bytes", replay.lost, [](const Lost& lost) { return lost.bytes; });
  fields.column("lost_most", replay.lost, [](const Lost& lost) { return lost.most; });
  fields.column("segment_sequence", replay.sequences, same);
  fields.column("segment_setter", replay.setters, same);
  using memdeep::ThreadPeak;
  fields.column("own_segment", replay.thread_peaks, [](const ThreadPeak& one) { return one.segment; });
  fields.column("own_thread", replay.thread_peaks,
                [&replay](const ThreadPeak& one) { return replay.ids[one.thread]; });
  fields.column("own_peak", replay.thread_peaks, [](const ThreadPeak& one) { return one.bytes; });
  return fields.release();
}

PyObject* names(PyObject* self, PyObject*) {
  if (!is_complete(self)) return nullptr;
  const Replay& replay = *object(self)->replay;
  Fields fields;
  fields.put("codes", list(replay.codes, [](const std::pair<const uint32_t, memdeep::Code>& code) {
    return code_of(code.first, code.second);
  }));
  fields.put("threads", list(replay.threads, [](const memdeep::Thread& thread) {
    return Py_BuildValue("(KN)", static_cast<unsigned long long>(thread.id), text(thread.name));
  }));
  fields.put("generations",
             list(replay.generations, [](const std::vector<memdeep::Module>& modules) {
               return list(modules, module_of);
             }));
  return fields.release();
}

PyObject* totals(PyObject* self, PyObject*) {
  const Replay& replay = *object(self)->replay;
  Fields fields;
  fields.put("records", replay.records);
  fields.put("heap_bytes", replay.heap());
  fields.put("peak_bytes", replay.peak_bytes);
  fields.put("allocated_bytes", replay.allocated_bytes);
  fields.put("unknown_frees", replay.unknown_frees);
  fields.put("earlier_sites", list(replay.earlier_sites, [](uint32_t site) {
    return PyLong_FromUnsignedLong(site);
  }));
  fields.put("earlier_blocks", replay.earlier.count);
  fields.put("earlier_bytes", replay.earlier.bytes);
  fields.put("unseen_frees", replay.unseen_frees);
  fields.put("unseen_bytes", replay.unseen_bytes);
  fields.put("late_cuts", replay.late_cuts);
  fields.put("truncated", PyBool_FromLong(replay.truncated));
  fields.put("damage", text(replay.damage));
  fields.put("calls", list(replay.calls, [](uint64_t count) {
    return PyLong_FromUnsignedLongLong(count);
  }));
  return fields.release();
}

PyObject* found_within(const std::pair<const uint64_t, memdeep::Found>& seen, bool is_name) {
  const memdeep::Found& found = seen.second;
  auto same = [](auto value) { return value; };
  Fields fields;
  fields.column("alive", found.alive, same);
  fields.column("range", found.range, same);
  fields.column("site", found.site, same);
  fields.column("bytes", found.bytes, same);
  fields.column("count", found.count, same);
  return Py_BuildValue("(KNN)", static_cast<unsigned long long>(seen.first),
                       PyBool_FromLong(is_name), fields.release());
}

PyObject* looks(PyObject* self, PyObject*) {
  if (!is_complete(self)) return nullptr;
  const Replay& replay = *object(self)->replay;
  auto at_name = [](const auto& seen) { return found_within(seen, true); };
  auto at_marker = [](const auto& seen) { return found_within(seen, false); };
  PyObject* found = list(replay.seen_at_markers, at_marker);
  PyObject* at_names = list(replay.seen_at_names, at_name);
  PyObject* all = nullptr;
  if (found != nullptr && at_names != nullptr) all = PySequence_Concat(found, at_names);
  Py_XDECREF(found);
  Py_XDECREF(at_names);
  return all;
}

PyObject* take_listed(PyObject* self, PyObject* args) {
  unsigned long long place;
  int is_name;
  Signed nodes;
  if (!is_complete(self) || !PyArg_ParseTuple(args, "KpO&:take_listed", &place, &is_name,
                                              Signed::read, &nodes)) {
    return nullptr;
  }
  if (!require(nodes.size >= object(self)->replay->sites.size(), "a site has no node")) {
    return nullptr;
  }
  memdeep::BlockList blocks;
  bool is_known = false, is_left_out = false;
  auto work = [&](Replay& replay) {
    is_left_out = replay.was_left_out({is_name != 0, place});
    is_known = replay.take_listed({is_name != 0, place}, blocks);
  };
  if (!run(self, work)) return nullptr;
  if (is_left_out) return Py_NewRef(Py_False);
  if (!is_known) return Py_NewRef(Py_None);
  using memdeep::Block;
  Fields fields;
  fields.column("address", blocks, [](const Block& block) { return block.address; });
  fields.column("size", blocks, [](const Block& block) { return block.size; });
  fields.column("node", blocks, [&](const Block& block) { return nodes[block.site]; });
  fields.column("is_mapping", blocks, [](const Block& block) { return uint8_t(block.is_mapping); });
  return fields.release();
}

PyObject* at_checkpoints(PyObject* self, PyObject* args) {
  Unsigned nodes, ends;
  if (!is_complete(self) || !PyArg_ParseTuple(args, "O&O&:at_checkpoints", Unsigned::read, &nodes,
                                              Unsigned::read, &ends)) {
    return nullptr;
  }
  const Replay& replayed = *object(self)->replay;
  if (!require(nodes.size >= replayed.sites.size(), "a site has no node")) return nullptr;
  if (!require(ends.size >= replayed.sequences.size(), "a segment has no end")) return nullptr;
  memdeep::Rows kept, passed;
  auto work = [&](Replay& replay) {
    memdeep::Sums kept_sums, passed_sums;
    memdeep::at_checkpoints(replay.transients, nodes.items, ends.items, kept_sums, passed_sums);
    memdeep::at_checkpoints(replay.lifetimes, nodes.items, ends.items, kept_sums, passed_sums);
    kept = kept_sums.release();
    passed = passed_sums.release();
  };
  if (!run(self, work)) return nullptr;
  PyObject* module = PyType_GetModule(Py_TYPE(self));
  PyObject* type = module == nullptr ? nullptr : PyObject_GetAttrString(module, "Lifetimes");
  if (type == nullptr) return nullptr;
  auto* of = reinterpret_cast<PyTypeObject*>(type);
  PyObject* found = Py_BuildValue("(NN)", lifetimes_of(of, std::move(kept)),
                                  lifetimes_of(of, std::move(passed)));
  Py_DECREF(type);
  return found;
}

PyObject* at_peaks(PyObject* self, PyObject* args) {
  Unsigned segments, nodes;
  if (!is_complete(self) || !PyArg_ParseTuple(args, "O&O&:at_peaks", Unsigned::read, &segments,
                                              Unsigned::read, &nodes)) {
    return nullptr;
  }
  const Replay& replayed = *object(self)->replay;
  if (!require(nodes.size >= replayed.sites.size(), "a site has no node")) return nullptr;
  // One after the other: all at once would be there twice while Python's columns are made of them.
  std::unique_ptr<memdeep::AliveSums> sums;
  if (!run(self, [&](Replay&) {
        sums = std::make_unique<memdeep::AliveSums>(span(nodes.items + 1, nodes.size - 1));
      })) {
    return nullptr;
  }
  return list(segments, [&](uint32_t segment) -> PyObject* {
    memdeep::Alive alive;
    auto work = [&](Replay& replay) { alive = replay.at_peak(segment, nodes.items, *sums); };
    return run(self, work) ? columns_of(alive) : nullptr;
  });
}

PyObject* weighty(PyObject* self, PyObject* args) {
  Unsigned segments;
  long long least, least_gross, least_bare;
  if (!is_complete(self) || !PyArg_ParseTuple(args, "O&LLL:weighty", Unsigned::read, &segments,
                                              &least, &least_gross, &least_bare)) {
    return nullptr;
  }
  std::vector<uint8_t> found;
  auto work = [&](Replay& replay) {
    const std::vector<uint32_t> stacks = replay.site_stacks();
    const size_t count = span(stacks.data(), stacks.size());
    std::vector<uint8_t> is_weighty(count);
    std::vector<int64_t> gross(count);
    for (const memdeep::Row& row : replay.lifetimes) {
      if (row.bytes >= least) is_weighty[stacks[row.place]] = 1;
      gross[stacks[row.place]] += row.bytes;
    }
    for (const memdeep::Row& row : replay.transients) gross[stacks[row.place]] += row.bytes;
    for (const memdeep::Large& large : replay.largest) {
      if (int64_t(large.bytes) >= least) is_weighty[stacks[large.site]] = 1;
    }
    memdeep::AliveSums sums(count);
    for (uint32_t segment : segments) {
      const memdeep::Alive alive = replay.at_peak(segment, stacks.data(), sums);
      for (size_t place = 0; place < alive.size(); ++place) {
        if (alive.bytes[place] >= least) is_weighty[alive.node[place]] = 1;
      }
    }
    found.resize(stacks.size());
    for (size_t site = 1; site < found.size(); ++site) {
      const long long needed = replay.sites[site].node == 0 ? least_bare : least_gross;
      found[site] = is_weighty[stacks[site]] != 0 || gross[stacks[site]] >= needed;
    }
  };
  return run(self, work) ? packed(found) : nullptr;
}

// ---------------------------------------------------------------------- the stack tree

bool has_lasting_tails(const memdeep::PathRules& rules, size_t frame_count) {
  for (size_t place = 0; place < frame_count * rules.states; ++place) {
    if (rules.is_tail[place % rules.states] != 0 && rules.is_tail[rules.steps[place]] == 0) {
      return false;
    }
  }
  return true;
}

PyObject* site_nodes(PyObject* self, PyObject* args) {
  Signed parents, frames, names, thread_names, stand_ins, given;
  Bytes steps, is_tail;
  unsigned frame_count, name_count;
  if (!is_complete(self) ||
      !PyArg_ParseTuple(args, "O&O&IIO&O&O&O&O&O&:site_nodes", Signed::read, &parents,
                        Signed::read, &frames, &frame_count, &name_count, Signed::read, &names,
                        Signed::read, &thread_names, Bytes::read, &steps, Signed::read,
                        &stand_ins, Bytes::read, &is_tail, Signed::read, &given)) {
    return nullptr;
  }
  const Replay& replayed = *object(self)->replay;
  const bool holds =
      require(parents.size == frames.size, "the columns are not of one length") &&
      require(has_parents_first(parents), "a parent comes later") &&
      require(frames.is_within(0, frame_count), "a node has no frame") &&
      require(frame_count <= name_count, "a frame has no name") &&
      require(names.size == replayed.frames.size(), "a frame has no name") &&
      require(names.is_within(-1, name_count), "a frame has no name") &&
      require(thread_names.size == replayed.threads.size(), "a thread has no name") &&
      require(thread_names.is_within(0, name_count), "a thread has no name") &&
      require(stand_ins.size != 0 && stand_ins.size == is_tail.size, "a state is not known") &&
      require(stand_ins.is_within(-1, name_count), "a state is not known") &&
      require(steps.size == names.size * stand_ins.size, "a frame makes no step") &&
      require(steps.is_within(0, stand_ins.size), "a step leads to no state") &&
      require(given.size == replayed.sites.size(), "a site has no node") &&
      require(given.is_within(-1, parents.size), "a node is not in the tree");
  if (!holds) return nullptr;
  const memdeep::PathRules rules{names.items,    thread_names.items, steps.items,
                                 stand_ins.size, stand_ins.items,    is_tail.items};
  if (!require(has_lasting_tails(rules, names.size), "a tail is left again")) return nullptr;
  std::vector<int32_t> nodes, added_names, added_parents, added_frames;
  auto work = [&](Replay& replay) {
    nodes.assign(given.items, given.items + given.size);
    memdeep::PathTree tree(parents.items, frames.items, parents.size, frame_count, name_count);
    memdeep::Paths(replay, rules, tree).name(nodes);
    added_names.swap(tree.added_names);
    const auto known = std::ptrdiff_t(parents.size);
    added_parents.assign(tree.parents.begin() + known, tree.parents.end());
    added_frames.assign(tree.frames.begin() + known, tree.frames.end());
  };
  if (!run(self, work)) return nullptr;
  auto same = [](auto value) { return value; };
  Fields fields;
  fields.column("node", nodes, same);
  fields.column("added_name", added_names, same);
  fields.column("added_parent", added_parents, same);
  fields.column("added_frame", added_frames, same);
  return fields.release();
}

// ---------------------------------------------------------------------- the lines of code

PyObject* lines(PyObject*, PyObject* args) {
  const char* table;
  Py_ssize_t size;
  int first_line;
  unsigned python_version;
  Signed offsets;
  if (!PyArg_ParseTuple(args, "y#iIO&:lines", &table, &size, &first_line, &python_version,
                        Signed::read, &offsets)) {
    return nullptr;
  }
  std::vector<int64_t> found;
  auto work = [&] {
    const auto* bytes = reinterpret_cast<const uint8_t*>(table);
    const memdeep::LineTable entries(bytes, size_t(size), first_line, python_version);
    found = memdeep::lines(entries, offsets.items, offsets.size);
  };
  return guarded(work) ? packed(found) : nullptr;
}

PyMethodDef methods[] = {
    {"feed", feed, METH_O, "feed(data: bytes): replay the next bytes of a capture."},
    {"read", read_file, METH_VARARGS,
     "read(file: int, size: int) -> int: replay up to `size` bytes from a file descriptor."},
    {"look", look, METH_VARARGS,
     "look(place: int, is_name: bool, start: bytes, end: bytes, by_site: bytes): at this marker, add "
     "up what is alive in each of the ranges of addresses, by site where `by_site` is not 0."},
    {"list_at", list_at, METH_VARARGS,
     "list_at(place: int, is_name: bool): list at this marker all that is alive."},
    {"take_listed", take_listed, METH_VARARGS,
     "take_listed(place: int, is_name: bool, nodes: bytes): what was listed there, by address and "
     "with the nodes of the sites; once. None if it was not met, False if there was too much."},
    {"cut", cut, METH_VARARGS,
     "cut(time_ms: int, after: int, before: int = -1): end a segment so long after the start, `after` "
     "so many replaced markers, and before the marker of this number if there is one; in the order of the cuts, and before anything is fed."},
    {"cuts_made", cuts_made, METH_NOARGS, "(time_ms, after) of each cut that was made, in order."},
    {"has_found", has_found, METH_VARARGS,
     "has_found(place: int, is_name: bool) -> bool: whether it has answered a look there already."},
    {"is_past", is_past, METH_VARARGS,
     "is_past(time_ms: int, after: int) -> bool: whether such a cut would have been made by now."},
    {"keep_at", keep_at, METH_VARARGS,
     "keep_at(place: int): keep what will be alive at this marker: `look` may ask for it afterwards."},
    {"let_go", let_go, METH_VARARGS, "let_go(place: int): keep it no longer; what was found stays."},
    {"forget_future", forget_future, METH_NOARGS,
     "Forget the cuts, and all that was asked for, of what was not replayed yet."},
    {"put_in_earlier", put_in_earlier, METH_O,
     "put_in_earlier(content: bytes) -> bool: put in what was there before the capture, before "
     "anything is fed; whether the list is whole."},
    {"looks", looks, METH_NOARGS, "What was found: (place, is_name, columns) for each marker met."},
    {"position", position, METH_NOARGS, "The bytes of the capture that were taken."},
    {"now", now, METH_NOARGS,
     "The heap now, time and RSS of the last record that has them, and how many segments there are."},
    {"alive", alive, METH_NOARGS,
     "What is alive now: columns of nodes, the segments of birth, bytes and allocations."},
    {"merge", merge, METH_VARARGS,
     "merge(until: int, starts: bytes, period_ms: int): make one segment of all below `until`, but for "
     "those that `starts` lists; of memory records there, keep one in each period."},
    {"merges", merges, METH_NOARGS, "How often segments were merged."},
    {"sequences", sequences, METH_VARARGS,
     "sequences(first: int): of the markers that began the segments from this number on."},
    {"tree", tree, METH_VARARGS,
     "tree(nodes: int, frames: int): what the stack tree has more than so many, and the code objects "
     "of these frames."},
    {"save", save, METH_VARARGS,
     "save(file: int): write the state to a file descriptor; the replay goes on. Not once it is "
     "finished."},
    {"reread_head", reread_head, METH_O,
     "reread_head(data: bytes): take the beginning of the capture again, which memray has rewritten."},
    {"finish", finish, METH_NOARGS, "Close the last segment; the results are complete then."},
    {"header", header, METH_NOARGS, "What the capture's head says; None until it is read."},
    {"columns", columns, METH_NOARGS, "The results, each column as the bytes of an array."},
    {"names", names, METH_NOARGS, "Code objects, threads and the modules of each generation."},
    {"totals", totals, METH_NOARGS, "Counts over the whole capture, and what is wrong with it."},
    {"at_checkpoints", at_checkpoints, METH_VARARGS,
     "at_checkpoints(nodes: bytes, ends: bytes): the `Lifetimes` by the nodes of the sites, from one "
     "checkpoint to another, and those of what was freed before the next one. `ends` has the "
     "checkpoint that ends each segment, or 2**32 - 1."},
    {"at_peaks", at_peaks, METH_VARARGS,
     "at_peaks(segments: bytes, nodes: bytes): for each of the segments what is held at its peak by "
     "the nodes of the sites."},
    {"weighty", weighty, METH_VARARGS,
     "weighty(segments: bytes, least: int, least_gross: int, least_bare: int): by site, whether its "
     "stack holds at least so much at one of these peaks, between two segments, or in one "
     "allocation; or allocated at least so much in all, the last figure being for stacks without "
     "frames of Python."},
    {"site_nodes", site_nodes, METH_VARARGS,
     "site_nodes(parents, frames, frame_count, name_count, names, thread_names, steps, stand_ins, "
     "is_tail, nodes): the nodes of the sites in a stack tree, and what that adds to it."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(create)},
    {Py_tp_dealloc, reinterpret_cast<void*>(destroy)},
    {Py_tp_methods, methods},
    {Py_tp_doc, const_cast<char*>("Replays one memray capture.")},
    {0, nullptr},
};

PyType_Spec spec = {"memdeep.heap.replay._replay.Replay", sizeof(Object), 0, Py_TPFLAGS_DEFAULT, slots};

int populate(PyObject* module) {
  for (auto [name, made] : {std::pair{"Replay", &spec}, {"Lifetimes", &lifetimes_spec}}) {
    PyObject* type = PyType_FromModuleAndSpec(module, made, nullptr);
    if (type == nullptr) return -1;
    const int status = PyModule_AddObjectRef(module, name, type);
    Py_DECREF(type);
    if (status < 0) return status;
  }
  return PyModule_AddIntConstant(module, "STATE_VERSION", long{memdeep::kStateVersion});
}

PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, reinterpret_cast<void*>(populate)},
    {0, nullptr},
};

// Gives the blocks of a part of a file back to the file system; it reads as zeros then. Not if there
// is anything on the page at `empty_at`, where somebody may be writing on towards that part.
PyObject* punch(PyObject*, PyObject* args) {
  int file;
  long long start, end, empty_at = -1;
  if (!PyArg_ParseTuple(args, "iLL|L:punch", &file, &start, &end, &empty_at)) return nullptr;
#ifdef FALLOC_FL_PUNCH_HOLE
  int status = 0;
  bool is_empty = true;
  char page[4096];
  Py_BEGIN_ALLOW_THREADS
  if (empty_at >= 0) {
    sched_yield();  // what follows is not interrupted then for another's turn
    ssize_t size = pread(file, page, sizeof page, empty_at);
    if (size < 0) status = -1;
    for (ssize_t i = 0; i < size; ++i) is_empty &= page[i] == 0;
  }
  if (status == 0 && is_empty)
    status = fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start, end - start);
  Py_END_ALLOW_THREADS
  if (status == 0) return PyBool_FromLong(is_empty);
#else
  errno = ENOTSUP;
#endif
  return PyErr_SetFromErrno(PyExc_OSError);
}

PyMethodDef functions[] = {
    {"by_group", by_group, METH_VARARGS,
     "by_group(node, bytes, count, groups): one entry for each group of nodes."},
    {"folded", folded, METH_VARARGS,
     "folded(node, bytes, count, parents, most): the same bytes over at most so many nodes."},
    {"ranked", ranked, METH_VARARGS,
     "ranked(group, is_last, size, most): the places of so many of each group, the largest first, "
     "but for those that come last."},
    {"join", join, METH_VARARGS,
     "join(address, size, node, is_mapping, object_address, object_size, kind, holder, state, "
     "pointer, owner): the bytes of live blocks by node, and by type, holder and state of the "
     "objects that have them."},
    {"load", load, METH_VARARGS,
     "load(file: int) -> Replay: one that goes on where the saved state of another ends. Raises "
     "ValueError with the reason if the file is not whole or cannot be one."},
    {"punch", punch, METH_VARARGS,
     "punch(file: int, start: int, end: int, empty_at: int = -1) -> bool: give the blocks of a part "
     "of a file back. False, and nothing is done, where the page at empty_at is not empty."},
    {"lines", lines, METH_VARARGS,
     "lines(table, first_line, python_version, offsets): the line of the instruction at each."},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_replay", "The replay of memray captures.", 0, functions, module_slots,
    nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__replay() { return PyModuleDef_Init(&definition); }
