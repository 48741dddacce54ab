// From the bytes of stacks to the tree that is shown: frames left out, folded, merged, turned round.
// Pure: knows no canvas, no pixels, no document.
(function (memdeep) {
  'use strict';

  const { NATIVE, THREAD } = memdeep.payload;
  const ROOT = 0;
  const NONE = -1;
  const [SHOW, DROP, FOLD] = [0, 1, 2];
  const IMPORT_FILE = /^<frozen (importlib|zipimport)|[\\/]importlib[\\/](__init__|_bootstrap(_external)?)\.py$/;
  // By these functions CPython calls a C function; they say nothing of what it does (Objects/call.c,
  // methodobject.c, descrobject.c, typeobject.c, Python/ceval.c and import.c, 3.10 to 3.14).
  const PLUMBING = new RegExp('^(' + [
    '_?PyObject_(Call|Vectorcall|FastCall|MakeTpCall)\\w*', '_PyObject_\\w*Call\\w*', '_?PyEval_\\w+', '_?PyVectorcall_\\w+',
    '_PyFunction_\\w+', '_?PyCFunction_\\w+', '_PyMethodDef_\\w+', '_PyStack_\\w+', 'PyImport_Import\\w*',
    '(cfunction|method|vectorcall|_Py_call|function_code)_\\w*(call|vectorcall|method|maybe)\\w*', 'cfunction_\\w+',
    'do_call_core', '(trace_)?call_function\\w*', 'object_vacall', 'slot_tp_\\w+', 'slot_\\w+call\\w*', 'type_call',
    'wrap_(call|init)', 'wrapper_call', 'builtin_(exec|eval)\\w*', 'builtin___import__\\w*', 'import_(name|find_and_load)',
    'context_run', 'partial_(call|vectorcall)\\w*', '_Py\\w*Specialize\\w*',
  ].join('|') + ')(\\.\\w+)*$');

  // Whether each frame belongs to Python's import machinery, and whether to its C calls.
  function frameTraits(core) {
    const isImport = core.strings.map((text) => IMPORT_FILE.test(text));
    const isPlumbing = core.strings.map((text) => PLUMBING.test(text));
    const { file, origin, function: name } = core.frames;
    return {
      imports: Uint8Array.from(file, (place) => Number(isImport[place])),
      plumbing: Uint8Array.from(name, (place, frame) => Number(origin[frame] === NATIVE && isPlumbing[place])),
    };
  }

  const traits = new WeakMap();
  function traitsOf(core) {
    if (!traits.has(core)) traits.set(core, frameTraits(core));
    return traits.get(core);
  }

  // What becomes of each frame. Upside down, native code is told only if it is shown: a graph of
  // callers begins with lines of Python.
  function rolesOf(core, { native, threads, imports, invert }) {
    const { imports: isImport, plumbing } = traitsOf(core);
    const ofNative = { show: SHOW, hide: DROP, fold: invert ? DROP : FOLD }[native];
    return Uint8Array.from(core.frames.origin, (origin, frame) => {
      if (origin === THREAD) return threads ? SHOW : DROP;
      if (isImport[frame] && !imports) return DROP;
      if (origin !== NATIVE) return SHOW;
      return ofNative === FOLD && plumbing[frame] ? DROP : ofNative;
    });
  }

  // Nodes in which bytes were counted, and all nodes above them.
  function usedNodes(parent, sum) {
    const used = Uint8Array.from(sum.bytes, (bytes) => Number(bytes !== 0));
    for (let node = parent.length - 1; node >= 0; node -= 1) {
      if (used[node] && parent[node] >= 0) used[parent[node]] = 1;
    }
    return used;
  }

  // Nodes in or beneath which there is Python code.
  function nodesWithPython({ nodes, frames }) {
    const { parent, frame } = nodes;
    const found = Uint8Array.from(frame, (which) => Number(frames.origin[which] < NATIVE));
    for (let node = parent.length - 1; node >= 0; node -= 1) {
      if (found[node] && parent[node] >= 0) found[parent[node]] = 1;
    }
    return found;
  }

  // A tree that grows by asking for the child that a frame is.
  function growingTree(frameCount) {
    const known = new Map();
    const frame = [NONE];
    const parent = [NONE];
    function child(above, which) {
      const key = above * frameCount + which;
      let node = known.get(key);
      if (node === undefined) {
        node = frame.length;
        known.set(key, node);
        frame.push(which);
        parent.push(above);
      }
      return node;
    }
    return { frame, parent, child };
  }

  // Callers above callees. `owner` says where in the new tree the bytes of each node of the page are.
  function visibleTree(core, used, options) {
    const { parent, frame } = core.nodes;
    const roles = rolesOf(core, options);
    const hasPython = nodesWithPython(core);
    const owner = new Int32Array(parent.length).fill(NONE);
    const tree = growingTree(core.frames.function.length);
    const isFolded = (place) => place !== ROOT && roles[tree.frame[place]] === FOLD;
    const isThread = (place) => place === ROOT || core.frames.origin[tree.frame[place]] === THREAD;
    for (let node = 0; node < parent.length; node += 1) {
      if (!used[node]) continue;
      const above = parent[node] < 0 ? ROOT : owner[parent[node]];
      const role = roles[frame[node]];
      // A run of native frames is one, the outermost; what leads to the first Python code is none.
      const isWithin = role === FOLD && (isFolded(above) || (isThread(above) && hasPython[node]));
      owner[node] = role === DROP || isWithin ? above : tree.child(above, frame[node]);
    }
    return { frame: tree.frame, parent: tree.parent, owner, times: timesOf(core, tree, owner) };
  }

  // How many laps of a recursion each place stands for; 0 where it stands for itself.
  function timesOf({ nodes, repeats }, { frame }, owner) {
    const times = new Int32Array(frame.length);
    repeats.node.forEach((node, row) => {
      const place = owner[node];
      if (place !== NONE && frame[place] === nodes.frame[node]) times[place] = Math.max(times[place], repeats.times[row]);
    });
    return times;
  }

  // The same stacks with callees above callers; a thread stays outermost.
  function invertedTree(core, visible, holdsBytes) {
    const tree = growingTree(core.frames.function.length);
    const threadOf = new Int32Array(visible.frame.length).fill(NONE);
    const moved = new Int32Array(visible.frame.length).fill(NONE);
    const times = [0];
    moved[ROOT] = ROOT;
    for (let node = 1; node < moved.length; node += 1) {
      const above = visible.parent[node];
      if (above === ROOT && core.frames.origin[visible.frame[node]] === THREAD) threadOf[node] = node;
      else threadOf[node] = threadOf[above];
      if (!holdsBytes[node]) continue;
      const thread = threadOf[node];
      let place = thread === NONE ? ROOT : tree.child(ROOT, visible.frame[thread]);
      for (let at = node; at !== ROOT && at !== thread; at = visible.parent[at]) {
        place = tree.child(place, visible.frame[at]);
        times[place] = Math.max(times[place] ?? 0, visible.times[at]);
      }
      moved[node] = place;
    }
    const owner = visible.owner.map((place) => (place === NONE ? NONE : moved[place]));
    return { frame: tree.frame, parent: tree.parent, owner, times: tree.frame.map((_, node) => times[node] ?? 0) };
  }

  function ownSums(owner, sum, size) {
    const bytes = new Float64Array(size);
    const count = new Float64Array(size);
    for (let node = 0; node < owner.length; node += 1) {
      if (sum.bytes[node] === 0 || owner[node] === NONE) continue;
      bytes[owner[node]] += sum.bytes[node];
      count[owner[node]] += sum.count[node];
    }
    return { bytes, count };
  }

  function addUpwards(parent, column) {
    for (let node = parent.length - 1; node > ROOT; node -= 1) column[parent[node]] += column[node];
    return column;
  }

  // The bytes of a frame and its callees on both sides of a comparison, and the one less the other.
  function ofSides(tree, sum) {
    const own = [sum.before, sum.after].map((bytes) => ownSums(tree.owner, { bytes, count: bytes }, tree.frame.length).bytes);
    const [before, after] = own.map((bytes) => addUpwards(tree.parent, bytes.slice()));
    const less = ([was, now]) => now.map((bytes, node) => bytes - was[node]);
    return { before, after, own: less(own), net: less([before, after]) };
  }

  // The tree for `sum` (scope.js, by node), parents before children, not yet laid out; `options` are
  // { native: 'fold' | 'show' | 'hide', threads, imports, invert }. `own` is what a frame itself
  // holds; `width` adds its callees, growth and shrinkage alike, `net` the one less the other. A sum of
  // a comparison (compare-sums.js) has the bytes of both sides as well.
  function build(core, sum, options) {
    let tree = visibleTree(core, usedNodes(core.nodes.parent, sum.held ?? sum), options);
    let own = ownSums(tree.owner, sum, tree.frame.length);
    if (options.invert) {
      tree = invertedTree(core, tree, sum.held === undefined ? own.bytes : ownSums(tree.owner, sum.held, tree.frame.length).bytes);
      own = ownSums(tree.owner, sum, tree.frame.length);
    }
    return {
      ...tree,
      signed: sum.signed,
      own: own.bytes,
      width: addUpwards(tree.parent, own.bytes.map(Math.abs)),
      net: addUpwards(tree.parent, own.bytes.slice()),
      count: addUpwards(tree.parent, own.count),
      ...(sum.held === undefined ? {} : ofSides(tree, sum)),
    };
  }

  // The tree of all stacks of the page, whatever they hold.
  function wholeTree(core, options) {
    const all = new Uint8Array(core.nodes.parent.length).fill(1);
    const tree = visibleTree(core, all, options);
    return options.invert ? invertedTree(core, tree, new Uint8Array(tree.frame.length).fill(1)) : tree;
  }

  // For each node of the page whether its stack leads through the place in the tree to which `frames`
  // lead from the root.
  function nodesThrough(core, frames, options) {
    const { frame, parent, owner } = wholeTree(core, options);
    const reached = new Int32Array(frame.length); // how many of `frames`, or NONE off the path
    for (let place = 1; place < frame.length; place += 1) {
      const above = reached[parent[place]];
      if (above === NONE || above === frames.length) reached[place] = above;
      else reached[place] = frame[place] === frames[above] ? above + 1 : NONE;
    }
    return Uint8Array.from(owner, (place) => Number(place !== NONE && reached[place] === frames.length));
  }

  // The places in a stack (frames, outermost first) that are told: of a run of native frames the
  // outermost one, none of what leads to the first Python code.
  function toldOf(core, stack, options) {
    const roles = rolesOf(core, options);
    const first = stack.findIndex((frame) => core.frames.origin[frame] < NATIVE);
    let last = NONE; // the role of the last one that is told
    return stack.flatMap((frame, place) => {
      const role = roles[frame];
      if (role === DROP || (role === FOLD && (last === FOLD || place < first))) return [];
      last = role;
      return [place];
    });
  }

  memdeep.flameTree = { ROOT, build, rolesOf, toldOf, nodesThrough };
})(globalThis.memdeep = globalThis.memdeep || {});
