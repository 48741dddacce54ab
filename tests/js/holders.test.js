'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const { load } = require('./scripts.js');

const { holderTree, holderTypes, treeRows } = load();
const { build, decode, expression, nodeOf, pointOf, restOf } = holderTree;
const plain = (value) => JSON.parse(JSON.stringify(value)); // of this context, not of the scripts'

function rowsOf(...rows) {
  const strings = [];
  const place = (text) => {
    if (!strings.includes(text)) strings.push(text);
    return strings.indexOf(text);
  };
  return decode({
    parent: rows.map(([parent]) => parent),
    type: rows.map(([, type]) => place(type)),
    label: rows.map(([, , label]) => place(label)),
    path: rows.map(([parent, , label]) => (parent < 0 ? place(label) : -1)),
    own: rows.map((row) => row[3]),
    retained: rows.map((row) => row[4]),
    objects: rows.map((row) => row[5] ?? 1),
    single: rows.map((row) => Number((row[5] ?? 1) === 1)),
    others: rows.map(() => 0),
    also: rows.map(() => place('')),
    lines: [],
    strings,
  });
}

function side(rows, bytes, more = {}) {
  return { bytes, objects: rows.length, rows, garbage: { bytes: 0, types: [] }, cOnly: { bytes: 0, types: [] }, ...more };
}

const BEFORE = side(rowsOf(
  [-1, 'dict', 'app', 10, 710],
  [0, 'dict', '.CACHE', 0, 600],
  [1, 'list', "['a']", 300, 300],
  [1, 'list', "['b']", 300, 300],
  [0, 'list', '.OLD', 100, 100],
), 1000);
const AFTER = side(rowsOf(
  [-1, 'dict', 'app', 10, 1110],
  [0, 'dict', '.CACHE', 0, 1100],
  [1, 'list', "['a']", 300, 300],
  [1, 'list', "['c']", 0, 800],
  [3, 'float', '[7]', 800, 800, 400],
), 2000, { garbage: { bytes: 500, types: [['Node', 400, 4], ['list', 100, 2]] } });

const named = (tree, find) => tree.items.findIndex(find);
const row = (tree, path) => named(tree, (node) => node.row?.path === path && node.isSingle);

test('a path is that of the row above and the own label', () => {
  assert.deepEqual(plain(AFTER.rows.map(({ path }) => path)), ['app', 'app.CACHE', "app.CACHE['a']", "app.CACHE['c']", "app.CACHE['c'][7]"]);
});

test('children lie side by side, the largest first, and hold no more than their parent', () => {
  const tree = build(AFTER);
  assert.equal(tree.items.length, 1 + 5 + 3);
  tree.items.forEach((node, at) => {
    const below = tree.items.slice(tree.firstChild[at], tree.firstChild[at] + tree.childCount[at]);
    below.forEach((one, k) => {
      assert.equal(one.above, node.key);
      assert.equal(tree.parent[tree.firstChild[at] + k], at);
      if (k > 0) assert.ok(below[k - 1].retained >= one.retained);
    });
    if (at > 0) assert.ok(below.reduce((sum, one) => sum + one.retained, node.own) <= node.retained);
  });
});

test('garbage stands beside what has a holder, by its types', () => {
  const tree = build(AFTER);
  const garbage = named(tree, ({ kind }) => kind === 'garbage');
  assert.equal(tree.parent[garbage], 0);
  assert.equal(tree.items[garbage].retained, 500);
  assert.deepEqual(plain(tree.items.slice(tree.firstChild[garbage]).slice(0, 2).map(({ type }) => type)), ['Node', 'list']);
});

test('what is new, and what is gone, is told of the same objects', () => {
  const tree = build(AFTER, BEFORE);
  const change = (at) => tree.items[at].retained - tree.items[at].was.retained;
  assert.equal(change(row(tree, 'app.CACHE')), 500);
  assert.equal(change(row(tree, "app.CACHE['a']")), 0);
  const c = row(tree, "app.CACHE['c']");
  assert.deepEqual([change(c), tree.items[c].isNew], [800, true]);
  const b = row(tree, "app.CACHE['b']");
  assert.deepEqual([change(b), tree.items[b].isGone, tree.parent[b]], [-300, true, row(tree, 'app.CACHE')]);
  assert.deepEqual([change(row(tree, 'app.OLD')), change(0)], [-100, 1000]);
  const order = tree.items.slice(tree.firstChild[0], tree.firstChild[0] + tree.childCount[0]).map((node) => node.retained - node.was.retained);
  assert.deepEqual(plain(order), [500, 400]);
});

test('two snapshots that are alike show no change, and many objects of a type are the same group', () => {
  const again = build(AFTER, AFTER);
  assert.ok(again.items.every((node) => node.retained === node.was.retained && !node.isNew && !node.isGone));
  const [, , , , floats] = AFTER.rows;
  const other = { ...AFTER, rows: [...AFTER.rows.slice(0, 4), { ...floats, path: "app.CACHE['c'][3]", label: '[3]' }] };
  assert.ok(build(AFTER, other).items.every((node) => !node.isNew && !node.isGone));
});

test('a search keeps what matches and the way to it', () => {
  const tree = build(AFTER, null, (text) => text.includes("['c']"));
  assert.deepEqual(plain(tree.items.map(({ row: of, kind }) => of?.path ?? kind)), ['root', 'app', 'app.CACHE', "app.CACHE['c']", "app.CACHE['c'][7]"]);
  assert.deepEqual(plain(tree.items.map(({ isMatch }) => Boolean(isMatch))), [false, false, false, true, true]);
  assert.equal(build(AFTER, null, () => false).items.length, 1);
});

test('small children are folded, and together they are what is left', () => {
  const many = Array.from({ length: 600 }, (_, n) => [0, 'list', '[' + n + ']', n < 20 ? 1000 : 1, n < 20 ? 1000 : 1]);
  const tree = build(side(rowsOf([-1, 'dict', 'app', 0, 20580], ...many), 20580));
  const parent = row(tree, 'app');
  assert.equal(treeRows.toldOf(tree, parent), 20);
  assert.equal(restOf(tree, parent).retained, 580);
  const few = build(side(rowsOf([-1, 'dict', 'app', 0, 600], ...many.slice(20)), 1e6));
  assert.equal(treeRows.toldOf(few, row(few, 'app')), 10);
});

test('what no row lists is said to be there', () => {
  const tree = build(side(rowsOf([-1, 'dict', 'app', 10, 1000], [0, 'list', '.a', 100, 100]), 1000));
  const unlisted = tree.items.find(({ kind }) => kind === 'unlisted');
  assert.equal(unlisted.retained, 890);
});

test('the row to look at first is the one object that has most of it', () => {
  const tree = build(AFTER);
  assert.equal(tree.items[pointOf(tree)].row.path, "app.CACHE['c']");
  assert.equal(nodeOf(tree, 3), pointOf(tree));
  assert.equal(pointOf(build(side([], 0))), 0);
});

test('a path through a frame becomes an expression', () => {
  assert.equal(
    expression("app.E[0].__traceback__.tb_next.tb_frame fails() at prog.py:34 local 'copies'"),
    "app.E[0].__traceback__.tb_next.tb_frame.f_locals['copies']",
  );
  assert.equal(expression("app.CACHE['a b() local x']"), "app.CACHE['a b() local x']");
});

test('columns of types are the snapshots, or two of them and what is new', () => {
  const outline = { types: { name: ['a', 'b', 'c'], bytes: [[5, 0, 0], [3, 9, 0]], count: [[1, 0, 0], [1, 2, 0]] }, others: { bytes: [0, 1], count: [0, 1] } };
  const all = holderTypes.columnsOf(outline, 1, null);
  assert.deepEqual(plain(all.map(({ key }) => key)), ['0', '1']);
  assert.deepEqual(plain(holderTypes.ranked(outline.types, all, '0', () => true)), [0, 1]);
  const two = holderTypes.columnsOf(outline, 1, 0);
  assert.deepEqual(plain(two[0].bytes), [-2, 9, 0]);
  assert.deepEqual(plain(two[0].others), [1, 1]);
  assert.deepEqual(plain(holderTypes.ranked(outline.types, two, 'change', () => true)), [1, 0]);
});

test('of what did not change nothing is shown, and beside what is not listed nothing is called new', () => {
  const rows = Array.from({ length: 30 }, (_, n) => [0, 'list', '[' + n + ']', 10, 10]);
  const before = side(rowsOf([-1, 'dict', 'app', 0, 700], ...rows), 1000);
  const after = side(rowsOf([-1, 'dict', 'app', 0, 900], ...rows, [0, 'list', "['new']", 200, 200]), 1000);
  const tree = build(after, before);
  assert.equal(treeRows.toldOf(tree, row(tree, 'app')), 1);
  assert.equal(tree.items[row(tree, "app['new']")].isNew, false);
});
