// The holders of a snapshot as a tree: who alone keeps what alive. With another snapshot, what is new
// since then. Pure.
(function (memdeep) {
  'use strict';

  const ROOT = 0;
  const AS_EXPECTED = -1; // a path: that of the row above it, and the own label
  const FOLDED_SHARE = 1 / 500; // of all bytes: what is less is folded, until it is asked for
  const FOLDED_CHANGE = 1 / 200; // what holds so much has its own row (native/holder_rows.hpp): less may be merged at times
  const POINT_SHARE = 0.5; // of a holder's bytes: an object that has so many of them is the better answer
  const LEAST_CHILDREN = 10; // however small they are
  const MOST_CHILDREN = 50;
  const KINDS = { root: 'root', row: 'row', garbage: 'garbage', cOnly: 'cOnly', type: 'type', unlisted: 'unlisted' };
  const UNLISTED = '\0…'; // ends the key of what is not listed beneath another
  const NOTHING = { retained: 0, own: 0, objects: 0 };

  // The rows of a block, each with its path.
  function decode({ parent, type, label, path, own, retained, objects, single, others, also, lines, strings }) {
    const paths = [];
    return parent.map((above, place) => {
      paths.push(path[place] === AS_EXPECTED ? paths[above] + strings[label[place]] : strings[path[place]]);
      return {
        place,
        parent: above,
        type: strings[type[place]],
        label: strings[label[place]],
        path: paths[place],
        own: own[place],
        retained: retained[place],
        objects: objects[place],
        isSingle: single[place] === 1,
        others: others[place],
        also: strings[also[place]],
        lines: lines[place] ?? [],
      };
    });
  }

  // A snapshot of the outline with its rows: { bytes, rows, garbage, cOnly }.
  function side(outline, place, rows) {
    return {
      bytes: outline.bytes[place],
      objects: outline.objects[place],
      rows,
      garbage: { bytes: outline.garbage[place], types: outline.garbageTypes[place] },
      cOnly: { bytes: outline.cOnly[place], types: outline.cOnlyTypes[place] },
    };
  }

  // Nodes by key: the same object, or the same group of objects, has the same key in each snapshot.
  function nodesOf({ bytes, objects, rows, garbage, cOnly }) {
    const nodes = new Map();
    const add = (key, above, fields) => {
      let unique = key;
      for (let n = 2; nodes.has(unique); n += 1) unique = key + '\0' + n;
      nodes.set(unique, { key: unique, above, row: null, isSingle: false, type: '', ...fields });
      return unique;
    };
    const root = add('', null, { kind: KINDS.root, retained: bytes, own: 0, objects });
    const keys = [];
    for (const row of rows) {
      const above = row.parent < 0 ? root : keys[row.parent];
      const single = row.isSingle && row.path !== '';
      const key = single ? row.path + '\0' + row.type : above + '\0*' + row.type;
      keys.push(add(key, above, {
        kind: KINDS.row, row, type: row.type, isSingle: single, retained: row.retained, own: row.own, objects: row.objects,
      }));
    }
    addUnlisted(nodes, add, FOLDED_SHARE * bytes);
    for (const [kind, { bytes: held, types }] of [[KINDS.garbage, garbage], [KINDS.cOnly, cOnly]]) {
      if (held === 0) continue;
      const count = types.reduce((sum, [, , n]) => sum + n, 0);
      const above = add('\0' + kind, root, { kind, retained: held, own: 0, objects: count });
      for (const [type, size, n] of types) {
        if (size > 0) add('\0' + kind + '\0' + type, above, { kind: KINDS.type, type, retained: size, own: size, objects: n });
      }
    }
    return nodes;
  }

  // What a row keeps alive beside itself and the rows beneath it: of all rows only the largest are known.
  function addUnlisted(nodes, add, least) {
    const left = new Map([...nodes.values()].map((node) => [node.key, node.retained - node.own]));
    for (const node of nodes.values()) if (node.above !== null) left.set(node.above, left.get(node.above) - node.retained);
    for (const [key, bytes] of left) {
      if (key !== '' && bytes >= least) add(key + UNLISTED, key, { kind: KINDS.unlisted, retained: bytes, own: 0, objects: 0 });
    }
  }

  // Each node with what it held before; what is gone hangs where it hung.
  function merged(now, before) {
    const nodes = new Map();
    // Where not all are listed, one that is not may have been there, or be there still.
    const isWhole = (side, node) => !side.has(node.above + UNLISTED);
    for (const [key, node] of now) {
      const isNew = before !== null && node.isSingle && !before.has(key) && isWhole(before, node);
      nodes.set(key, { ...node, was: before?.get(key) ?? NOTHING, isGone: false, isNew });
    }
    for (const [key, node] of before ?? []) {
      if (nodes.has(key)) continue;
      nodes.set(key, { ...node, ...NOTHING, was: node, isGone: true, isNew: false, isMissed: node.isSingle && isWhole(now, node) });
    }
    return nodes;
  }

  // Those that match, and all above them.
  function kept(nodes, matches) {
    if (matches === null) return nodes;
    const found = new Set();
    for (const [key, node] of nodes) {
      node.isMatch = node.kind !== KINDS.root && matches(textOf(node));
      for (let at = node.isMatch ? key : null; at !== null && !found.has(at); at = nodes.get(at)?.above ?? null) found.add(at);
    }
    return new Map([...nodes].filter(([key]) => found.has(key) || key === ''));
  }

  const textOf = ({ row, type }) => (row === null ? type : row.path + '\n' + type);

  // Lays out what `side` made, compared with `before` if that is not null; of those `matches(text)`
  // keeps, if it is not null. Children lie side by side, the largest first.
  function build(now, before = null, matches = null) {
    const isCompared = before !== null;
    const nodes = kept(merged(nodesOf(now), isCompared ? nodesOf(before) : null), matches);
    const change = (node) => node.retained - node.was.retained;
    const weight = isCompared ? change : (node) => node.retained;
    const children = new Map([...nodes.keys()].map((key) => [key, []]));
    for (const node of nodes.values()) if (node.above !== null) (children.get(node.above) ?? children.get('')).push(node);
    const whole = Math.max(now.bytes, before?.bytes ?? 0, 1);
    const tree = { items: [], parent: [], firstChild: [], childCount: [], width: [], told: [], share: [], isCompared, whole };
    const least = (isCompared ? FOLDED_CHANGE : FOLDED_SHARE) * whole;
    const place = (node, parent) => {
      tree.items.push(node);
      tree.parent.push(parent);
      tree.share.push(weight(node) / whole);
    };
    place(nodes.get(''), -1);
    for (let at = ROOT; at < tree.items.length; at += 1) {
      const below = children.get(tree.items[at].key).sort((a, b) => weight(b) - weight(a) || (a.key < b.key ? -1 : 1));
      const large = below.filter((node) => Math.abs(weight(node)) >= least);
      const small = below.filter((node) => Math.abs(weight(node)) < least);
      const told = Math.max(large.length, Math.min(LEAST_CHILDREN, below.filter((node) => weight(node) !== 0).length));
      const isFolded = matches === null && below.length - told > 1;
      tree.firstChild.push(tree.items.length);
      tree.childCount.push(below.length);
      // What shrank comes last: what is small lies before it, and is folded behind it.
      const bySize = (a, b) => Math.abs(weight(b)) - Math.abs(weight(a));
      const order = isFolded ? [...large, ...small.sort(bySize)] : below;
      tree.told.push(Math.min(MOST_CHILDREN, isFolded ? told : below.length));
      for (const node of order) place(node, at);
    }
    const sum = tree.items.slice(1, 1 + tree.childCount[ROOT]).reduce((total, node) => total + Math.abs(weight(node)), 0);
    tree.width = tree.items.map((node, at) => (at === ROOT ? sum : Math.max(0, weight(node))));
    return tree;
  }

  // The node of a row, or -1.
  const nodeOf = (tree, row) => tree.items.findIndex((node) => !node.isGone && node.row?.place === row);

  // The object at which most of the bytes come together: what to look at first.
  function pointOf({ items, childCount, firstChild, width }) {
    let at = ROOT;
    while (childCount[at] > 0) {
      const { [at]: next } = firstChild;
      const isMost = at === ROOT || width[next] >= POINT_SHARE * width[at];
      if (!isMost || !items[next].isSingle) break;
      at = next;
    }
    return at;
  }

  // The children left out of a row of the table, together.
  function restOf(tree, parent) {
    const from = tree.firstChild[parent] + memdeep.treeRows.toldOf(tree, parent);
    const rest = tree.items.slice(from, tree.firstChild[parent] + tree.childCount[parent]);
    const sum = (size) => rest.reduce((total, node) => total + size(node), 0);
    return { retained: sum((node) => node.retained), was: { retained: sum((node) => node.was.retained) } };
  }

  // A path as an expression: frames have their locals by name.
  function expression(path) {
    return path.replace(/(\.\w*frame)\s+\S+\(\)( at \S+)? local ('(?:[^'\\]|\\.)*')/g, '$1.f_locals[$3]');
  }

  memdeep.holderTree = { KINDS, ROOT, decode, side, build, nodeOf, pointOf, restOf, expression };
})(globalThis.memdeep = globalThis.memdeep || {});
