// From a tree to rectangles, in bytes from the left. Pure: knows no canvas, no pixels, no document.
//
// A laid-out tree is columnar and in breadth-first order: a row is the run rowStart[depth] up to
// rowStart[depth + 1], sorted by start, and the children of a node are one run as well, widest
// first. So hit tests, culling and "the rest is too narrow" are binary searches. All are integers.
(function (memdeep) {
  'use strict';

  const { ROOT } = memdeep.flameTree;

  // Children of each node, widest first: kids[start[n]] up to kids[start[n + 1]].
  function childrenOf({ parent, width }) {
    const size = parent.length;
    const start = new Int32Array(size + 1);
    for (let node = 1; node < size; node += 1) start[parent[node] + 1] += 1;
    for (let node = 0; node < size; node += 1) start[node + 1] += start[node];
    const next = start.slice();
    const kids = new Int32Array(start[size]);
    for (let node = 1; node < size; node += 1) if (width[node] > 0) kids[next[parent[node]]++] = node;
    for (let node = 0; node < size; node += 1) {
      if (next[node] - start[node] < 2) continue;
      kids.subarray(start[node], next[node]).sort((a, b) => width[b] - width[a] || a - b);
    }
    return { start, end: next, kids };
  }

  function emptyColumns(size, { signed, before }) {
    return {
      ...(before === undefined ? {} : { before: new Float64Array(size), after: new Float64Array(size) }),
      size, signed,
      frame: new Int32Array(size), times: new Int32Array(size), parent: new Int32Array(size), depth: new Int32Array(size),
      start: new Float64Array(size), width: new Float64Array(size), net: new Float64Array(size),
      count: new Float64Array(size), own: new Float64Array(size),
      firstChild: new Int32Array(size), childCount: new Int32Array(size), rowStart: [],
    };
  }

  function sizeOf({ width }) {
    return width.reduce((size, bytes, node) => size + (node === ROOT || bytes > 0 ? 1 : 0), 0);
  }

  function layOut(tree) {
    const { start, end, kids } = childrenOf(tree);
    const laid = emptyColumns(sizeOf(tree), tree);
    const source = new Int32Array(laid.size);
    const place = new Int32Array(tree.frame.length).fill(-1);
    const columns = ['frame', 'times', 'width', 'net', 'count', 'own', ...(tree.before === undefined ? [] : ['before', 'after'])];
    let placed = 0;
    function put(from, parent, at) {
      const node = placed;
      placed += 1;
      source[node] = from;
      place[from] = node;
      for (const column of columns) laid[column][node] = tree[column][from];
      laid.parent[node] = parent;
      laid.depth[node] = parent < 0 ? 0 : laid.depth[parent] + 1;
      laid.start[node] = at;
      if (laid.depth[node] === laid.rowStart.length) laid.rowStart.push(node);
    }
    put(ROOT, -1, 0);
    for (let node = 0; node < laid.size; node += 1) {
      let at = laid.start[node];
      laid.firstChild[node] = placed;
      for (let k = start[source[node]]; k < end[source[node]]; k += 1) {
        put(kids[k], node, at);
        at += tree.width[kids[k]];
      }
      laid.childCount[node] = placed - laid.firstChild[node];
    }
    laid.rowStart.push(laid.size);
    laid.owner = tree.owner.map((own) => (own < 0 ? -1 : place[own]));
    return laid;
  }

  // The laid-out tree for `sum`; options as in the store: native, threads, imports, invert.
  function build(core, sum, options) {
    return layOut(memdeep.flameTree.build(core, sum, options));
  }

  const rowCount = (tree) => tree.rowStart.length - 1;
  const endOf = (tree, node) => tree.start[node] + tree.width[node];

  // The first of the nodes low up to high that ends right of `at`; high if there is none.
  function firstEndingAfter(tree, low, high, at) {
    while (low < high) {
      const middle = (low + high) >> 1;
      if (endOf(tree, middle) > at) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  // The first of some siblings that is narrower than `narrowest`; high if there is none.
  function firstNarrower(tree, low, high, narrowest) {
    while (low < high) {
      const middle = (low + high) >> 1;
      if (tree.width[middle] < narrowest) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  function nodeAt(tree, depth, at) {
    if (depth < 0 || depth >= rowCount(tree)) return -1;
    const end = tree.rowStart[depth + 1];
    const node = firstEndingAfter(tree, tree.rowStart[depth], end, at);
    return node < end && tree.start[node] <= at ? node : -1;
  }

  // The children of a node that are too narrow, as one: { parent, first, end, start, width, count }.
  function smallerOf(tree, parent, narrowest) {
    const end = tree.firstChild[parent] + tree.childCount[parent];
    const first = firstNarrower(tree, tree.firstChild[parent], end, narrowest);
    if (first === end) return null;
    const start = tree.start[first];
    return { parent, first, end, start, width: endOf(tree, end - 1) - start, count: end - first };
  }

  // What can be seen at a place: a node, or the smaller ones of a node together; or null.
  function hit(tree, depth, at, narrowest) {
    const node = nodeAt(tree, depth, at);
    if (node < 0) return null;
    if (node === ROOT || tree.width[node] >= narrowest) return { node };
    const parent = tree.parent[node];
    const isSeen = parent === ROOT || tree.width[parent] >= narrowest;
    return isSeen ? { smaller: smallerOf(tree, parent, narrowest) } : null;
  }

  // Walks over what can be seen between two places, row by row, without making anything new:
  // onNode(node) for frames, onSmaller(parent, first, end) for the narrow ones of a parent.
  function createSweep() {
    let row = new Int32Array(4096);
    let next = new Int32Array(4096);
    let filled = 0;

    function push(node) {
      if (filled === next.length) {
        const larger = new Int32Array(2 * filled);
        larger.set(next);
        next = larger;
      }
      next[filled] = node;
      filled += 1;
    }

    function sweepChildren(tree, parent, view, onNode, onSmaller) {
      const end = tree.firstChild[parent] + tree.childCount[parent];
      let node = firstEndingAfter(tree, tree.firstChild[parent], end, view.x0);
      for (; node < end && tree.start[node] < view.x1; node += 1) {
        if (tree.width[node] < view.narrowest) {
          onSmaller(parent, firstNarrower(tree, tree.firstChild[parent], end, view.narrowest), end);
          return;
        }
        onNode(node);
        push(node);
      }
    }

    // `view` = { x0, x1, narrowest } in bytes. Returns the number of rows in which there is anything.
    return function sweep(tree, view, onNode, onSmaller) {
      filled = 0;
      onNode(ROOT);
      push(ROOT);
      let rows = 1;
      while (filled > 0) {
        const length = filled;
        [row, next] = [next, row];
        filled = 0;
        let any = false;
        for (let i = 0; i < length; i += 1) {
          any ||= tree.childCount[row[i]] > 0;
          sweepChildren(tree, row[i], view, onNode, onSmaller);
        }
        if (any) rows += 1;
      }
      return rows;
    };
  }

  // From the root to the node itself.
  function pathTo(tree, node) {
    const path = [];
    for (let at = node; at >= 0; at = tree.parent[at]) path.push(at);
    return path.reverse();
  }

  // The nodes whose frames match; their bytes count once for each stack, however many of them match.
  function match(tree, frameMatches) {
    const nodes = new Uint8Array(tree.size);
    const covered = new Uint8Array(tree.size);
    const found = { nodes, count: 0, width: 0, net: 0 };
    for (let node = 1; node < tree.size; node += 1) {
      const above = tree.parent[node];
      nodes[node] = frameMatches[tree.frame[node]];
      covered[node] = covered[above] | nodes[above];
      if (!nodes[node]) continue;
      found.count += 1;
      if (covered[node]) continue;
      found.width += tree.width[node];
      found.net += tree.net[node];
    }
    return found;
  }

  // For each node whether it is `node` or beneath it.
  function subtree(tree, node) {
    const within = new Uint8Array(tree.size);
    within[node] = 1;
    for (let at = node + 1; at < tree.size; at += 1) within[at] = within[tree.parent[at]];
    return within;
  }

  // The child that is `frame`; where there is none, one that is only beneath frames of `isPassable`.
  function childOf(tree, node, frame, isPassable) {
    let row = [node];
    while (row.length > 0) {
      const next = [];
      for (const above of row) {
        for (let k = 0; k < tree.childCount[above]; k += 1) {
          const child = tree.firstChild[above] + k;
          if (tree.frame[child] === frame) return child;
          if (isPassable(tree.frame[child])) next.push(child);
        }
      }
      row = next;
    }
    return -1;
  }

  // The node to which frames lead from the root; those that this tree does not show are passed over.
  function nodeOf(tree, frames, isPassable) {
    return frames.reduce((node, frame) => {
      const child = childOf(tree, node, frame, isPassable);
      return child < 0 ? node : child;
    }, ROOT);
  }

  const framesOf = (tree, node) => pathTo(tree, node).slice(1).map((at) => tree.frame[at]);

  memdeep.flameLayout = {
    ROOT, build, rowCount, endOf, nodeAt, hit, createSweep, pathTo, match, subtree, nodeOf, framesOf,
  };
})(globalThis.memdeep = globalThis.memdeep || {});
