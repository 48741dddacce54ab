import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import vm from 'node:vm';

const SCRIPTS = ['format.js', 'payload.js', 'flame-layout.js'];

function loadScripts() {
  const context = vm.createContext({ Intl });
  for (const name of SCRIPTS) {
    const url = new URL('../../templates/js/' + name, import.meta.url);
    vm.runInContext(readFileSync(url, 'utf8'), context, { filename: name });
  }
  return context.memdeep;
}

const memdeep = loadScripts();
const layout = memdeep.flameLayout;
const NATIVE = memdeep.payload.NATIVE;
const CLOSE = 1e-9;

// A small repeatable generator, so that a failure can be seen again.
function dice(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state % below;
  };
}

function randomRun(seed, { nodeCount = 400, lifetimeCount = 1500, checkpointCount = 40, frameCount = 25 } = {}) {
  const roll = dice(seed);
  const many = (count, make) => Array.from({ length: count }, (_, i) => make(i));
  const parent = many(nodeCount, (i) => (i === 0 || roll(12) === 0 ? -1 : roll(i)));
  const lifetimes = { node: [], born: [], died: [], bytes: [], count: [] };
  for (let i = 0; i < lifetimeCount; i += 1) {
    const born = 1 + roll(checkpointCount - 1);
    const later = born + 1 + roll(checkpointCount);
    lifetimes.node.push(roll(nodeCount));
    lifetimes.born.push(born);
    lifetimes.died.push(later < checkpointCount ? later : -1);
    lifetimes.bytes.push(roll(10) === 0 ? 0 : 1 + roll(100000));
    lifetimes.count.push(1 + roll(9));
  }
  return {
    strings: ['函数', 'main', '/home/quant/策略/learning.py', '/lib/json.py'],
    frames: {
      function: many(frameCount, () => roll(2)),
      file: many(frameCount, () => 2 + roll(2)),
      line: many(frameCount, (i) => i + 1),
      origin: many(frameCount, () => roll(4)),
      source: many(frameCount, () => -1),
    },
    nodes: { parent, frame: many(nodeCount, () => roll(frameCount)) },
    checkpoints: { label: many(checkpointCount, String), time: many(checkpointCount, (i) => i) },
    lifetimes,
  };
}

function phase(stretches, peak = { node: [], bytes: [], count: [] }) {
  return { name: '加载config', traced: true, stretches, peak };
}

const PHASES = [
  phase([0, 39]),
  phase([3, 9]),
  phase([0, 1]),
  phase([2, 5, 5, 9, 20, 39]),
  phase([1, 2, 3, 4, 5, 6, 7, 8, 30, 31]),
  phase([1, 3], { node: [5, 9, 5, 300], bytes: [100, 250, 7, 4096], count: [1, 2, 1, 3] }),
];

function heapAt(run, checkpoint) {
  const { born, died, bytes } = run.lifetimes;
  return bytes.reduce((sum, size, i) => {
    const alive = born[i] <= checkpoint && (died[i] === -1 || died[i] > checkpoint);
    return alive ? sum + size : sum;
  }, 0);
}

function heapDelta(run, { stretches }) {
  let delta = 0;
  for (let i = 0; i < stretches.length; i += 2) {
    delta += heapAt(run, stretches[i + 1]) - heapAt(run, stretches[i]);
  }
  return delta;
}

function eachTree(check) {
  for (const seed of [1, 2, 3, 4, 5]) {
    const run = randomRun(seed);
    for (const one of PHASES) {
      for (const metric of layout.METRICS) {
        for (const native of ['show', 'hide']) {
          check(layout.build(run, one, metric, { native }), { run, one, metric, native });
        }
      }
    }
  }
}

function childrenOf(tree, node) {
  return Array.from({ length: tree.childCount[node] }, (_, i) => tree.firstChild[node] + i);
}

function rootBytesOf(tree) {
  return childrenOf(tree, layout.ROOT).reduce((sum, child) => sum + tree.bytes[child], 0);
}

test('retained minus freed is the heap delta of the phase', () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const run = randomRun(seed);
    for (const one of PHASES) {
      const totals = layout.metricTotals(run, one);
      assert.equal(totals.retained - totals.freed, heapDelta(run, one));
    }
  }
});

test('the root holds the total of the metric', () => {
  eachTree((tree, { run, one, metric }) => {
    const expected = layout.metricTotals(run, one)[metric];
    assert.equal(tree.total, expected);
    assert.equal(tree.bytes[layout.ROOT], expected);
    assert.equal(tree.width[layout.ROOT], expected > 0 ? 1 : 0);
  });
});

test('with native frames shown every byte is below the root', () => {
  eachTree((tree, { native }) => {
    if (native === 'show') assert.equal(rootBytesOf(tree), tree.total);
  });
});

test('children never exceed their parent, in bytes, allocations or width', () => {
  eachTree((tree) => {
    for (let node = 0; node < tree.size; node += 1) {
      const children = childrenOf(tree, node);
      const sum = (column) => children.reduce((total, child) => total + tree[column][child], 0);
      assert.ok(sum('bytes') <= tree.bytes[node]);
      assert.ok(sum('count') <= tree.count[node]);
      assert.ok(sum('width') <= tree.width[node] + CLOSE);
    }
  });
});

test('rectangles lie inside their parent and beside their siblings, largest first', () => {
  eachTree((tree) => {
    for (let node = 0; node < tree.size; node += 1) {
      let edge = tree.x[node];
      let previous = Infinity;
      for (const child of childrenOf(tree, node)) {
        assert.equal(tree.parent[child], node);
        assert.equal(tree.depth[child], tree.depth[node] + 1);
        assert.ok(Math.abs(tree.x[child] - edge) < CLOSE);
        assert.ok(tree.bytes[child] <= previous);
        previous = tree.bytes[child];
        edge = tree.x[child] + tree.width[child];
      }
      assert.ok(edge <= tree.x[node] + tree.width[node] + CLOSE);
    }
  });
});

test('a row is one run of nodes, sorted by x', () => {
  eachTree((tree) => {
    for (let depth = 0; depth < layout.rowCount(tree); depth += 1) {
      for (let node = tree.rowStart[depth]; node < tree.rowStart[depth + 1]; node += 1) {
        assert.equal(tree.depth[node], depth);
        if (node > tree.rowStart[depth]) assert.ok(tree.x[node] >= tree.x[node - 1]);
      }
    }
    assert.equal(tree.rowStart.at(-1), tree.size);
  });
});

test('frames of zero bytes are left out, and siblings are different frames', () => {
  eachTree((tree) => {
    for (let node = 0; node < tree.size; node += 1) {
      if (node !== layout.ROOT) assert.ok(tree.bytes[node] > 0);
      const frames = childrenOf(tree, node).map((child) => tree.frame[child]);
      assert.equal(new Set(frames).size, frames.length);
    }
  });
});

test('hiding native frames hides all of them and keeps totals and other frames’ bytes', () => {
  const outermostBytes = (tree, run) => {
    const seen = new Map();
    const covered = tree.frame.length ? Array.from({ length: tree.size }, () => new Set()) : [];
    for (let node = 1; node < tree.size; node += 1) {
      const frame = tree.frame[node];
      covered[node] = new Set(covered[tree.parent[node]]).add(frame);
      const nested = covered[tree.parent[node]].has(frame);
      if (!nested && run.frames.origin[frame] !== NATIVE) {
        seen.set(frame, (seen.get(frame) ?? 0) + tree.bytes[node]);
      }
    }
    return seen;
  };
  for (const seed of [1, 2, 3]) {
    const run = randomRun(seed);
    for (const one of PHASES) {
      for (const metric of layout.METRICS) {
        const shown = layout.build(run, one, metric, { native: 'show' });
        const hidden = layout.build(run, one, metric, { native: 'hide' });
        assert.equal(hidden.total, shown.total);
        assert.ok(hidden.size <= shown.size);
        for (let node = 1; node < hidden.size; node += 1) {
          assert.notEqual(run.frames.origin[hidden.frame[node]], NATIVE);
        }
        assert.deepEqual(
          [...outermostBytes(hidden, run)].sort(([a], [b]) => a - b),
          [...outermostBytes(shown, run)].sort(([a], [b]) => a - b),
        );
      }
    }
  }
});

test('a hit finds the node under the point, and nothing in a gap', () => {
  eachTree((tree) => {
    for (let node = 0; node < tree.size; node += 1) {
      if (tree.width[node] === 0) continue;
      assert.equal(layout.nodeAt(tree, tree.depth[node], tree.x[node] + tree.width[node] / 2), node);
    }
    assert.equal(layout.nodeAt(tree, layout.rowCount(tree), 0.5), -1);
    assert.equal(layout.nodeAt(tree, -1, 0.5), -1);
  });
});

test('a path leads from the root to the node', () => {
  eachTree((tree) => {
    const path = layout.pathTo(tree, tree.size - 1);
    assert.equal(path[0], layout.ROOT);
    assert.equal(path.at(-1), tree.size - 1);
    assert.equal(path.length, tree.depth[tree.size - 1] + 1);
  });
});

test('depths below the root end at the last row; no frame is wider than the whole', () => {
  eachTree((tree) => {
    assert.equal(layout.depthsBelow(tree, layout.ROOT, 0).deepest, layout.rowCount(tree) - 1);
    assert.equal(layout.depthsBelow(tree, layout.ROOT, 0).visible, layout.rowCount(tree) - 1);
    assert.equal(layout.depthsBelow(tree, layout.ROOT, 1.1).visible, 0);
  });
});

test('matched bytes count each stack once', () => {
  eachTree((tree, { run }) => {
    const all = layout.match(tree, new Uint8Array(run.frames.function.length).fill(1));
    assert.equal(all.count, tree.size - 1);
    assert.equal(all.bytes, rootBytesOf(tree));
    const none = layout.match(tree, new Uint8Array(run.frames.function.length));
    assert.deepEqual([none.count, none.bytes], [0, 0]);
  });
});

test('search ignores case and finds functions, paths and file:line', () => {
  const run = randomRun(7);
  const { frames } = memdeep.payload.parse(JSON.stringify(run));
  const found = (words) => memdeep.payload.matchingFrames(frames, words).reduce((sum, hit) => sum + hit, 0);
  assert.equal(found('MAIN'), run.frames.function.filter((name) => name === 1).length);
  assert.equal(found('策略'), run.frames.file.filter((file) => file === 2).length);
  const first = run.frames.file.indexOf(2);
  assert.ok(found('learning.py:' + run.frames.line[first]) >= 1);
  assert.equal(found('no such thing'), 0);
});

test('an empty phase has a root and nothing else', () => {
  const tree = layout.build(randomRun(1), phase([3, 9]), 'peak', { native: 'show' });
  assert.deepEqual([tree.size, tree.total, layout.rowCount(tree)], [1, 0, 1]);
});

test('a peak that is not in the page is an empty one', () => {
  const run = randomRun(1);
  assert.equal(layout.metricTotals(run, phase([3, 9], null)).peak, 0);
  assert.equal(layout.build(run, phase([3, 9], null), 'peak', { native: 'hide' }).size, 1);
});

test('200,000 lifetimes over 100,000 nodes are laid out in well under a second', () => {
  const run = randomRun(11, { nodeCount: 100000, lifetimeCount: 200000, frameCount: 5000 });
  const began = performance.now();
  const tree = layout.build(run, PHASES[0], 'retained', { native: 'show' });
  assert.ok(tree.size > 10000);
  assert.ok(performance.now() - began < 2000);
});

test('bytes read as people write them', () => {
  assert.equal(memdeep.format.bytes(0), '0 B');
  assert.equal(memdeep.format.bytes(1023), '1023 B');
  assert.equal(memdeep.format.bytes(1024 * 1023.97), '1.0 MB');
  assert.equal(memdeep.format.bytes(1536), '1.5 KB');
  assert.equal(memdeep.format.bytes(-3 * 1024 ** 2), '−3.0 MB');
});
