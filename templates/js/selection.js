// What is known of a selected frame or row: its stacks, its bytes, and how long they were alive. Pure.
//
// A selection is { frames }, the path of a frame in the flame graph (empty: all of it), or
// { kind, frame }, a row of a table: 'lines', 'functions' or 'modules' and a frame of it.
(function (memdeep) {
  'use strict';

  const { NEVER, GROSS, counterOf, isTraced, phaseAt } = memdeep.scope;
  const { chargedFrames, groupsOf } = memdeep.ranking;

  // Bytes alive at each checkpoint of the rows of a table for which `flags[place]` is set.
  function aliveOverTime(core, { born, died, bytes }, places, flags) {
    const size = core.checkpoints.time.length;
    const changes = new Float64Array(size + 1);
    for (let row = 0; row < born.length; row += 1) {
      if (!flags[places[row]]) continue;
      changes[born[row]] += bytes[row];
      if (died[row] !== NEVER) changes[died[row]] -= bytes[row];
    }
    let alive = 0;
    return changes.subarray(0, size).map((change) => (alive += change));
  }

  // The first and the last phase (-1: outside of all) in which there were bytes alive at a checkpoint,
  // and whether they still were at the end; null where there never were.
  function lifeOf(core, alive) {
    const first = alive.findIndex((bytes) => bytes > 0);
    if (first < 0) return null;
    const last = alive.findLastIndex((bytes) => bytes > 0);
    const isAtEnd = last === alive.length - 1;
    return { first: phaseAt(core, first), last: phaseAt(core, isAtEnd ? last : last + 1), isAtEnd };
  }

  const LIVES = {
    node: ({ lifetimes, transients }) => [lifetimes, transients],
    line: ({ lines, transients }) => [lines, transients?.lines],
  };

  // What became of the bytes that were allocated in a scope: freed `within` it (null where that is
  // not known), `later`, or `never`; `unknown` where the tracing had stopped, or paused. `flags` are
  // of `level`, 'node' or 'line'.
  function fateOf(blocks, scope, level, flags) {
    const [lives, gone] = LIVES[level](blocks);
    const retained = counterOf(blocks.core, scope, 'retained');
    const churn = counterOf(blocks.core, scope, 'churn');
    const fate = { within: gone ? 0 : null, later: 0, never: 0, unknown: 0 };
    const last = blocks.core.checkpoints.time.length - 1;
    const isSeen = (died) => isTraced(blocks.core, { from: (died === NEVER ? last : died) - 1, to: died === NEVER ? last : died });
    const outcome = (died) => (!isSeen(died) ? 'unknown' : died === NEVER ? 'never' : 'later');
    lives[level].forEach((place, row) => {
      const [born, died, bytes] = [lives.born[row], lives.died[row], lives.bytes[row]];
      if (!flags[place]) return;
      if (retained(born, died)) fate[outcome(died)] += bytes;
      else if (gone && churn(born, died)) fate.within += bytes;
    });
    gone?.[level].forEach((place, row) => {
      const segment = gone.segment[row];
      if (flags[place] && churn(segment, segment)) fate.within += gone.bytes[row];
    });
    return fate;
  }

  // The segments in which bytes were allocated that count in a metric.
  function segmentsOf({ lifetimes, transients }, times, flags, metric) {
    const found = new Set();
    const { node, born, died } = lifetimes;
    for (let row = 0; row < node.length; row += 1) {
      if (flags[node[row]] && times(born[row], died[row]) > 0) found.add(born[row]);
    }
    if (GROSS.includes(metric)) {
      transients.node.forEach((place, row) => {
        const { [row]: segment } = transients.segment;
        if (flags[place] && times(segment, segment) > 0) found.add(segment);
      });
    }
    return found;
  }

  // The largest single allocation that counts, its stack and the segment it was made in:
  // { bytes, isExact, node, born }, or null. Of each segment only the
  // largest ones are listed, so where they are all larger than what was found, it is a lower bound.
  function largestOf(blocks, { scope, versus, metric }, flags) {
    const { core, largest } = blocks;
    if (!largest || metric === 'peak' || versus !== null) return null;
    const times = counterOf(core, scope, metric === 'growth' ? 'retained' : metric);
    const least = new Map();
    let [bytes, found] = [0, -1];
    largest.node.forEach((node, row) => {
      const { [row]: size } = largest.bytes;
      const segment = largest.born[row];
      least.set(segment, Math.min(size, least.get(segment) ?? Infinity));
      if (flags[node] && times(segment, largest.died[row]) > 0 && size > bytes) [bytes, found] = [size, row];
    });
    if (bytes === 0) return null;
    const segments = [...segmentsOf(blocks, times, flags, metric)];
    return {
      bytes,
      isExact: segments.every((segment) => (least.get(segment) ?? 0) <= bytes),
      node: largest.node[found],
      born: largest.born[found],
    };
  }

  // Stacks that hold something, the one that holds the most first.
  function stacksOf(sum, flags) {
    const stacks = [];
    for (let node = 0; node < flags.length; node += 1) if (flags[node] && sum.bytes[node] !== 0) stacks.push(node);
    return stacks.sort((a, b) => Math.abs(sum.bytes[b]) - Math.abs(sum.bytes[a]) || a - b);
  }

  function sumOver(sum, flags) {
    const found = { bytes: 0, count: 0 };
    for (let place = 0; place < flags.length; place += 1) {
      if (!flags[place]) continue;
      found.bytes += sum.bytes[place];
      found.count += sum.count[place];
    }
    return found;
  }

  // Of all stacks together, the line that is charged is the one to look at.
  function ofFrames({ core, blocks }, sums, path, options) {
    const flags = memdeep.threadLimit.within(core, memdeep.flameTree.nodesThrough(core, path, options), options.thread);
    const charged = path.length === 0 ? chargedFrames(core) : null;
    return {
      flags,
      sum: sumOver(sums.node, flags),
      alive: aliveOverTime(core, blocks.lifetimes, blocks.lifetimes.node, flags),
      fate: (scope) => fateOf(blocks, scope, 'node', flags),
      isHere: (frame, node) => frame === (charged === null ? path.at(-1) : charged[node]),
    };
  }

  // Figures of a row are exact: they come from the lines, which are never folded; those of one
  // thread come from its stacks. A row that is charged with nothing has the stacks that lead through it.
  function ofRow({ core, frames, blocks }, sums, { kind, frame }, { thread }) {
    const group = groupsOf(frames, kind);
    const isIn = (one) => Number(group[one] === group[frame]);
    const lines = Uint8Array.from(core.lines, isIn);
    const own = sumOver(sums.line, lines);
    const charged = memdeep.threadLimit.within(core, Uint8Array.from(chargedFrames(core), isIn), thread);
    if (own.bytes !== 0 && thread === null) {
      return {
        flags: charged,
        sum: own,
        alive: aliveOverTime(core, blocks.lines, blocks.lines.line, lines),
        fate: (scope) => fateOf(blocks, scope, 'line', lines),
        isHere: isIn,
      };
    }
    const flags = own.bytes !== 0 ? charged : stacksThrough(core, isIn, thread);
    return {
      flags,
      sum: sumOver(sums.node, flags),
      alive: aliveOverTime(core, blocks.lifetimes, blocks.lifetimes.node, flags),
      fate: (scope) => fateOf(blocks, scope, 'node', flags),
      isHere: isIn,
    };
  }

  function stacksThrough(core, isIn, thread) {
    const flags = Uint8Array.from(core.nodes.frame, isIn);
    core.nodes.parent.forEach((above, node) => { if (above >= 0 && flags[above]) flags[node] = 1; });
    return memdeep.threadLimit.within(core, flags, thread);
  }

  // `sums` = { node, line } are pictures (scope.js), `line` only needed for a row; `state` the store's.
  function describe(data, sums, selected, state) {
    const { flags, sum, alive, fate, isHere } = 'frames' in selected
      ? ofFrames(data, sums, selected.frames, state)
      : ofRow(data, sums, selected, state);
    const moved = (bytes) => bytes.reduce((total, one) => total + Math.abs(one), 0);
    const stacks = stacksOf(sums.node, flags);
    const whole = moved(sums.node.bytes);
    const part = sums.node.signed ? moved(stacks.map((node) => sums.node.bytes[node])) : sum.bytes;
    return {
      ...sum,
      signed: sums.node.signed,
      share: whole > 0 ? part / whole : null, // of what is signed, the part of all that changed
      mean: !sums.node.signed && sum.count > 0 ? sum.bytes / sum.count : null,
      largest: largestOf(data.blocks, state, flags),
      alive,
      life: lifeOf(data.core, alive),
      // Of all that was allocated in the scope, whatever the metric counts.
      fate: state.versus === null && isTraced(data.core, state.scope) ? fate(state.scope) : null,
      stacks,
      isHere, // (frame, node of the stack that it is in)
    };
  }

  // The frames of a node's stack, outermost first; its thread is none of them. `timesOf` tells how
  // many laps of a recursion each stands for.
  function stackOf({ nodes, frames }, node) {
    return pathOf({ nodes, frames }, node).map((at) => nodes.frame[at]);
  }

  function timesOf({ nodes, frames, repeats }, node) {
    const times = new Map(repeats.node.map((at, row) => [at, repeats.times[row]]));
    return pathOf({ nodes, frames }, node).map((at) => times.get(at) ?? 1);
  }

  function pathOf({ nodes, frames }, node) {
    const path = [];
    for (let at = node; at >= 0; at = nodes.parent[at]) {
      if (frames.origin[nodes.frame[at]] !== memdeep.payload.THREAD) path.push(at);
    }
    return path.reverse();
  }

  memdeep.selection = { describe, stackOf, timesOf, aliveOverTime, lifeOf, largestOf };
})(globalThis.memdeep = globalThis.memdeep || {});
