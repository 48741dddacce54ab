'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const { load } = require('./scripts.js');
const { randomRun, SCOPES } = require('./runs.js');

const { scope: scopes } = load();
const SEEDS = [1, 2, 3, 4, 5];
const LEVELS = ['node', 'line'];

function eachScope(check) {
  for (const seed of SEEDS) {
    const blocks = randomRun(seed);
    for (const scope of SCOPES) check(blocks, scope);
  }
}

function aliveAt({ lifetimes }, checkpoint) {
  return lifetimes.bytes.reduce((sum, bytes, row) => {
    const died = lifetimes.died[row];
    return lifetimes.born[row] <= checkpoint && (died === -1 || died > checkpoint) ? sum + bytes : sum;
  }, 0);
}

function heapDelta(blocks, scope) {
  const edges = scopes.stretchesOf(blocks.core, scope);
  let delta = 0;
  for (let i = 0; i < edges.length; i += 2) delta += aliveAt(blocks, edges[i + 1]) - aliveAt(blocks, edges[i]);
  return delta;
}

const total = (blocks, scope, metric, level = 'node') => scopes.sums(blocks, scope, metric, level).total;

test('retained less freed is the growth, and that is the difference of the heap at both ends', () => {
  eachScope((blocks, scope) => {
    const growth = total(blocks, scope, 'growth');
    assert.equal(total(blocks, scope, 'retained') - total(blocks, scope, 'freed'), growth);
    assert.equal(growth, heapDelta(blocks, scope));
  });
});

test('what was allocated was retained, or came and went', () => {
  eachScope((blocks, scope) => {
    assert.equal(total(blocks, scope, 'allocated'), total(blocks, scope, 'retained') + total(blocks, scope, 'churn'));
  });
});

test('lines and stacks tell the same total, in bytes and in allocations', () => {
  eachScope((blocks, scope) => {
    for (const metric of scopes.metricsOf(blocks.core, scope)) {
      const [byNode, byLine] = LEVELS.map((level) => scopes.sums(blocks, scope, metric, level));
      assert.equal(byNode.total, byLine.total, metric);
      assert.equal(byNode.allocations, byLine.allocations, metric);
      for (const sum of [byNode, byLine]) assert.equal(sum.bytes.reduce((a, b) => a + b), sum.total);
    }
  });
});

test('a comparison is the difference of the two, place by place and in total', () => {
  const blocks = randomRun(9);
  for (const scope of SCOPES) {
    for (const versus of SCOPES) {
      for (const metric of scopes.metricsOf(blocks.core, scope, versus)) {
        const picture = scopes.picture(blocks, { scope, versus, metric }, 'node');
        const [one, other] = [scope, versus].map((each) => scopes.sums(blocks, each, metric, 'node'));
        assert.equal(picture.total, one.total - other.total);
        assert.ok(picture.bytes.every((bytes, node) => bytes === one.bytes[node] - other.bytes[node]));
        assert.equal(picture.signed, true);
      }
    }
  }
});

test('only growth is signed where nothing is compared', () => {
  const blocks = randomRun(1);
  const [scope] = SCOPES;
  assert.equal(scopes.picture(blocks, { scope, versus: null, metric: 'growth' }, 'node').signed, true);
  assert.equal(scopes.picture(blocks, { scope, versus: null, metric: 'retained' }, 'node').signed, false);
});

test('a peak is offered for phases only, and gross figures only where they were counted', () => {
  const { core } = randomRun(1);
  const [phase] = SCOPES;
  const between = SCOPES.at(-1);
  assert.ok(scopes.metricsOf(core, phase).includes('peak'));
  assert.ok(!scopes.metricsOf(core, between).includes('peak'));
  assert.ok(!scopes.metricsOf(core, phase, between).includes('peak'));
  const blind = { ...core, blocks: { ...core.blocks, transients: false } };
  assert.deepEqual([...scopes.metricsOf(blind, phase)], ['retained', 'peak', 'freed', 'growth']);
});

test('the whole run has the peak of its highest phase, if the heap was nowhere higher', () => {
  const { core, ...blocks } = randomRun(3);
  const whole = scopes.wholeOf(core);
  assert.ok(scopes.isWhole(core, whole));
  assert.ok(scopes.metricsOf(core, whole).includes('peak'));
  assert.equal(total({ core, ...blocks }, whole, 'peak'), total({ core, ...blocks }, SCOPES[5], 'peak'));
  assert.equal(scopes.total({ core, ...blocks }, whole, 'peak'), core.phases.peak[5]);
  const higher = { ...core, checkpoints: { ...core.checkpoints, heap: [core.phases.peak[5] + 1] } };
  assert.ok(!scopes.metricsOf(higher, whole).includes('peak'));
});

test('what is not known is said to be so, and is nothing', () => {
  const blocks = randomRun(1);
  const untraced = { ...blocks, core: { ...blocks.core, traced: [[0, 6], [7, 39]] } };
  const gap = { kind: 'between', from: 5, to: 8 };
  assert.equal(scopes.whyUnknown(untraced.core, gap, 'retained'), 'flame.not_traced');
  assert.equal(total(untraced, gap, 'retained'), 0);
  assert.equal(scopes.total(untraced, gap, 'retained'), null);
  assert.equal(scopes.whyUnknown(untraced.core, { kind: 'between', from: 0, to: 6 }, 'retained'), null);
  assert.equal(scopes.whyUnknown(blocks.core, SCOPES[0], 'peak'), 'flame.not_in_page');
  assert.equal(scopes.whyUnknown(blocks.core, SCOPES[5], 'peak'), null);
});

test('a peak has the bytes of its own block', () => {
  const blocks = randomRun(3);
  assert.equal(total(blocks, SCOPES[5], 'peak'), blocks['peak-5'].bytes.reduce((a, b) => a + b));
});

test('the blocks a sum reads are named', () => {
  const blocks = randomRun(2);
  for (const scope of SCOPES) {
    for (const metric of scopes.metricsOf(blocks.core, scope)) {
      if (scopes.whyUnknown(blocks.core, scope, metric) !== null) continue;
      for (const level of LEVELS) {
        const named = scopes.blocksFor(blocks.core, scope, metric, level);
        const few = Object.fromEntries(['core', ...named].map((name) => [name, blocks[name]]));
        assert.equal(total(few, scope, metric, level), total(blocks, scope, metric, level));
      }
    }
  }
});

test('the innermost phase of a segment is found', () => {
  const { core } = randomRun(1);
  assert.equal(scopes.phaseAt(core, 10), 0);
  assert.equal(core.phases.depth[scopes.phaseAt(core, 4)], 1);
  assert.equal(scopes.phaseAt(core, 0), -1);
});
