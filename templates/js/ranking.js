// Who is charged: the line, function or module of each stack, and the sums by each of them. Pure.
(function (memdeep) {
  'use strict';

  const { NATIVE, baseName } = memdeep.payload;
  const PACKAGE = /[\\/](?:site|dist)-packages[\\/]([^\\/]+)/;
  const STDLIB = /[\\/]lib(?:64)?[\\/]python3(?:\.\d+)?[\\/]([^\\/]+)/;

  // The line to charge for what each node allocated: the innermost frame of the user's own code, else
  // of the tool that was run, of a library, of the standard library, of native code. Origins are
  // numbered in this order.
  function chargedFrames({ nodes, frames }) {
    const charged = new Int32Array(nodes.parent.length);
    nodes.frame.forEach((frame, node) => {
      const above = nodes.parent[node];
      const isBetter = above >= 0 && frames.origin[charged[above]] < frames.origin[frame];
      charged[node] = isBetter ? charged[above] : frame;
    });
    return charged;
  }

  // A file of the program, a package, or a module of the standard library.
  function moduleOf(path, functionName) {
    const found = PACKAGE.exec(path) ?? STDLIB.exec(path);
    if (found) return found[1].replace(/\.(py|pyx|so|abi3.*|cpython.*)$/, '');
    return path || functionName;
  }

  const KEYS = {
    lines: (frames, frame) => frames.path(frame) || frames.functionName(frame),
    functions: (frames, frame) => frames.file(frame) + '\n' + frames.functionName(frame),
    modules: (frames, frame) => moduleOf(frames.file(frame), frames.functionName(frame)),
  };

  // For each frame the number of its group; `kind` is 'lines', 'functions' or 'modules'.
  function groupsOf(frames, kind) {
    const numbers = new Map();
    return Int32Array.from({ length: frames.count }, (_, frame) => {
      const key = KEYS[kind](frames, frame);
      if (!numbers.has(key)) numbers.set(key, numbers.size);
      return numbers.get(key);
    });
  }

  // Bytes of each node with its callees.
  function subtotals(parent, bytes) {
    const sums = bytes.slice();
    for (let node = parent.length - 1; node >= 0; node -= 1) {
      if (parent[node] >= 0) sums[parent[node]] += sums[node];
    }
    return sums;
  }

  // The flags of each node that holds bytes, with its callees.
  function askedBeneath({ parent, asked }, bytes) {
    const flags = new Uint8Array(parent.length);
    for (let node = parent.length - 1; asked && node >= 0; node -= 1) {
      if (bytes[node] !== 0) flags[node] |= asked[node];
      if (parent[node] >= 0) flags[parent[node]] |= flags[node];
    }
    return flags;
  }

  function hasAbove(group, { parent, frame }, node) {
    const own = group[frame[node]];
    for (let at = parent[node]; at >= 0; at = parent[at]) if (group[frame[at]] === own) return true;
    return false;
  }

  // Rows { frame, group, own, total, count, asked }: `own` (of `count` allocations) is charged to the group,
  // `total` was allocated at or beneath it, by the allocators of the flags `asked`. A frame stands for its group. Stacks folded into their callers may
  // be missing from a total, never from what is its own.
  function rank({ core, frames }, byLine, byNode, kind) {
    const group = groupsOf(frames, kind);
    const rows = new Map();
    const rowOf = (frame) => {
      if (!rows.has(group[frame])) rows.set(group[frame], { frame, group: group[frame], own: 0, total: 0, count: 0, asked: 0 });
      return rows.get(group[frame]);
    };
    core.lines.forEach((frame, line) => {
      if (byLine.bytes[line] === 0) return;
      const row = rowOf(frame);
      row.own += byLine.bytes[line];
      row.count += byLine.count[line];
    });
    const { parent, frame } = core.nodes;
    const sums = subtotals(parent, byNode.bytes);
    const asked = askedBeneath(core.nodes, byNode.bytes);
    for (let node = 0; node < parent.length; node += 1) {
      const isWorthARow = core.frames.origin[frame[node]] < NATIVE || rows.has(group[frame[node]]);
      if ((sums[node] === 0 && asked[node] === 0) || !isWorthARow || hasAbove(group, core.nodes, node)) continue;
      const row = rowOf(frame[node]);
      row.total += sums[node];
      row.asked |= asked[node];
    }
    for (const row of rows.values()) if (Math.abs(row.own) > Math.abs(row.total)) row.total = row.own;
    return [...rows.values()].filter((row) => row.own !== 0 || row.total !== 0);
  }

  // What to call a row: its name, and what tells it from others of that name.
  const NAMES = {
    lines: (frames, frame) => [frames.location(frame), frames.source(frame) ?? frames.functionName(frame)],
    functions: (frames, frame) => [frames.functionName(frame), baseName(frames.file(frame))],
    modules(frames, frame) {
      const name = moduleOf(frames.file(frame), frames.functionName(frame));
      return name === frames.file(frame) ? [baseName(name), name] : [name, ''];
    },
  };

  memdeep.ranking = { chargedFrames, groupsOf, moduleOf, rank, NAMES };
})(globalThis.memdeep = globalThis.memdeep || {});
