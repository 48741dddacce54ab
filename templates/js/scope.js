// What a metric says of a stretch of the run, and how two stretches differ. Pure.
//
// A scope is { kind: 'phase', phase } or { kind: 'between', from, to }, checkpoints. Bytes are alive
// at the checkpoints born <= c < died; died is -1 for what was never freed. `blocks` holds decoded
// blocks of the page by name. A sum has what each node, or line, itself holds: no callees.
(function (memdeep) {
  'use strict';

  const METRICS = ['retained', 'peak', 'freed', 'allocated', 'churn', 'growth'];
  const GROSS = ['allocated', 'churn'];
  const NEVER = -1;
  const LEVELS = {
    node: { size: (core) => core.nodes.parent.length, lives: 'lifetimes', part: (block) => block },
    line: { size: (core) => core.lines.length, lives: 'lines', part: (block) => block.lines },
  };

  // Start and end of each piece of a scope, as checkpoints: [start, end, start, end ...].
  function stretchesOf(core, scope) {
    return scope.kind === 'phase' ? core.phases.stretches[scope.phase] : [scope.from, scope.to];
  }

  // For each checkpoint the number of the stretch with start < checkpoint <= end, or -1.
  function stretchAtCheckpoint(core, scope) {
    const edges = stretchesOf(core, scope);
    const at = new Int32Array(core.checkpoints.time.length).fill(-1);
    for (let stretch = 0; 2 * stretch < edges.length; stretch += 1) {
      at.fill(stretch, edges[2 * stretch] + 1, edges[2 * stretch + 1] + 1);
    }
    return at;
  }

  function isTraced(core, scope) {
    if (scope.kind === 'phase') return core.phases.traced[scope.phase];
    return core.traced.some(([start, end]) => start <= scope.from && scope.to <= end);
  }

  const wholeOf = (core) => ({ kind: 'between', from: 0, to: core.checkpoints.time.length - 1 });

  const isWhole = (core, scope) => scope.kind === 'between' && scope.from === 0 && scope.to === core.checkpoints.time.length - 1;

  // The phase with the highest peak: that of the run, unless the heap was higher outside of all
  // phases. -1 where it is not known.
  function peakOfRun({ phases, checkpoints }) {
    const high = phases.peak.reduce((most, peak, phase) => (
      peak !== null && phases.members[phase] === 0 && (most < 0 || peak > phases.peak[most]) ? phase : most), -1);
    return high >= 0 && (checkpoints.heap ?? []).every((bytes) => bytes === null || bytes <= phases.peak[high]) ? high : -1;
  }

  // The metrics that can be asked for: only a phase and the whole run have a peak, only some runs
  // tell what was gross.
  function metricsOf(core, scope, versus = null) {
    const havePeaks = [scope, versus].every((one) => one === null || one.kind === 'phase' || (isWhole(core, one) && peakOfRun(core) >= 0));
    return METRICS.filter((metric) => (metric !== 'peak' || havePeaks)
      && (core.blocks.transients || !GROSS.includes(metric)));
  }

  // Why nothing can be said, as a key of the words; null where something can.
  function whyUnknown(core, scope, metric) {
    if (!isTraced(core, scope)) return 'flame.not_traced';
    if (metric !== 'peak' || core.blocks.peaks.includes(peakOf(core, scope))) return null;
    return 'flame.not_in_page';
  }

  // The phase whose peak is that of a scope: of a pattern that of the highest among its members.
  const peakOf = (core, scope) => (scope.kind === 'phase' ? core.phases.peakOf[scope.phase] : peakOfRun(core));

  // The names of the blocks that `sums` reads.
  function blocksFor(core, scope, metric, level) {
    if (metric === 'peak') return ['peak-' + peakOf(core, scope)];
    return GROSS.includes(metric) ? [LEVELS[level].lives, 'transients'] : [LEVELS[level].lives];
  }

  // How often (1, 0 or -1) bytes that lived from `born` to `died` count in a metric.
  function counterOf(core, scope, metric) {
    const at = stretchAtCheckpoint(core, scope);
    const edges = stretchesOf(core, scope);
    const outlives = (born, died) => died === NEVER || died > edges[2 * at[born] + 1];
    const retained = (born, died) => Number(at[born] >= 0 && outlives(born, died));
    const freed = (born, died) => Number(died !== NEVER && at[died] >= 0 && born <= edges[2 * at[died]]);
    return {
      retained,
      freed,
      allocated: (born) => Number(at[born] >= 0),
      churn: (born, died) => Number(at[born] >= 0 && !outlives(born, died)),
      // Alive at the end less alive at the start, over all stretches.
      growth: (born, died) => retained(born, died) - freed(born, died),
    }[metric];
  }

  function emptySum(size) {
    return { bytes: new Float64Array(size), count: new Float64Array(size), total: 0, allocations: 0 };
  }

  function add(sum, place, bytes, count) {
    sum.bytes[place] += bytes;
    sum.count[place] += count;
    sum.total += bytes;
    sum.allocations += count;
  }

  // Bytes and allocations of a metric in a scope by `level`: 'node' or 'line'.
  function sums(blocks, scope, metric, level) {
    const { core } = blocks;
    const { size, lives, part } = LEVELS[level];
    const sum = emptySum(size(core));
    if (whyUnknown(core, scope, metric) !== null) return sum;
    if (metric === 'peak') {
      const held = part(blocks['peak-' + peakOf(core, scope)]);
      held[level].forEach((place, row) => add(sum, place, held.bytes[row], held.count[row]));
      return sum;
    }
    const times = counterOf(core, scope, metric);
    const { [level]: place, born, died, bytes, count } = blocks[lives];
    for (let row = 0; row < born.length; row += 1) {
      const sign = times(born[row], died[row]);
      if (sign !== 0) add(sum, place[row], sign * bytes[row], sign * count[row]);
    }
    if (GROSS.includes(metric)) addTransients(sum, part(blocks.transients), stretchAtCheckpoint(core, scope), level);
    return sum;
  }

  function addTransients(sum, gone, at, level) {
    gone.segment.forEach((segment, row) => {
      if (at[segment] >= 0) add(sum, gone[level][row], gone.bytes[row], gone.count[row]);
    });
  }

  // `one` less `other`, place by place.
  function difference(one, other) {
    return {
      bytes: one.bytes.map((bytes, place) => bytes - other.bytes[place]),
      count: one.count.map((count, place) => count - other.count[place]),
      total: one.total - other.total,
      allocations: one.allocations - other.allocations,
    };
  }

  // What is looked at: the sums of the scope, less those of the one it is compared with. They are
  // `signed` where they tell growth from shrinkage.
  function picture(blocks, { scope, versus, metric }, level) {
    const own = sums(blocks, scope, metric, level);
    const sum = versus === null ? own : difference(own, sums(blocks, versus, metric, level));
    return { ...sum, signed: versus !== null || metric === 'growth' };
  }

  // The total of a metric; null where it is not known. The height of a peak is known without its stacks.
  function total(blocks, scope, metric) {
    const { core } = blocks;
    if (!isTraced(core, scope)) return null;
    return metric === 'peak' ? core.phases.peak[scope.phase ?? peakOfRun(core)] ?? null : sums(blocks, scope, metric, 'node').total;
  }

  // The innermost phase that the segment ending at a checkpoint belongs to, or -1.
  function phaseAt(core, checkpoint) {
    const { stretches, depth, members } = core.phases;
    let found = -1;
    stretches.forEach((edges, phase) => {
      if (members[phase] > 0) return;
      for (let i = 0; i < edges.length; i += 2) {
        const isWithin = edges[i] < checkpoint && checkpoint <= edges[i + 1];
        if (isWithin && (found < 0 || depth[phase] >= depth[found])) found = phase;
      }
    });
    return found;
  }

  memdeep.scope = {
    METRICS, GROSS, NEVER, wholeOf, isWhole, stretchesOf, stretchAtCheckpoint, isTraced, metricsOf, whyUnknown, peakOf, blocksFor,
    counterOf, sums, difference, picture, total, phaseAt,
  };
})(globalThis.memdeep = globalThis.memdeep || {});
