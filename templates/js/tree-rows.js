// The rows of a tree: what is open, in the order of the table. Pure.
(function (memdeep) {
  'use strict';

  const { ROOT } = memdeep.flameTree;
  const MOST_CHILDREN = 50; // of one row, until the rest is asked for
  const WORTH_OPENING = 0.1; // of all: as far as the heaviest child holds that much, it is open at first
  const DEEPEST = 12;

  // The nodes that are open at first: the way to where the bytes are, as far as it is one.
  function openAtFirst(tree) {
    const open = new Set();
    for (let node = ROOT; tree.childCount[node] > 0 && open.size < DEEPEST; node = tree.firstChild[node]) {
      if (tree.width[node] < WORTH_OPENING * tree.width[ROOT]) break;
      open.add(node);
    }
    return open;
  }

  // How many children of a node are shown until the rest is asked for: where `told` does not say
  // which are worth it, the first ones.
  const toldOf = (tree, node) => Math.min(tree.childCount[node], tree.told?.[node] ?? MOST_CHILDREN);

  // Rows { node, level, place, count, isOpen }, or { rest, level, parent } for the children left out;
  // `whole` are the nodes all of whose children are wanted.
  function rowsOf(tree, open, whole) {
    const rows = [];
    const waiting = [{ node: ROOT, level: 1, place: 1, count: 1 }];
    while (waiting.length > 0) {
      const row = waiting.pop();
      if (row.node === undefined) {
        rows.push(row);
        continue;
      }
      const { node, level } = row;
      rows.push({ ...row, isOpen: open.has(node) });
      if (!open.has(node)) continue;
      const count = tree.childCount[node];
      const shown = whole.has(node) ? count : toldOf(tree, node);
      if (shown < count) waiting.push({ rest: count - shown, level: level + 1, parent: node });
      for (let k = shown - 1; k >= 0; k -= 1) waiting.push({ node: tree.firstChild[node] + k, level: level + 1, place: k + 1, count });
    }
    return rows;
  }

  memdeep.treeRows = { MOST_CHILDREN, toldOf, openAtFirst, rowsOf };
})(globalThis.memdeep = globalThis.memdeep || {});
