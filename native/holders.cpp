// `memdeep.record._holders`: who holds what, as seen by a child that is forked for it and goes its own
// way. CPython's limited API of 3.10, so that one build serves all. Linux only.

// The checked longjmp of glibc refuses to go from one stack to another.
#undef _FORTIFY_SOURCE

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atomic>
#include <cstdio>

#include "earlier_heap.hpp"
#include "holder_file.hpp"
#include "holder_names.hpp"

namespace {

using namespace memdeep;

struct Order {
  void (*work)(const Order&);  // of the child, which ends with it
  int descriptor;
  unsigned long long sequence, began_ns;
  PyObject *roots, *frames;  // lists
  Py_ssize_t own;            // so many of the last roots are memdeep's
  int seconds, shows_values;
  const char* off_at;  // where the collector was turned off
  EarlierOrder earlier;  // alone, where the child is to list what malloc has given out
};

TypeQuestions questions;
KnownTypes known;
PyObject* list_objects;

// Memory of Python's for the child alone. A lock of malloc's or of a tracer's may have been held by a
// thread that is not there any more: so the child asks neither. What is freed is not used again.
struct Allocator {  // as PyMemAllocatorEx
  void* context;
  void* (*allocate)(void*, size_t);
  void* (*allocate_zeros)(void*, size_t, size_t);
  void* (*resize)(void*, void*, size_t);
  void (*release)(void*, void*);
};
using SetAllocator = void (*)(int domain, Allocator*);
SetAllocator set_allocator;

constexpr size_t kPiece = size_t{1} << 20, kHeadBytes = 16;
constexpr uint64_t kOfChild = 0x6d656d64656570;  // with its address: before a block
char *piece, *piece_end;

void* take(void*, size_t bytes) {
  if (bytes > size_t{1} << 46) return nullptr;
  const size_t needed = (bytes + kHeadBytes + 15) & ~size_t{15};
  if (needed > size_t(piece_end - piece)) {
    const size_t room = needed > kPiece ? needed : kPiece;
    void* place = map_untraced(room);
    if (place == MAP_FAILED) return nullptr;
    piece = static_cast<char*>(place), piece_end = piece + room;
  }
  const uint64_t head[2] = {bytes, kOfChild ^ uint64_t(piece)};
  memcpy(piece, head, sizeof head);
  void* found = piece + kHeadBytes;
  piece += needed;
  return found;
}

void* take_zeros(void*, size_t count, size_t each) {
  if (each && count > (size_t{1} << 46) / each) return nullptr;
  return take(nullptr, count * each);  // the kernel gives zeros
}

// Copies of a block whose size is not known as much as can be read: behind it there may be nothing.
sigjmp_buf past_the_end;
volatile bool is_at_the_end = false;

void copy_readable(char* into, const char* block, size_t bytes) {
  constexpr size_t kPage = 4096;
  is_at_the_end = true;
  if (sigsetjmp(past_the_end, 1) == 0) {
    for (size_t at = 0; at < bytes;) {
      const size_t of_page = kPage - uintptr_t(block + at) % kPage;
      const size_t part = of_page < bytes - at ? of_page : bytes - at;
      memcpy(into + at, block + at, part);
      at += part;
    }
  }
  is_at_the_end = false;
}

void* take_anew(void*, void* block, size_t bytes) {
  void* made = take(nullptr, bytes);
  if (!block || !made) return made;
  uint64_t head[2] = {};
  char* before = static_cast<char*>(block) - kHeadBytes;
  copy_readable(reinterpret_cast<char*>(head), before, sizeof head);
  const bool is_ours = head[1] == (kOfChild ^ uint64_t(before));
  if (is_ours && head[0] < bytes) bytes = head[0];
  copy_readable(static_cast<char*>(made), static_cast<const char*>(block), bytes);
  return made;
}

void keep(void*, void*) {}

[[maybe_unused]] void allocate_alone() {
  Allocator own{nullptr, take, take_zeros, take_anew, keep};
  for (const int domain : {0, 1, 2}) set_allocator(domain, &own);
}

bool prepare() {
  if (list_objects) return true;
  set_allocator = reinterpret_cast<SetAllocator>(dlsym(RTLD_DEFAULT, "PyMem_SetAllocator"));
  if (!set_allocator) {
    PyErr_SetString(PyExc_OSError, "this Python has no PyMem_SetAllocator");
    return false;
  }
  PyObject* collector = PyImport_ImportModule("gc");
  if (!collector || !questions.prepare() || !known.prepare()) return false;
  list_objects = PyObject_GetAttrString(collector, "get_objects");
  Py_DECREF(collector);
  return list_objects != nullptr;
}

// As the first thing: what lists processes shall know this one from the program.
void take_name() { syscall(SYS_prctl, PR_SET_NAME, "memdeep-holders", 0, 0, 0); }

void end_by_signal(int number) {
  if (is_at_the_end && number != SIGALRM) siglongjmp(past_the_end, 1);
  give_up(number == SIGALRM ? kTimeOver : kBroken, uint64_t(number));
}

// The lock on the file is the child's own from here on: other threads may have forked meanwhile, and
// what they have forked has the file open, too, for as long as it lives.
void take_lock(int descriptor) {
  char path[40];
  snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
  const int own = open(path, O_WRONLY | O_CLOEXEC);
  if (own < 0) return;
  if (flock(own, LOCK_SH | LOCK_NB) == 0 && lseek(own, kParentBytes, SEEK_SET) >= 0) {
    flock(descriptor, LOCK_UN);
    dup2(own, descriptor);
  }
  close(own);
}

// The child is the first to go where memory is short, keeps no file of the program's open, and ends
// by itself. No handler of the program's is left, as its signals are blocked.
void settle(const Order& order) {
  given_up_in = order.descriptor;
  alarm(unsigned(order.seconds));
  sigset_t taken;
  sigemptyset(&taken);
  for (const int number : {SIGALRM, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
    signal(number, end_by_signal);
    sigaddset(&taken, number);
  }
  sigprocmask(SIG_UNBLOCK, &taken, nullptr);
  take_name();
  take_lock(order.descriptor);
  const rlimit none{};
  setrlimit(RLIMIT_CORE, &none);
  const int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (score >= 0) {
    if (write(score, "1000", 4) < 0) {}
    close(score);
  }
#if defined(SYS_close_range) && !defined(MEMDEEP_CHECKED)  // which has something to say
  const unsigned descriptor = unsigned(order.descriptor);
  if (descriptor) syscall(SYS_close_range, 0u, descriptor - 1, 0u);
  syscall(SYS_close_range, descriptor + 1, ~0u, 0u);
#endif
}

PyObject* attribute(PyObject* one, const char* word) {
  PyObject* name = PyUnicode_FromString(word);
  PyObject* found = name ? PyObject_GenericGetAttr(one, name) : nullptr;
  if (!found) PyErr_Clear();
  return found;
}

// Whether locals of the frame have places of their own; those of a class lie in a dictionary.
bool is_function(PyObject* frame) {
  constexpr long kOptimized = 1;
  PyObject* code = attribute(frame, "f_code");
  PyObject* flags = code ? attribute(code, "co_flags") : nullptr;
  return flags && PyLong_Check(flags) && PyLong_AsLong(flags) & kOptimized;
}

// Puts the locals of all functions that run behind the first root, the program's own module.
void add_locals(const Order& order, Names& names) {
  for (Py_ssize_t at = 0; at < PyList_Size(order.frames); at++) {
    PyObject* frame = PyList_GetItem(order.frames, at);
    for (; frame && Py_TYPE(frame) == known.frame; frame = attribute(frame, "f_back")) {
      PyObject* globals = attribute(frame, "f_globals");
      PyObject* module = globals && PyDict_Check(globals) ? PyDict_GetItemString(globals, "__name__")
                                                          : nullptr;
      const char* name = text(module);
      if (name && (!strncmp(name, "memdeep.", 8) || !strncmp(name, "memray", 6))) continue;
      PyObject* locals = attribute(frame, "f_locals");
      if (!locals || locals == globals) continue;
      // Any other mapping is the program's own, and may be in Python.
      const char* type = text(asked(questions.name, reinterpret_cast<PyObject*>(Py_TYPE(locals))));
      if (!PyDict_CheckExact(locals) && (!type || strcmp(type, "FrameLocalsProxy") != 0)) continue;
      PyObject* copy = PyDict_New();
      if (!copy || PyDict_Merge(copy, locals, 1) < 0) PyErr_Clear();
      // What a frame was asked for it keeps, and it would hold all of it a second time.
      if (PyDict_CheckExact(locals) && is_function(frame)) PyDict_Clear(locals);
      if (!copy || !PyDict_Size(copy)) continue;
      names.add_locals(copy, frame);
      PyList_Insert(order.roots, 1, copy);
    }
  }
}

// Goes breadth first from `start`; what is met gets `state`. The names of a module are as near as those
// of a function that runs.
void spread(const Heap& heap, uint32_t start, uint8_t state, Found& found) {
  Mapped<uint32_t> queue;
  queue.push(start);
  found.parents[start] = start;
  for (size_t at = 0; at < queue.count; at++) {
    const uint32_t v = queue[at];
    for (const uint32_t* e = heap.edges.begin(v); e != heap.edges.end(v); e++) {
      if (found.parents[*e] != kNobody) continue;
      auto meet = [&](uint32_t one, uint32_t by) {
        found.parents[one] = by;
        found.states[one] = state;
        queue.push(one);
      };
      meet(*e, v);
      if (v != 0 || *e < 2 || !PyModule_Check(heap.object(*e))) continue;
      const uint32_t names = heap.node(PyModule_GetDict(heap.object(*e)));
      if (names != kNobody && found.parents[names] == kNobody) meet(names, *e);
    }
  }
  queue.drop();
}

void look(const Order& order) {
#ifndef MEMDEEP_CHECKED  // where libc has forked, and the memory of others is looked after
  allocate_alone();
#endif
  const bool is_collecting = PyGC_Disable();  // or it would end garbage, with code in Python
  Heap heap(questions);
  Names names(heap, known, order.shows_values);
  add_locals(order, names);
  PyObject* listed = nullptr;
  if (!questions.visit_objects)
    if (!(listed = PyObject_CallObject(list_objects, nullptr))) give_up(kNoMemory, 0);
  heap.walk(order.roots, listed);
  names.collect_names();
  Found found{};
  found.sequence = order.sequence, found.began_ns = order.began_ns;
  found.is_collecting = is_collecting, found.off_at = order.off_at;
  found.states.fill(heap.nodes(), kGarbage);
  found.parents.fill(heap.nodes(), kNobody);
  spread(heap, 0, kNamed, found);
  Mapped<int32_t> unexplained;
  heap.count_unexplained(unexplained);
  auto is_ours = [&](uint32_t v) {
    PyObject* one = heap.object(v);
    return one == order.roots || one == order.frames || one == listed;
  };
  for (uint32_t v = 2; v < heap.nodes(); v++)
    if (found.parents[v] == kNobody && unexplained[v] > 0 && !is_ours(v)) heap.edges.seeds.push(v);
  unexplained.drop();
  for (size_t at = 0; at < heap.edges.seeds.count; at++) {
    const uint32_t v = heap.edges.seeds[at];
    if (found.parents[v] != kNobody || !names.is_context(heap.object(v))) continue;
    spread(heap, v, kNamed, found);  // a thread's
    found.parents[v] = 1;
    found.states[v] = kNamed;
  }
  spread(heap, 1, kHeldByC, found);
  Dominators tree;
  tree.find(heap.edges);
  for (uint32_t v = 2; v < heap.nodes(); v++)
    if (is_ours(v) || names.is_locals(heap.object(v))) found.states[v] = kOwn;
  const Py_ssize_t count = PyList_Size(order.roots);
  for (Py_ssize_t at = count - order.own; at < count; at++)
    found.states[heap.node(PyList_GetItem(order.roots, at))] = kOwn;
  for (size_t at = 1; at < tree.order.count; at++) {
    const uint32_t v = tree.order[at], above = tree.dominator[v];
    if (above > 1 && found.states[above] == kOwn && !names.is_locals(heap.object(above)))
      found.states[v] = kOwn;
  }
  Rows rows;
  rows.build(heap, tree);
  rows.find_others(heap, tree, found.parents, [&](uint32_t v) {
    return found.states[v] == kNamed || names.is_locals(heap.object(v));
  });
  heap.drop_edges();
  write_file<Text>(order.descriptor, heap, names, rows, found);
}

[[noreturn]] void be_child(const Order& order) {
  settle(order);
  order.work(order);
  _exit(0);
}

struct Start {
  const Order* order;
  jmp_buf back;
  std::atomic<int> child;  // 0 as long as it is not known
  bool stays;
};

// What lies between this process and a child, as long as it stays; see `is_adopter`.
struct Between {
  pid_t pid = 0;
  void* stack = nullptr;
};

constexpr size_t kStackBytes = size_t{1} << 18;
Between between;

// System calls that leave `errno` alone: by then it is the thread's again whose memory this is.
#if defined(__x86_64__)
long plain_call(long number, long one, long two, long three, long four) {
  long result;
  register long fourth __asm__("r10") = four;
  __asm__ volatile("syscall" : "=a"(result)
                   : "a"(number), "D"(one), "S"(two), "d"(three), "r"(fourth)
                   : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
long plain_call(long number, long one, long two, long three, long four) {
  register long by __asm__("x8") = number;
  register long result __asm__("x0") = one;
  register long second __asm__("x1") = two;
  register long third __asm__("x2") = three;
  register long fourth __asm__("x3") = four;
  __asm__ volatile("svc 0" : "+r"(result) : "r"(by), "r"(second), "r"(third), "r"(fourth) : "memory");
  return result;
}
#else
long plain_call(long number, long one, long two, long three, long four) {
  return syscall(number, one, two, three, four);
}
#endif

// Runs in the program's memory while its thread waits: the child of this one is nobody's to wait for.
int fork_child(void* argument) {
  auto start = static_cast<Start*>(argument);
  take_name();
  const bool stays = start->stays;
  // Not by libc: it would call what libraries have registered, and OpenBLAS' waits for ever for threads
  // that another one has given work. Without a signal at its end.
  const pid_t child = pid_t(syscall(SYS_clone, 0, 0, 0, 0, 0));
  if (child == 0) longjmp(start->back, 1);
  auto known = &start->child;
  known->store(child < 0 ? -errno : child);
  if (stays) {  // from here on the thread goes on, and what is on its stack is its own
    plain_call(SYS_futex, long(known), FUTEX_WAKE, 1, 0);
    if (child > 0) plain_call(SYS_wait4, child, 0, __WALL, 0);
    for (;;) plain_call(SYS_exit_group, 0, 0, 0, 0);
  }
  _exit(0);
}

// Whether orphans come to this process, which would wait for them as for its own children.
bool is_adopter() {
  int is_asked = 0;
  prctl(PR_GET_CHILD_SUBREAPER, &is_asked, 0, 0, 0);
  return is_asked || getpid() == 1;
}

// Lets go of what lay between, once it has ended; False while it has not.
bool let_go(int flags) {
  if (!between.pid) return true;
  pid_t ended;
  while ((ended = waitpid(between.pid, nullptr, __WALL | flags)) < 0 && errno == EINTR) {}
  if (ended == 0) return false;
  syscall(SYS_munmap, between.stack, kStackBytes);
  between = {};
  return true;
}

// Returns the process number of the child, or -1. The child is the program's grandchild, as no end
// of it may be seen by the program's own waits, nor any SIGCHLD; what lies between was made without
// a signal at its end.
__attribute__((noinline)) pid_t start_child(const Order& order) {
#ifdef MEMDEEP_CHECKED  // no sanitizer follows a leap between stacks
  const pid_t plain = fork();
  if (plain == 0) be_child(order);
  return plain;
#endif
  for (int left = 100; !let_go(WNOHANG); left--) {  // it ends right after its child
    if (left == 0) return errno = EBUSY, -1;
    usleep(1000);
  }
  // Not by libc, whose functions are traced: this is no memory of the program's.
  const long place = syscall(SYS_mmap, nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (place == -1) return -1;
  void* stack = reinterpret_cast<void*>(place);
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  Start start;
  start.order = &order, start.child = 0, start.stays = is_adopter();
  // Back on the thread's own stack: from 3.14 on Python knows where that is.
  if (_setjmp(start.back)) be_child(*start.order);
  const int pid = clone(fork_child, static_cast<char*>(stack) + kStackBytes,
                        start.stays ? CLONE_VM : CLONE_VM | CLONE_VFORK, &start);
  int error = errno;
  if (pid > 0) {
    between = {pid, stack};
    const timespec second = {1, 0};
    // It may have been killed before it could tell.
    while (start.stays && !start.child && between.pid) {
      if (plain_call(SYS_futex, long(&start.child), FUTEX_WAIT, 0, long(&second)) == -ETIMEDOUT)
        let_go(WNOHANG);
    }
    if (!start.stays || start.child <= 0) let_go(0);
    if (start.child <= 0) error = start.child ? -start.child : EAGAIN;
  } else {
    syscall(SYS_munmap, stack, kStackBytes);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return pid > 0 && start.child > 0 ? int(start.child) : -1;
}

// Starts the child, and writes how long that took before what it writes itself.
PyObject* started(const Order& order, const char* begin) {
  if (lseek(order.descriptor, kParentBytes, SEEK_SET) < 0)
    return PyErr_SetFromErrno(PyExc_OSError);
  const pid_t child = start_child(order);
  if (child < 0) return PyErr_SetFromErrno(PyExc_OSError);
  char head[kParentBytes];
  const uint64_t pause_ns = now_ns() - order.began_ns;
  memcpy(head, begin, 8);
  memcpy(head + 8, &pause_ns, 8);
  if (pwrite(order.descriptor, head, sizeof head, 0) < 0) return PyErr_SetFromErrno(PyExc_OSError);
  return PyLong_FromLong(child);
}

PyObject* snapshot(PyObject*, PyObject* args) {
  Order order{};
  if (!PyArg_ParseTuple(args, "iKKO!nO!iiy", &order.descriptor, &order.sequence, &order.began_ns,
                        &PyList_Type, &order.roots, &order.own, &PyList_Type, &order.frames,
                        &order.seconds, &order.shows_values, &order.off_at))
    return nullptr;
  if (order.own < 0 || order.own > PyList_Size(order.roots)) {
    PyErr_SetString(PyExc_ValueError, "more roots of memdeep's than there are");
    return nullptr;
  }
  if (!prepare()) return nullptr;
  order.work = look;
  return started(order, kFileBegin);
}

void list_earlier(const Order& order) { EarlierHeap(order.descriptor, order.earlier).list(); }

// glibc's mark in a block that a thread's cache has: the same in all of them from 2.34 on.
uint64_t freed_mark() {
  void* (*volatile allocate)(size_t) = malloc;
  void (*volatile release)(void*) = free;
  void* block = allocate(24);
  release(block);
  uint64_t mark = 0;
  const uint64_t place = uint64_t(block) + 8;
  if (block) memcpy(&mark, reinterpret_cast<const void*>(place), sizeof mark);
  return mark;
}

PyObject* earlier(PyObject*, PyObject* args) {
  Order order{};
  int lists_pools;
  if (!PyArg_ParseTuple(args, "iKpi", &order.descriptor, &order.began_ns, &lists_pools,
                        &order.seconds))
    return nullptr;
  auto version = reinterpret_cast<const char* (*)()>(dlsym(RTLD_DEFAULT, "gnu_get_libc_version"));
  // Whoever brings another malloc brings this, too; that of malloc itself may be a stub of the program's.
  void* of_other = dlsym(RTLD_DEFAULT, "malloc_usable_size");
  Dl_info of_malloc{}, of_libc{};
  const bool is_known = version && of_other && dladdr(of_other, &of_malloc) &&
                        dladdr(reinterpret_cast<void*>(version), &of_libc) &&
                        of_malloc.dli_fbase == of_libc.dli_fbase;
  if (!is_known) {
    PyErr_SetString(PyExc_OSError, "this malloc is not that of glibc");
    return nullptr;
  }
  const long minor = strtol(version() + 2, nullptr, 10);  // "2.36"
  order.earlier = {lists_pools != 0, minor, minor >= 29 ? freed_mark() : 0};
  order.work = list_earlier;
  return started(order, kEarlierBegin);
}

PyObject* reap(PyObject*, PyObject*) { return PyBool_FromLong(let_go(WNOHANG)); }

// dominators(starts, targets): of each node the immediate one, of columns of bytes; for tests.
PyObject* dominators(PyObject*, PyObject* args) {
  const char *starts, *targets;
  Py_ssize_t starts_bytes, targets_bytes;
  if (!PyArg_ParseTuple(args, "y#y#", &starts, &starts_bytes, &targets, &targets_bytes))
    return nullptr;
  Edges edges;
  for (Py_ssize_t at = 0; at < starts_bytes; at += 8) {
    uint64_t start;
    memcpy(&start, starts + at, 8);
    edges.starts.push(start);
  }
  for (Py_ssize_t at = 0; at < targets_bytes; at += 4) {
    uint32_t target;
    memcpy(&target, targets + at, 4);
    edges.targets.push(target);
  }
  Dominators tree;
  tree.find(edges);
  PyObject* found = PyBytes_FromStringAndSize(reinterpret_cast<char*>(tree.dominator.items),
                                              Py_ssize_t(tree.dominator.count * 4));
  edges.starts.drop(), edges.targets.drop(), tree.order.drop(), tree.dominator.drop();
  return found;
}

// walked(roots, listed): columns of bytes, of addresses, of edges, and of references that come from no
// object, as a walk of this process finds them; for tests.
PyObject* walked(PyObject*, PyObject* args) {
  PyObject *roots, *listed;
  if (!PyArg_ParseTuple(args, "O!O!", &PyList_Type, &roots, &PyList_Type, &listed)) return nullptr;
  if (!prepare()) return nullptr;
  const bool is_collecting = PyGC_Disable();
  Heap heap(questions);
  heap.walk(roots, listed);
  if (is_collecting) PyGC_Enable();
  Mapped<int32_t> unexplained;
  heap.count_unexplained(unexplained);
  auto bytes = [](const auto& column) {
    return PyBytes_FromStringAndSize(reinterpret_cast<const char*>(column.items),
                                     Py_ssize_t(column.count * sizeof *column.items));
  };
  PyObject* found = Py_BuildValue("(NNNN)", bytes(heap.addresses), bytes(heap.edges.starts),
                                  bytes(heap.edges.targets), bytes(unexplained));
  heap.drop(), unexplained.drop();
  return found;
}

PyMethodDef functions[] = {
    {"snapshot", snapshot, METH_VARARGS,
     "snapshot(descriptor, sequence, began_ns, roots, own, frames, seconds, shows_values, off_at): fork "
     "a child that writes who holds what; its process number."},
    {"earlier", earlier, METH_VARARGS,
     "earlier(descriptor, began_ns, lists_pools, seconds): fork a child that lists what malloc has given "
     "out, and the arenas of Python's allocator, or the blocks in them; its process number."},
    {"reap", reap, METH_NOARGS,
     "reap(): wait, though not for long, for what lies between this process and a child that has "
     "ended, where orphans come to this process; whether nothing is left."},
    {"walked", walked, METH_VARARGS, "walked(roots, listed): what a walk of this process finds."},
    {"dominators", dominators, METH_VARARGS, "dominators(starts, targets): those of a graph."},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_holders", "Who holds what.", 0, functions,
                          nullptr, nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__holders() { return PyModuleDef_Init(&definition); }
