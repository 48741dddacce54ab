// `memdeep.record._holders`: who holds what, as seen by a child that is forked for it and goes its own
// way. CPython's limited API of 3.10, so that one build serves all. Linux only.

// The checked longjmp of glibc refuses to go from one stack to another.
#undef _FORTIFY_SOURCE

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "holder_file.hpp"

namespace {

using namespace memdeep;

struct Order {
  int descriptor;
  unsigned long long sequence, began_ns;
  PyObject *roots, *frames;  // lists
  Py_ssize_t own;            // so many of the last roots are memdeep's
  int seconds, shows_values;
};

TypeQuestions questions;
KnownTypes known;
PyObject *list_objects, *is_collecting;

bool prepare() {
  if (list_objects) return true;
  PyObject* collector = PyImport_ImportModule("gc");
  if (!collector || !questions.prepare() || !known.prepare()) return false;
  is_collecting = PyObject_GetAttrString(collector, "isenabled");
  if (is_collecting) list_objects = PyObject_GetAttrString(collector, "get_objects");
  Py_DECREF(collector);
  return list_objects != nullptr;
}

// The child is the first to go where memory is short, keeps no file of the program's open, and ends
// by itself.
void settle(const Order& order) {
  alarm(unsigned(order.seconds));
  signal(SIGALRM, SIG_DFL);
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, SIGALRM);
  sigprocmask(SIG_UNBLOCK, &only, nullptr);
  prctl(PR_SET_NAME, "memdeep-holders", 0, 0, 0);
  const int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (score >= 0) {
    if (write(score, "1000", 4) < 0) {}
    close(score);
  }
#ifdef SYS_close_range
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

// Puts the locals of all functions that run before the other roots.
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
      if (!copy || !PyDict_Size(copy)) continue;
      names.add_locals(copy, frame);
      PyList_Insert(order.roots, 0, copy);
    }
  }
}

// Goes breadth first from `start`; what is met gets `state`.
void spread(const Heap& heap, uint32_t start, uint8_t state, Found& found) {
  Mapped<uint32_t> queue;
  queue.push(start);
  found.parents[start] = start;
  for (size_t at = 0; at < queue.count; at++) {
    const uint32_t v = queue[at];
    for (const uint32_t* e = heap.edges.begin(v); e != heap.edges.end(v); e++) {
      if (found.parents[*e] != kNobody) continue;
      found.parents[*e] = v;
      found.states[*e] = state;
      queue.push(*e);
    }
  }
  queue.drop();
}

[[noreturn]] void be_child(const Order& order) {
  settle(order);
  Heap heap(questions);
  Names names(heap, known, order.shows_values);
  add_locals(order, names);
  PyObject* listed = nullptr;
  if (!dlsym(RTLD_DEFAULT, "PyUnstable_GC_VisitObjects"))
    listed = PyObject_CallObject(list_objects, nullptr);
  heap.walk(order.roots, listed);
  names.collect_names();
  Found found{};
  found.sequence = order.sequence, found.began_ns = order.began_ns;
  found.is_collecting = PyObject_CallObject(is_collecting, nullptr) == Py_True;
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
  write_file(order.descriptor, heap, names, rows, found);
  _exit(0);
}

struct Start {
  const Order* order;
  jmp_buf back;
  volatile pid_t child;
};

// Runs in the program's memory while its thread waits: the child of this one is nobody's to wait for.
int fork_child(void* argument) {
  auto start = static_cast<Start*>(argument);
  const pid_t child = fork();
  if (child == 0) longjmp(start->back, 1);
  start->child = child;
  _exit(0);
}

// Returns the process number of the child, or -1. The child is the program's grandchild, as no end
// of it may be seen by the program's own waits, nor any SIGCHLD; what lies between was made without
// a signal at its end. It is forked by libc, whose handlers make its memory one that may be used.
__attribute__((noinline)) pid_t start_child(const Order& order) {
  constexpr size_t kStackBytes = size_t{1} << 18;
  // Not by libc, whose functions are traced: this is no memory of the program's.
  const long place = syscall(SYS_mmap, nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (place == -1) return -1;
  void* stack = reinterpret_cast<void*>(place);
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  Start start;
  start.order = &order, start.child = -1;
  // Back on the thread's own stack: from 3.14 on Python knows where that is.
  if (_setjmp(start.back)) be_child(*start.order);
  const int between = clone(fork_child, static_cast<char*>(stack) + kStackBytes,
                            CLONE_VM | CLONE_VFORK, &start);
  const int error = errno;
  if (between > 0)
    while (waitpid(between, nullptr, __WALL) < 0 && errno == EINTR) {}
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  syscall(SYS_munmap, stack, kStackBytes);
  errno = error;
  return between > 0 ? start.child : -1;
}

PyObject* snapshot(PyObject*, PyObject* args) {
  Order order{};
  if (!PyArg_ParseTuple(args, "iKKO!nO!ii", &order.descriptor, &order.sequence, &order.began_ns,
                        &PyList_Type, &order.roots, &order.own, &PyList_Type, &order.frames,
                        &order.seconds, &order.shows_values))
    return nullptr;
  if (order.own < 0 || order.own > PyList_Size(order.roots)) {
    PyErr_SetString(PyExc_ValueError, "more roots of memdeep's than there are");
    return nullptr;
  }
  if (!prepare()) return nullptr;
  if (lseek(order.descriptor, kParentBytes, SEEK_SET) < 0)
    return PyErr_SetFromErrno(PyExc_OSError);
  const pid_t child = start_child(order);
  if (child < 0) return PyErr_SetFromErrno(PyExc_OSError);
  char head[kParentBytes];
  const uint64_t pause_ns = now_ns() - order.began_ns;
  memcpy(head, kFileBegin, 8);
  memcpy(head + 8, &pause_ns, 8);
  if (pwrite(order.descriptor, head, sizeof head, 0) < 0) return PyErr_SetFromErrno(PyExc_OSError);
  return PyLong_FromLong(child);
}

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

PyMethodDef functions[] = {
    {"snapshot", snapshot, METH_VARARGS,
     "snapshot(descriptor, sequence, began_ns, roots, own, frames, seconds, shows_values): fork a "
     "child that writes who holds what; its process number."},
    {"dominators", dominators, METH_VARARGS, "dominators(starts, targets): those of a graph."},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_holders", "Who holds what.", 0, functions,
                          nullptr, nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__holders() { return PyModuleDef_Init(&definition); }
