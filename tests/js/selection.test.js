'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const { gzipSync } = require('node:zlib');
const { load } = require('./scripts.js');
const { randomRun, SCOPES, THREAD } = require('./runs.js');

const { scope: scopes, flameLayout: layout, ranking, threadLimit, selection, payload, sparkline, sourceView, stackPanel, sandwich, lives, treeRows } = load();
const KINDS = ['lines', 'functions', 'modules'];
const OPTIONS = { thread: null, native: 'show', threads: true, imports: true, invert: false };
const STATES = [
  { ...OPTIONS, scope: SCOPES[0], versus: null, metric: 'retained' },
  { ...OPTIONS, scope: SCOPES[4], versus: null, metric: 'allocated' },
  { ...OPTIONS, scope: SCOPES[5], versus: null, metric: 'peak' },
  { ...OPTIONS, scope: SCOPES[8], versus: null, metric: 'growth' },
];

function dataOf(blocks) {
  return { core: blocks.core, blocks, frames: payload.frameReader(blocks.core, new Map()) };
}

function eachState(check) {
  for (const seed of [1, 2, 3]) {
    const blocks = randomRun(seed);
    for (const state of STATES) {
      const sums = { node: scopes.picture(blocks, state, 'node'), line: scopes.picture(blocks, state, 'line') };
      check(dataOf(blocks), sums, state);
    }
  }
}

const sum = (values) => values.reduce((total, value) => total + value, 0);

test('what is charged to lines, to functions and to modules is the total of all', () => {
  eachState((data, sums) => {
    for (const kind of KINDS) {
      const rows = ranking.rank(data, sums.line, sums.node, kind);
      assert.equal(sum(rows.map((row) => row.own)), sums.node.total);
    }
  });
});

test('a row has the allocators of all stacks at or beneath it that hold bytes', () => {
  eachState((data, sums) => {
    const { nodes } = data.core;
    delete nodes.asked;
    for (const kind of KINDS) for (const row of ranking.rank(data, sums.line, sums.node, kind)) assert.equal(row.asked, 0);
    nodes.asked = nodes.parent.map((_, node) => node % 8);
    for (const kind of KINDS) {
      const group = ranking.groupsOf(data.frames, kind);
      for (const row of ranking.rank(data, sums.line, sums.node, kind).slice(0, 12)) {
        let expected = 0;
        sums.node.bytes.forEach((bytes, leaf) => {
          let at = bytes === 0 ? -1 : leaf;
          while (at >= 0 && group[nodes.frame[at]] !== group[row.frame]) at = nodes.parent[at];
          if (at >= 0) expected |= nodes.asked[leaf];
        });
        assert.equal(row.asked, expected);
      }
    }
  });
});

test('a total counts each stack once, however often it comes through', () => {
  eachState((data, sums) => {
    const { parent, frame } = data.core.nodes;
    for (const kind of KINDS) {
      const group = ranking.groupsOf(data.frames, kind);
      for (const row of ranking.rank(data, sums.line, sums.node, kind).slice(0, 12)) {
        let expected = 0;
        sums.node.bytes.forEach((bytes, leaf) => {
          let at = leaf;
          while (at >= 0 && group[frame[at]] !== group[row.frame]) at = parent[at];
          if (at >= 0) expected += bytes;
        });
        if (!sums.node.signed) assert.equal(row.total, expected);
        assert.ok(Math.abs(row.total) >= Math.abs(row.own));
      }
    }
  });
});

test('a library is one module, and so is a file of the program', () => {
  assert.equal(ranking.moduleOf('/v/lib/python3.12/site-packages/pandas/core/frame.py', 'f'), 'pandas');
  assert.equal(ranking.moduleOf('/v/lib/python3.12/site-packages/six.py', 'f'), 'six');
  assert.equal(ranking.moduleOf('/usr/lib/python3.12/json/decoder.py', 'f'), 'json');
  assert.equal(ranking.moduleOf('/usr/lib/python3.12/copy.py', 'f'), 'copy');
  assert.equal(ranking.moduleOf('/home/quant/learning.py', 'f'), '/home/quant/learning.py');
  assert.equal(ranking.moduleOf('', 'malloc'), 'malloc');
});

test('limited to a thread, each view has the bytes of its stacks and of no other', () => {
  eachState((data, sums, state) => {
    const { nodes } = data.core;
    delete nodes.asked;
    const outermost = (node) => { while (nodes.parent[node] >= 0) node = nodes.parent[node]; return node; };
    const isIts = nodes.frame.map((_, node) => nodes.frame[outermost(node)] === 0);
    const its = { ...state, thread: 0 };
    const limited = { node: threadLimit.picture(data.blocks, its, 'node'), line: threadLimit.picture(data.blocks, its, 'line') };
    assert.ok(isIts.some((one) => one && !isIts.every(Boolean)));
    limited.node.bytes.forEach((bytes, node) => assert.equal(bytes, isIts[node] ? sums.node.bytes[node] : 0));
    assert.equal(threadLimit.total(data.blocks, state.scope, state.metric, 0), limited.node.total);
    assert.equal(layout.build(data.core, limited.node, its).net[0], limited.node.total);
    assert.equal(selection.describe(data, limited, { frames: [] }, its).bytes, limited.node.total);
    for (const kind of KINDS) {
      const rows = ranking.rank(data, limited.line, limited.node, kind);
      assert.equal(sum(rows.map((row) => row.own)), limited.node.total);
      for (const row of rows.slice(0, 20)) {
        const found = selection.describe(data, limited, { kind, frame: row.frame }, its);
        assert.equal(found.bytes, row.own !== 0 ? row.own : row.total);
        assert.ok(found.stacks.every((stack) => isIts[stack]));
      }
    }
  });
});

test('a phase that one thread alone is charged with is limited to it', () => {
  const core = {
    threads: [0, 2], frames: { function: [1, 3, 2] }, strings: ['', 'MainThread', 'worker', 'main'],
    phases: { thread: ['worker', 'worker', null, 'gone'], sharesRss: [true, false, true, true] },
  };
  const own = [0, 1, 2, 3].map((phase) => threadLimit.ownOf(core, { kind: 'phase', phase }));
  assert.deepEqual(own, [2, null, null, null]);
  assert.equal(threadLimit.ownOf(core, { kind: 'between', from: 0, to: 1 }), null);
});

test('processes and their groups are limits, too', () => {
  const core = {
    threads: [0], frames: { origin: [6, 6, 6, 0], line: [0, 3, 4, 8] },
    nodes: { parent: [-1, 0, -1, 2, -1, -1], frame: [0, 3, 1, 3, 2, 3] },
    processes: { index: [0, 3, 4], group: [0, 3, 3], how: ['run', 'fork', 'fork'], pid: [1, 30, 40], line: [0, 1, 1] },
    strings: ['', 'prog.py:30'],
  };
  assert.deepEqual([...threadLimit.allOf(core)], ['g3', 'p0', 'p3', 'p4']);
  const all = new Uint8Array(6).fill(1);
  assert.deepEqual([...threadLimit.within(core, all, 'p0')], [1, 1, 0, 0, 0, 1]);
  assert.deepEqual([...threadLimit.within(core, all, 'g3')], [0, 0, 1, 1, 1, 0]);
  assert.deepEqual([...threadLimit.within(core, all, 'p4')], [0, 0, 0, 0, 1, 0]);
  assert.equal(threadLimit.nameOf({ core }, 'p4'), 'fork 40 · prog.py:30');
  assert.equal(threadLimit.nameOf({ core }, 'g3'), 'fork × 2 · prog.py:30');
});

test('threads are offered where there is more than one', () => {
  assert.deepEqual([...threadLimit.allOf({ threads: [0, 9] })], [0, 9]);
  assert.deepEqual([...threadLimit.allOf({ threads: [0] })], []);
});

test('a selected frame has the bytes of its place in the graph', () => {
  eachState((data, sums, state) => {
    const tree = layout.build(data.core, sums.node, state);
    for (let node = 0; node < tree.size; node += 13) {
      const found = selection.describe(data, sums, { frames: layout.framesOf(tree, node) }, state);
      assert.equal(found.bytes, tree.net[node]);
      assert.equal(sum(found.stacks.map((stack) => sums.node.bytes[stack])), tree.net[node]);
      const sizes = found.stacks.map((stack) => Math.abs(sums.node.bytes[stack]));
      assert.ok(sizes.every((size, place) => place === 0 || size <= sizes[place - 1]));
    }
  });
});

test('a selected row has the bytes charged to it, or those that came through it', () => {
  eachState((data, sums, state) => {
    for (const kind of KINDS) {
      for (const row of ranking.rank(data, sums.line, sums.node, kind).slice(0, 20)) {
        const found = selection.describe(data, sums, { kind, frame: row.frame }, state);
        assert.equal(found.bytes, row.own !== 0 ? row.own : row.total);
        assert.equal(sum(found.stacks.map((stack) => sums.node.bytes[stack])), found.bytes);
      }
    }
  });
});

test('all of it is alive as much as the heap is', () => {
  eachState((data, sums, state) => {
    const { alive } = selection.describe(data, sums, { frames: [] }, state);
    const { born, died, bytes } = data.blocks.lifetimes;
    alive.forEach((size, checkpoint) => {
      const expected = bytes.reduce((total, one, row) => (
        born[row] <= checkpoint && (died[row] === -1 || died[row] > checkpoint) ? total + one : total), 0);
      assert.equal(size, expected);
    });
  });
});

test('what was allocated in a scope was freed in it, later, or never', () => {
  eachState((data, sums, state) => {
    const { core, blocks } = data;
    const of = (metric, level) => scopes.sums(blocks, state.scope, metric, level).total;
    const all = selection.describe(data, sums, { frames: [] }, state).fate;
    assert.equal(all.within, of('churn', 'node'));
    assert.equal(all.later + all.never, of('retained', 'node'));
    assert.equal(all.within + all.later + all.never, of('allocated', 'node'));
    const rows = ranking.rank(data, sums.line, sums.node, 'modules').filter((row) => row.own !== 0);
    const fates = rows.map((row) => selection.describe(data, sums, { kind: 'modules', frame: row.frame }, state).fate);
    assert.ok(sum(fates.map((fate) => fate.within)) <= of('churn', 'line'));
    assert.equal(selection.describe(data, sums, { frames: [] }, { ...state, versus: SCOPES[1] }).fate, null);
    const ungrossed = { core: { ...core, blocks: { ...core.blocks, transients: false } }, frames: data.frames };
    ungrossed.blocks = { ...blocks, core: ungrossed.core, transients: undefined };
    const known = selection.describe(ungrossed, sums, { frames: [] }, state).fate;
    assert.equal(known.within, null);
    assert.equal(known.never, all.never);
  });
});

test('the phases in which bytes were alive run from birth to death', () => {
  const { core } = randomRun(1);
  const life = (first, last) => selection.lifeOf(core, Float64Array.from(core.checkpoints.time, (t) => Number(t >= first && t <= last)));
  assert.deepEqual({ ...life(4, 5) }, { first: scopes.phaseAt(core, 4), last: scopes.phaseAt(core, 6), isAtEnd: false });
  assert.equal(life(30, 39).isAtEnd, true);
  assert.equal(life(50, 60), null);
});

test('the largest allocation is exact where the list cannot hide a larger one, else a lower bound', () => {
  const blocks = randomRun(1);
  const state = STATES[0];
  const flags = new Uint8Array(blocks.core.nodes.parent.length);
  flags[7] = 1;
  const lives = (born) => ({ node: born.map(() => 7), born, died: born.map(() => -1), bytes: born.map(() => 900), count: born.map(() => 1) });
  const largest = { node: [7, 8, 8], born: [3, 3, 5], died: [-1, -1, -1], bytes: [400, 300, 800] };
  const found = (changes, metric = 'retained') => {
    const got = selection.largestOf({ ...blocks, largest, ...changes }, { ...state, metric }, flags);
    return got === null ? null : { ...got };
  };
  assert.deepEqual(found({ lifetimes: lives([3]) }), { bytes: 400, isExact: true, node: 7, born: 3 });
  assert.deepEqual(found({ lifetimes: lives([3, 5]) }), { bytes: 400, isExact: false, node: 7, born: 3 });
  assert.equal(found({ largest: null }), null);
  assert.equal(found({ largest: { node: [8], born: [3], died: [-1], bytes: [300] }, lifetimes: lives([3]) }), null);
  assert.equal(found({ lifetimes: lives([3]) }, 'peak'), null);
  assert.equal(found({ lifetimes: lives([3]) }, 'freed'), null);
});

test('a stack has all its frames but the thread, outermost first', () => {
  const { core } = randomRun(2);
  const node = core.nodes.parent.length - 1;
  const stack = selection.stackOf(core, node);
  assert.equal(stack.at(-1), core.nodes.frame[node]);
  let depth = 0;
  for (let at = node; at >= 0; at = core.nodes.parent[at]) {
    if (core.frames.origin[core.nodes.frame[at]] !== THREAD) depth += 1;
  }
  assert.equal(stack.length, depth);
});

test('a drawing of many checkpoints keeps its highest point', () => {
  const times = Array.from({ length: 5000 }, (_, i) => i);
  const values = times.map((i) => (i === 3333 ? 50 : 1));
  const drawn = sparkline.points(times, values);
  assert.ok(drawn.length <= 300);
  assert.equal(Math.max(...drawn.map(([, y]) => y)), 1);
});

test('a drawing stays at each reading until the next one', () => {
  const corners = sparkline.steps([[0, 0], [0.25, 1], [0.5, 0.5]]);
  assert.deepEqual(JSON.parse(JSON.stringify(corners)), [[0, 0], [0.25, 0], [0.25, 1], [0.5, 1], [0.5, 0.5], [1, 0.5]]);
  assert.equal(sparkline.steps([]).length, 0);
});

test('callers add up to what goes through a group, and so do its callees with its own', () => {
  eachState((data, sums) => {
    const { parent, frame } = data.core.nodes;
    for (const kind of KINDS) {
      const group = ranking.groupsOf(data.frames, kind);
      for (const row of ranking.rank(data, sums.line, sums.node, kind).slice(0, 8)) {
        const found = sandwich.around(data, sums.node, kind, row.frame);
        let expected = 0;
        sums.node.bytes.forEach((bytes, leaf) => {
          let at = leaf;
          while (at >= 0 && group[frame[at]] !== group[row.frame]) at = parent[at];
          if (at >= 0) expected += bytes;
        });
        assert.equal(found.total, expected);
        assert.equal(sum(found.callers.map((one) => one.bytes)), expected);
        assert.equal(sum(found.callees.map((one) => one.bytes)) + found.own, expected);
        const isSelf = (one) => one.frame !== sandwich.NONE && group[one.frame] === group[row.frame];
        assert.ok(![...found.callers, ...found.callees].some(isSelf));
      }
    }
  });
});

test('what the rows of a table held adds up to what was alive at each checkpoint', () => {
  eachState((data) => {
    const { lines } = data.blocks;
    for (const kind of KINDS) {
      const group = ranking.groupsOf(data.frames, kind);
      const of = lives.byGroup(data, group, null);
      const all = [...new Set(group)].map(of);
      data.core.checkpoints.time.forEach((_, point) => {
        const expected = lines.bytes.reduce((total, bytes, row) => (
          total + (lines.born[row] <= point && (lines.died[row] === -1 || lines.died[row] > point) ? bytes : 0)), 0);
        assert.equal(sum(all.map((alive) => alive[point])), expected);
      });
    }
  });
});

test('the rows of the call tree are the calls that are open, each under its caller', () => {
  eachState((data, sums, state) => {
    const tree = layout.build(data.core, sums.node, state);
    const all = new Set(Array.from({ length: tree.size }, (_, node) => node));
    const rows = treeRows.rowsOf(tree, all, all);
    assert.deepEqual([...rows.map((row) => row.node)].sort((a, b) => a - b), [...all]);
    rows.forEach((row, place) => {
      if (place === 0) return;
      const above = rows.slice(0, place).findLast((one) => one.level < row.level);
      assert.equal(above.node, tree.parent[row.node]);
      assert.equal(row.level, tree.depth[row.node] + 1);
    });
    const few = treeRows.rowsOf(tree, new Set([0]), new Set());
    const left = few.filter((row) => row.node === undefined).map((row) => row.rest);
    assert.deepEqual([...left], tree.childCount[0] > treeRows.MOST_CHILDREN ? [tree.childCount[0] - treeRows.MOST_CHILDREN] : []);
    treeRows.openAtFirst(tree).forEach((node) => assert.ok(node === 0 || tree.parent[node] >= 0));
  });
});

test('files are ranked by the bytes of their lines', () => {
  eachState((data, sums) => {
    const files = sourceView.bytesByFile(data, ranking.rank(data, sums.line, sums.node, 'lines'));
    const order = sourceView.ranked(files).map(({ own }) => own);
    assert.ok(order.every((own, place) => place === 0 || own <= order[place - 1]));
  });
});

test('a block is unpacked, and steps between nodes become nodes', async () => {
  const content = { text: '策略 😀', numbers: [1, -2, 2 ** 40] };
  const packed = gzipSync(Buffer.from(JSON.stringify(content))).toString('base64');
  assert.equal(JSON.stringify(await payload.unpack(packed)), JSON.stringify(content));
  assert.deepEqual([...payload.withNodes({ node: [3, 0, 4], born: [1, 2, 3] }).node], [3, 3, 7]);
});

test('a browser that cannot unpack is told apart', () => {
  assert.equal(payload.canUnpack(), true);
  assert.equal(load(['payload'], { DecompressionStream: undefined }).payload.canUnpack(), false);
});

test('the address for an editor is that of a file, escaped, and never a script', () => {
  const address = (path, template = 'vscode://file/{path}:{line}') => stackPanel.editorAddress(template, path, 7);
  assert.equal(address('/home/a b/策略#1.py'), 'vscode://file/home/a%20b/%E7%AD%96%E7%95%A5%231.py:7');
  assert.equal(address('/a.py', 'idea://open?file={path}&line={line}'), 'idea://open?file=/a.py&line=7');
  assert.equal(address('<frozen importlib>'), null);
  assert.equal(address('ceval.c'), null);
  assert.equal(address('/a.py', 'javascript:alert({line})//{path}'), null);
  assert.equal(stackPanel.editorAddress('vscode://file/{path}:{line}', '/a.py', 0), null);
});
