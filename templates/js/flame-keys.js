// Where the keys lead in a flame graph. Pure: knows the tree and no document.
(function (memdeep) {
  'use strict';

  const { ROOT } = memdeep.flameLayout;

  function sibling(tree, node, step) {
    const next = node + step;
    return next > ROOT && next < tree.size && tree.depth[next] === tree.depth[node] ? next : node;
  }

  // The node to which an arrow key leads from `node`, or -1 if the key is none.
  function walk(tree, node, key, flipped) {
    const [away, back] = flipped ? ['ArrowUp', 'ArrowDown'] : ['ArrowDown', 'ArrowUp'];
    if (key === away) return tree.childCount[node] > 0 ? tree.firstChild[node] : node;
    if (key === back) return Math.max(ROOT, tree.parent[node]);
    if (key === 'ArrowLeft') return sibling(tree, node, -1);
    if (key === 'ArrowRight') return sibling(tree, node, 1);
    return -1;
  }

  // Matches by size, largest first; those of one size from the top.
  function inOrderOfSize(tree, matches) {
    const found = [];
    for (let node = 1; node < tree.size; node += 1) if (matches[node]) found.push(node);
    return found.sort((a, b) => tree.width[b] - tree.width[a] || a - b);
  }

  memdeep.flameKeys = { walk, inOrderOfSize };
})(globalThis.memdeep = globalThis.memdeep || {});
