// Two runs on one page: sums of both sides, colours, what an address says.
'use strict';

const assert = require('node:assert');
const test = require('node:test');
const { load } = require('./scripts');

const { compareCells, compareSums, compareLink, compareData, flameLayout, flameTree } = load([
  'format', 'elements', 'python-colours', 'payload', 'flame-tree', 'flame-layout', 'compare-sums', 'compare-link', 'compare-cells', 'compare-data',
], { URLSearchParams });
const KINDS = ['root', 'even', 'grew-1', 'grew-2', 'shrank-1', 'shrank-2'];
const NOISE = { share: 0.05, least: 4 };
// main calls load (twice: 0 › 1 and 0 › 2) and save (3).
const core = {
  frames: { function: [0, 1, 2, 3], file: [0, 0, 0, 0], line: [1, 2, 3, 4], origin: [0, 0, 0, 0] },
  nodes: { parent: [-1, 0, 0, 0], frame: [0, 1, 2, 3] },
  repeats: { node: [], times: [] },
  strings: ['main.py', 'load', 'parse', 'save'],
};
const view = { node: [0, 1, 2, 3], before: [2, 100, 40, 60], more: [1, -90, 60, 2] };
const options = { native: 'fold', threads: false, imports: false, invert: false };
const plain = (values) => Array.from(values);
const build = (width) => flameLayout.build(core, compareSums.sumOf(core, view, width), options);

test('each node has the bytes of both sides, whatever makes it wide', () => {
  for (const width of Object.keys(compareSums.WIDTHS)) {
    const tree = flameTree.build(core, compareSums.sumOf(core, view, width), options);
    assert.deepStrictEqual(plain(tree.before), [202, 202, 100, 40, 60]);
    assert.deepStrictEqual(plain(tree.after), [175, 175, 10, 100, 62]);
    assert.deepStrictEqual(plain(tree.net), [-27, -27, -90, 60, 2]);
  }
});

test('a frame is as wide as what is asked for', () => {
  const whole = (width) => build(width).width[0];
  assert.strictEqual(whole('larger'), 3 + 100 + 100 + 62);
  assert.strictEqual(whole('before'), 202);
  assert.strictEqual(whole('after'), 175);
  assert.strictEqual(whole('difference'), 1 + 90 + 60 + 2);
});

test('what holds nothing in one width still counts in the figures of its callers', () => {
  const alike = { node: [1, 2], before: [50, 0], more: [0, 70] };
  const tree = flameLayout.build(core, compareSums.sumOf(core, alike, 'difference'), options);
  assert.strictEqual(tree.size, 3);
  assert.deepStrictEqual(plain(tree.before), [50, 50, 0]);
  assert.deepStrictEqual(plain(tree.after), [120, 120, 70]);
});

test('grey is within the noise, strong from half of the larger side on', () => {
  const tree = build('larger');
  const kinds = compareSums.kindsOf(tree, NOISE, KINDS);
  const named = Object.fromEntries(plain(tree.frame).map((frame, node) => [frame, KINDS[kinds[node]]]));
  assert.deepStrictEqual(named, { '-1': 'root', 0: 'shrank-1', 1: 'shrank-2', 2: 'grew-2', 3: 'even' });
});

test('views of the peak, of what was kept and of the peaks of phases are told apart', () => {
  const viewOf = compareData.viewsOf({
    count: [1, 2, -1, 0, 1], node: [5, 6, 7, 8], before: [1, 2, 3, 4], more: [0, 0, 0, 9],
  });
  assert.deepStrictEqual(plain(viewOf(-1).node), [5]);
  assert.deepStrictEqual(plain(viewOf(0, false).node), [6, 7]);
  assert.strictEqual(viewOf(1, false), null);
  assert.deepStrictEqual(plain(viewOf(0, true).node), []);
  assert.deepStrictEqual(plain(viewOf(1, true).more), [9]);
  assert.strictEqual(viewOf(7, true), null);
});

test('a state that is written is read again, a damaged one is left out', () => {
  const limits = { phases: 3, frames: 4 };
  const state = { ...compareLink.DEFAULTS, scope: { kind: 'phase', phase: 2 }, width: 'after', metric: 'peak', query: 'a&b', frames: [0, 3], invert: true };
  const read = compareLink.read(compareLink.write(state), limits);
  const same = (value) => JSON.parse(JSON.stringify(value)); // of this realm
  assert.deepStrictEqual(same(read), same(state));
  for (const hash of ['#phase=3', '#phase=-1', '#phase=x&frame=0.9', '#width=9&metric=no', '#']) {
    const left = compareLink.read(hash, limits);
    assert.strictEqual(left.scope, undefined);
    assert.strictEqual(left.width, 'larger');
    assert.strictEqual(left.frames.length, 0);
  }
});

test('where a run did not complete, its figures make no difference', () => {
  const rows = { match: ['same', 'unreached'], figures: { growth: { before: [90, 90], after: [10, null], alike: [null, false] } } };
  for (const row of [0, 1]) assert.strictEqual(compareCells.figureOf(rows, 'growth', row).delta, null);
  assert.strictEqual(compareCells.differenceOf('line', { before: 90, after: 10, isAlike: null }, 'same'), null);
  assert.strictEqual(compareCells.differenceOf('line', { before: 90, after: 10, isAlike: false }, 'same'), -80);
});
