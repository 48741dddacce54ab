'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const { load } = require('./scripts.js');
const { randomRun, SCOPES, NATIVE, THREAD } = require('./runs.js');

const { scope: scopes, flameTree, flameNative, flameLayout: layout, flameKeys, search, payload } = load();
const { ROOT } = layout;
const CHOICES = [];
for (const native of ['fold', 'show', 'hide']) {
  for (const threads of [false, true]) {
    for (const imports of [false, true]) {
      for (const invert of [false, true]) CHOICES.push({ native, threads, imports, invert });
    }
  }
}
const ALL = { native: 'show', threads: true, imports: true, invert: false };
const STATES = [
  { scope: SCOPES[0], versus: null, metric: 'retained' },
  { scope: SCOPES[3], versus: null, metric: 'freed' },
  { scope: SCOPES[5], versus: null, metric: 'peak' },
  { scope: SCOPES[4], versus: null, metric: 'churn' },
  { scope: SCOPES[8], versus: null, metric: 'growth' },
  { scope: SCOPES[1], versus: SCOPES[8], metric: 'retained' },
];

// Every tree is built once and looked at by all tests.
const CASES = [1, 2].flatMap((seed) => {
  const blocks = randomRun(seed);
  return STATES.flatMap((state) => {
    const sum = scopes.picture(blocks, state, 'node');
    return CHOICES.map((options) => ({ blocks, sum, options, tree: layout.build(blocks.core, sum, options) }));
  });
});

function eachTree(check) {
  for (const { tree, ...rest } of CASES) check(tree, rest);
}

const childrenOf = (tree, node) => Array.from({ length: tree.childCount[node] }, (_, k) => tree.firstChild[node] + k);
const sumOf = (tree, nodes, column) => nodes.reduce((sum, node) => sum + tree[column][node], 0);
const absolute = (values) => values.reduce((sum, value) => sum + Math.abs(value), 0);

test('the root has the total, whatever is hidden, folded or turned round', () => {
  eachTree((tree, { sum }) => {
    assert.equal(tree.net[ROOT], sum.total);
    assert.equal(tree.start[ROOT], 0);
    if (!sum.signed) assert.equal(tree.width[ROOT], sum.total);
  });
});

test('growth and shrinkage of all different stacks are as wide as the root', () => {
  eachTree((tree, { blocks, sum, options }) => {
    assert.ok(tree.width[ROOT] >= Math.abs(sum.total));
    if (JSON.stringify(options) !== JSON.stringify(ALL)) return;
    const { parent, frame } = blocks.core.nodes;
    const stacks = parent.map(() => '');
    const bytes = new Map();
    parent.forEach((above, node) => {
      stacks[node] = (above < 0 ? '' : stacks[above]) + '.' + frame[node];
      bytes.set(stacks[node], (bytes.get(stacks[node]) ?? 0) + sum.bytes[node]);
    });
    assert.equal(tree.width[ROOT], absolute([...bytes.values()]));
  });
});

test('a frame is as wide as what it holds itself and its children, which never exceed it', () => {
  eachTree((tree) => {
    for (let node = 0; node < tree.size; node += 1) {
      const children = childrenOf(tree, node);
      assert.equal(sumOf(tree, children, 'width') + Math.abs(tree.own[node]), tree.width[node]);
      assert.equal(sumOf(tree, children, 'net') + tree.own[node], tree.net[node]);
      assert.ok(Math.abs(tree.net[node]) <= tree.width[node]);
      if (!tree.signed) assert.equal(tree.net[node], tree.width[node]);
    }
  });
});

test('children lie side by side inside their parent, widest first, each of another frame', () => {
  eachTree((tree) => {
    for (let node = 0; node < tree.size; node += 1) {
      let edge = tree.start[node];
      let before = Infinity;
      const frames = new Set();
      for (const child of childrenOf(tree, node)) {
        assert.equal(tree.parent[child], node);
        assert.equal(tree.start[child], edge);
        assert.ok(tree.width[child] > 0 && tree.width[child] <= before);
        frames.add(tree.frame[child]);
        before = tree.width[child];
        edge = layout.endOf(tree, child);
      }
      assert.ok(edge <= layout.endOf(tree, node));
      assert.equal(frames.size, tree.childCount[node]);
    }
  });
});

test('a row is one run of nodes from left to right', () => {
  eachTree((tree) => {
    for (let depth = 0; depth < layout.rowCount(tree); depth += 1) {
      for (let node = tree.rowStart[depth]; node < tree.rowStart[depth + 1]; node += 1) {
        assert.equal(tree.depth[node], depth);
        if (node > tree.rowStart[depth]) assert.ok(tree.start[node] >= layout.endOf(tree, node - 1));
      }
    }
    assert.equal(tree.rowStart.at(-1), tree.size);
  });
});

// A page of stacks: [names outermost first, bytes]; equal names are one call, one with a slash is of
// a compiled file, one with a tilde of the tool that was run.
function pageOf(...stacks) {
  const core = { strings: [], frames: { function: [], file: [], line: [], origin: [] }, nodes: { parent: [], frame: [] }, repeats: { node: [], times: [] } };
  const string = (text) => (core.strings.includes(text) ? core.strings.indexOf(text) : core.strings.push(text) - 1);
  const known = new Map();
  const bytes = [];
  function nodeOf(above, name) {
    const key = above + ' ' + name;
    if (known.has(key)) return known.get(key);
    const { frames, nodes } = core;
    const [, file] = /^(.*)!/.exec(name) ?? [null, 'main.py'];
    frames.function.push(string(name));
    frames.file.push(string(file.replace('~', '')));
    frames.line.push(1);
    frames.origin.push(name.startsWith('~') ? 1 : name.includes('!') ? NATIVE : 0);
    nodes.parent.push(above);
    nodes.frame.push(frames.function.length - 1);
    known.set(key, bytes.push(0) - 1);
    return known.get(key);
  }
  for (const [names, size] of stacks) bytes[names.reduce(nodeOf, -1)] += size;
  const sum = { bytes: Float64Array.from(bytes), count: Float64Array.from(bytes), signed: false };
  return (options = {}) => flameNative.modeFor(core, sum, { ...ALL, native: 'auto', threads: false, ...options });
}

test('native frames are unfolded where compiled code of the user is what there is to see', () => {
  const own = pageOf([['main', '/home/me/app/fast.cpython-311-x86_64-linux-gnu.so!f', '/usr/lib/libc.so.6!malloc'], 8], [['main', 'other'], 2]);
  assert.equal(own(), 'show');
  assert.equal(own({ native: 'fold' }), 'fold', 'the reader has the last word');
  assert.equal(own({ invert: true }), 'fold');
  const theirs = pageOf([['main', '/v/lib/python3.11/site-packages/np/um.so!f'], 8], [['main', 'other'], 2]);
  assert.equal(theirs(), 'fold');
  const site = '/v/lib/python3.11/site-packages/';
  const tool = pageOf([['~' + site + 'black/__init__.py!main', site + '3c2__mypyc.cpython-311-x86_64-linux-gnu.so!lib2to3', '/x.c!malloc'], 9]);
  assert.equal(tool(), 'show');
  const { isOwnLibrary } = flameNative;
  const paths = ['/home/me/app/fast.so', '/usr/lib/libz.so.1', '/root/.pyenv/lib/libpython3.11.so.1.0', 'libz.so', '/home/me/main.py'];
  assert.deepEqual([...paths.map(isOwnLibrary)], [true, false, false, false, false]);
});

test('a graph of one box only is unfolded where that shows more than one', () => {
  const chain = pageOf([['main', '/v/x.c!a', '/v/x.c!malloc'], 9]);
  assert.equal(chain(), 'fold');
  const branches = [1, 2, 3].map((n) => [['main', 'main.c!a', 'main.c!b' + n, 'x.c!malloc'], 9]);
  assert.equal(pageOf(...branches)(), 'show');
  assert.equal(pageOf([['main', 'deep', 'deeper', 'deepest', '/v/x.c!a'], 9])(), 'fold');
});

test('threads, native frames and import machinery are shown only if asked for', () => {
  eachTree((tree, { blocks, options }) => {
    const { frames, strings } = blocks.core;
    for (let node = 1; node < tree.size; node += 1) {
      const frame = tree.frame[node];
      const origin = frames.origin[frame];
      if (!options.threads) assert.notEqual(origin, THREAD);
      if (options.native === 'hide') assert.notEqual(origin, NATIVE);
      if (!options.imports) assert.ok(!strings[frames.file[frame]].startsWith('<frozen importlib'));
    }
  });
});

test('of folded native code there is never one frame beneath another, nor a call of the interpreter', () => {
  eachTree((tree, { blocks, options }) => {
    if (options.native !== 'fold' || options.invert) return;
    const { frames, strings } = blocks.core;
    for (let node = 1; node < tree.size; node += 1) {
      if (frames.origin[tree.frame[node]] !== NATIVE) continue;
      assert.ok(tree.parent[node] === ROOT || frames.origin[tree.frame[tree.parent[node]]] !== NATIVE);
      assert.doesNotMatch(strings[frames.function[tree.frame[node]]], /^cfunction_/);
    }
  });
});

test('a folded run has the name of its outermost function', () => {
  const { core } = randomRun(1);
  const chain = (names) => {
    const strings = ['/app.py', 'lib.c', ...names.map(([name]) => name)];
    return {
      ...core,
      strings,
      frames: {
        function: names.map((_, place) => 2 + place), file: names.map(([, origin]) => (origin === NATIVE ? 1 : 0)),
        line: names.map(() => 1), origin: names.map(([, origin]) => origin),
      },
      nodes: { parent: names.map((_, place) => place - 1), frame: names.map((_, place) => place) },
    };
  };
  const names = [['_start', NATIVE], ['main', 0], ['cfunction_vectorcall_O', NATIVE], ['scan_once', NATIVE], ['PyList_Append', NATIVE]];
  const small = chain(names);
  const sum = { bytes: Float64Array.from([0, 0, 0, 0, 8]), count: Float64Array.from([0, 0, 0, 0, 1]), signed: false };
  const shown = (options) => {
    const tree = layout.build(small, sum, { ...ALL, ...options });
    return [...tree.frame].slice(1).map((frame) => names[frame][0]);
  };
  assert.deepEqual(shown({ native: 'fold' }), ['main', 'scan_once']);
  assert.deepEqual(shown({ native: 'hide' }), ['main']);
  assert.deepEqual(shown({ native: 'show' }), names.map(([name]) => name));
  assert.deepEqual(shown({ native: 'fold', invert: true }), ['main']);
});

test('turned round, a thread stays outermost and the innermost frame comes next', () => {
  const { core } = randomRun(1);
  const small = {
    ...core,
    strings: ['Thread-1', 'outer', 'inner', '/app.py', ''],
    frames: { function: [0, 1, 2], file: [4, 3, 3], line: [0, 1, 2], origin: [THREAD, 0, 0] },
    nodes: { parent: [-1, 0, 1], frame: [0, 1, 2] },
  };
  const sum = { bytes: Float64Array.from([0, 0, 8]), count: Float64Array.from([0, 0, 1]), signed: false };
  const tree = layout.build(small, sum, { ...ALL, invert: true });
  assert.deepEqual([...tree.frame].slice(1), [0, 2, 1]);
});

test('turned round, the first row holds what innermost frames hold themselves', () => {
  for (const seed of [1, 2, 3]) {
    const { core, ...blocks } = randomRun(seed);
    const sum = scopes.picture({ core, ...blocks }, STATES[0], 'node');
    const options = { ...ALL, threads: false };
    const down = layout.build(core, sum, options);
    const up = layout.build(core, sum, { ...options, invert: true });
    const own = new Map();
    for (let node = 1; node < down.size; node += 1) {
      own.set(down.frame[node], (own.get(down.frame[node]) ?? 0) + down.own[node]);
    }
    for (const node of childrenOf(up, ROOT)) assert.equal(up.net[node], own.get(up.frame[node]));
  }
});

test('each node’s bytes are in the tree where its owner says', () => {
  eachTree((tree, { sum }) => {
    const own = new Float64Array(tree.size);
    let cancelled = 0;
    sum.bytes.forEach((bytes, node) => {
      if (bytes === 0) return;
      if (tree.owner[node] < 0) cancelled += bytes;
      else own[tree.owner[node]] += bytes;
    });
    assert.equal(cancelled, 0);
    assert.ok(own.every((bytes, node) => bytes === tree.own[node]));
  });
});

test('the stacks through a frame are those whose bytes are in it and beneath it', () => {
  for (const seed of [1, 2]) {
    const blocks = randomRun(seed);
    for (const options of CHOICES) {
      const sum = scopes.picture(blocks, STATES[0], 'node');
      const tree = layout.build(blocks.core, sum, options);
      for (let node = 0; node < tree.size; node += 61) {
        const flags = flameTree.nodesThrough(blocks.core, layout.framesOf(tree, node), options);
        const bytes = sum.bytes.reduce((total, own, place) => (flags[place] ? total + own : total), 0);
        assert.equal(bytes, tree.net[node]);
      }
    }
  }
});

test('a path of frames leads back to its node, past frames that are no longer shown', () => {
  eachTree((tree, { blocks, options, sum }) => {
    const never = () => false;
    for (let node = 0; node < tree.size; node += 11) {
      assert.equal(layout.nodeOf(tree, layout.framesOf(tree, node), never), node);
    }
    if (options.native !== 'show' || options.invert) return;
    const hidden = layout.build(blocks.core, sum, { ...options, native: 'hide' });
    for (let node = 0; node < hidden.size; node += 11) {
      const path = layout.framesOf(hidden, node);
      const found = layout.nodeOf(tree, path, (frame) => blocks.core.frames.origin[frame] === NATIVE);
      if (path.length > 0) assert.ok(path.includes(tree.frame[found]));
    }
  });
});

test('a hit finds the node under a point; what is narrow, with its neighbours; nothing in a gap', () => {
  eachTree((tree) => {
    const narrowest = tree.width[ROOT] / 50;
    for (let node = 1; node < tree.size; node += 1) {
      const at = tree.start[node] + tree.width[node] / 2;
      assert.equal(layout.nodeAt(tree, tree.depth[node], at), node);
      const found = layout.hit(tree, tree.depth[node], at, narrowest);
      const parentIsSeen = tree.parent[node] === ROOT || tree.width[tree.parent[node]] >= narrowest;
      if (tree.width[node] >= narrowest) assert.equal(found.node, node);
      else if (parentIsSeen) assert.ok(found.smaller.first <= node && node < found.smaller.end);
      else assert.equal(found, null);
    }
    assert.equal(layout.hit(tree, layout.rowCount(tree), 0, 1), null);
    assert.equal(layout.hit(tree, -1, 0, 1), null);
  });
});

test('what is seen and what is said to be smaller are all children of what is seen, once', () => {
  const sweep = layout.createSweep();
  eachTree((tree) => {
    const narrowest = tree.width[ROOT] / 40;
    const seen = new Set();
    const smaller = new Set();
    sweep(tree, { x0: 0, x1: tree.width[ROOT], narrowest }, (node) => seen.add(node), (parent, first, end) => {
      assert.ok(seen.has(parent));
      for (let node = first; node < end; node += 1) smaller.add(node);
    });
    for (let node = 1; node < tree.size; node += 1) {
      const isWide = tree.width[node] >= narrowest;
      assert.equal(seen.has(node), isWide);
      assert.equal(smaller.has(node), !isWide && seen.has(tree.parent[node]));
    }
  });
});

test('a view of a part shows that part and nothing beside it', () => {
  const sweep = layout.createSweep();
  eachTree((tree) => {
    const [x0, x1] = [tree.width[ROOT] / 3, tree.width[ROOT] / 2];
    const seen = new Set();
    sweep(tree, { x0, x1, narrowest: 0 }, (node) => seen.add(node), () => assert.fail('nothing is too narrow'));
    for (let node = 1; node < tree.size; node += 1) {
      assert.equal(seen.has(node), tree.start[node] < x1 && layout.endOf(tree, node) > x0);
    }
  });
});

test('matched bytes count each stack once', () => {
  eachTree((tree, { blocks }) => {
    const all = layout.match(tree, new Uint8Array(blocks.core.frames.function.length).fill(1));
    assert.equal(all.count, tree.size - 1);
    assert.equal(all.width, sumOf(tree, childrenOf(tree, ROOT), 'width'));
    assert.equal(all.net, sumOf(tree, childrenOf(tree, ROOT), 'net'));
    const none = layout.match(tree, new Uint8Array(blocks.core.frames.function.length));
    assert.deepEqual([none.count, none.width], [0, 0]);
  });
});

test('matched frames count their own stacks, no others', () => {
  const blocks = randomRun(4);
  const sum = scopes.picture(blocks, STATES[0], 'node');
  const tree = layout.build(blocks.core, sum, ALL);
  const wanted = tree.frame[tree.size - 1];
  const flags = Uint8Array.from(blocks.core.frames.function, (_, frame) => Number(frame === wanted));
  const expected = sum.bytes.reduce((total, bytes, leaf) => {
    for (let node = leaf; node >= 0; node = blocks.core.nodes.parent[node]) {
      if (blocks.core.nodes.frame[node] === wanted) return total + bytes;
    }
    return total;
  }, 0);
  assert.equal(layout.match(tree, flags).net, expected);
});

test('a stack that is not known is named in words', () => {
  const { core } = randomRun(7);
  core.strings[core.frames.function[0]] = 'no Python stack';
  assert.equal(payload.frameReader(core, new Map()).functionName(0), 'flame.no_stack');
});

test('search ignores case, knows functions and file:line, and patterns if asked', () => {
  const { core } = randomRun(7);
  const frames = payload.frameReader(core, new Map());
  const count = (query, isRegex = false) => search.matchingFrames(frames, query, isRegex).reduce((sum, hit) => sum + hit, 0);
  const ofFile = core.frames.file.filter((file) => core.strings[file].includes('策略')).length;
  assert.equal(count('策略'), ofFile);
  assert.equal(count('LEARNING.PY:'), ofFile);
  assert.equal(count('learning\\.py:\\d+$', true), ofFile);
  assert.equal(count('no such thing'), 0);
  assert.equal(count('f(', false), 0);
  assert.equal(search.matchingFrames(frames, 'f(', true), null);
});

test('arrow keys walk, the same in both directions of growth', () => {
  const blocks = randomRun(1);
  const tree = layout.build(blocks.core, scopes.picture(blocks, STATES[0], 'node'), ALL);
  const child = tree.firstChild[ROOT];
  assert.equal(flameKeys.walk(tree, ROOT, 'ArrowDown', false), child);
  assert.equal(flameKeys.walk(tree, ROOT, 'ArrowUp', true), child);
  assert.equal(flameKeys.walk(tree, child, 'ArrowUp', false), ROOT);
  assert.equal(flameKeys.walk(tree, ROOT, 'ArrowUp', false), ROOT);
  assert.equal(flameKeys.walk(tree, child, 'ArrowRight', false), child + 1);
  assert.equal(flameKeys.walk(tree, child, 'ArrowLeft', false), child);
  assert.equal(flameKeys.walk(tree, child, 'Enter', false), -1);
});

test('nothing at all is a root and no more', () => {
  const { core } = randomRun(1);
  const sum = { bytes: new Float64Array(core.nodes.parent.length), count: new Float64Array(core.nodes.parent.length), signed: false, total: 0 };
  for (const options of CHOICES) {
    const tree = layout.build(core, sum, options);
    assert.deepEqual([tree.size, tree.width[ROOT], layout.rowCount(tree)], [1, 0, 1]);
  }
});

test('100,000 stacks are laid out within two seconds, and looking at them takes no time', () => {
  const blocks = randomRun(11, { nodeCount: 150000, lifetimeCount: 300000, frameCount: 5000 });
  const sum = scopes.picture(blocks, STATES[0], 'node');
  const began = performance.now();
  const tree = layout.build(blocks.core, sum, ALL);
  assert.ok(tree.size > 50000);
  assert.ok(performance.now() - began < 2000);
  const sweep = layout.createSweep();
  const view = { x0: 0, x1: tree.width[ROOT], narrowest: tree.width[ROOT] / 1000 };
  let seen = 0;
  sweep(tree, view, () => { seen += 1; }, () => {});
  assert.ok(seen < tree.size / 10, 'a sweep visits what is seen only');
});
