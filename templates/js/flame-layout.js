// From a tree of frames to rectangles. Pure: knows no canvas, no pixels, no document.
//
// A tree is columnar and in breadth-first order: a row is the run rowStart[depth] up to
// rowStart[depth + 1], sorted by x, and the children of a node are one run as well. So hit
// tests and culling are binary searches.
(function (memdeep) {
  'use strict';

  const { ROOT } = memdeep.flameTree;

  // Children of each node, largest first: kids[start[n]] up to kids[start[n + 1]].
  function childrenOf({ parent, bytes }) {
    const size = parent.length;
    const start = new Int32Array(size + 1);
    for (let node = 1; node < size; node += 1) start[parent[node] + 1] += 1;
    for (let node = 0; node < size; node += 1) start[node + 1] += start[node];
    const next = start.slice();
    const kids = new Int32Array(size);
    for (let node = 1; node < size; node += 1) kids[next[parent[node]]++] = node;
    for (let node = 0; node < size; node += 1) {
      if (start[node + 1] - start[node] < 2) continue;
      kids.subarray(start[node], start[node + 1]).sort((a, b) => bytes[b] - bytes[a] || a - b);
    }
    return { start, kids };
  }

  function emptyTree(size, merged) {
    return {
      size,
      total: merged.bytes[ROOT],
      frame: new Int32Array(size),
      parent: new Int32Array(size),
      depth: new Int32Array(size),
      bytes: new Float64Array(size),
      net: new Float64Array(size),
      count: new Float64Array(size),
      x: new Float64Array(size),
      width: new Float64Array(size),
      firstChild: new Int32Array(size),
      childCount: new Int32Array(size),
      rowStart: [0],
    };
  }

  function layOut(merged) {
    const { start, kids } = childrenOf(merged);
    const tree = emptyTree(merged.frame.length, merged);
    const source = new Int32Array(tree.size);
    const offset = new Float64Array(tree.size);
    const place = (node, from, parent, at) => {
      source[node] = from;
      offset[node] = at;
      tree.frame[node] = merged.frame[from];
      tree.parent[node] = parent;
      tree.depth[node] = parent < 0 ? 0 : tree.depth[parent] + 1;
      tree.bytes[node] = merged.bytes[from];
      tree.net[node] = merged.grew[from] - merged.shrank[from];
      tree.count[node] = merged.count[from];
      tree.x[node] = tree.total > 0 ? at / tree.total : 0;
      tree.width[node] = tree.total > 0 ? tree.bytes[node] / tree.total : 0;
      if (tree.depth[node] === tree.rowStart.length) tree.rowStart.push(node);
    };
    place(ROOT, ROOT, -1, 0);
    let placed = 1;
    for (let node = 0; node < tree.size; node += 1) {
      let at = offset[node];
      tree.firstChild[node] = placed;
      for (let k = start[source[node]]; k < start[source[node] + 1]; k += 1) {
        place(placed, kids[k], node, at);
        at += merged.bytes[kids[k]];
        placed += 1;
      }
      tree.childCount[node] = placed - tree.firstChild[node];
    }
    tree.rowStart.push(tree.size);
    return tree;
  }

  function rowCount(tree) {
    return tree.rowStart.length - 1;
  }

  // The first node of a row that ends right of x; the end of the row if there is none.
  function firstEndingAfter(tree, depth, x) {
    let low = tree.rowStart[depth];
    let high = tree.rowStart[depth + 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (tree.x[middle] + tree.width[middle] > x) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  function nodeAt(tree, depth, x) {
    if (depth < 0 || depth >= rowCount(tree)) return -1;
    const node = firstEndingAfter(tree, depth, x);
    return node < tree.rowStart[depth + 1] && tree.x[node] <= x ? node : -1;
  }

  // From the root to the node itself.
  function pathTo(tree, node) {
    const path = [];
    for (let at = node; at >= 0; at = tree.parent[at]) path.push(at);
    return path.reverse();
  }

  // How far down the stacks through a node go, and how far with frames of at least this width.
  function depthsBelow(tree, node, width) {
    const depths = { deepest: tree.depth[node], visible: tree.depth[node] };
    let first = node;
    let end = node + 1;
    while (true) {
      const below = tree.firstChild[first];
      const belowEnd = tree.firstChild[end - 1] + tree.childCount[end - 1];
      if (belowEnd <= below) return depths;
      first = below;
      end = belowEnd;
      depths.deepest += 1;
      const seen = depths.visible === depths.deepest - 1
        && tree.width.subarray(first, end).some((wide) => wide >= width);
      if (seen) depths.visible += 1;
    }
  }

  // Bytes are counted once per stack, however many of its frames match.
  function match(tree, frameMatches) {
    const nodes = new Uint8Array(tree.size);
    const covered = new Uint8Array(tree.size);
    let bytes = 0;
    let count = 0;
    for (let node = 1; node < tree.size; node += 1) {
      const above = tree.parent[node];
      nodes[node] = frameMatches[tree.frame[node]];
      covered[node] = covered[above] | nodes[above];
      count += nodes[node];
      if (nodes[node] && !covered[node]) bytes += tree.bytes[node];
    }
    return { nodes, bytes, count };
  }

  memdeep.flameLayout = {
    ROOT, layOut, rowCount, firstEndingAfter, nodeAt, pathTo, depthsBelow, match,
  };
})(globalThis.memdeep = globalThis.memdeep || {});
