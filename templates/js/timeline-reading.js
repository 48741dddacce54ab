// What the run measured at a moment, and which phase that moment belongs to. Knows no pixels.
(function (memdeep) {
  'use strict';

  const CLOSE = 0.002; // of the width of the drawing

  // The index of the last of the ascending `values` that is at most `wanted`; -1 if there is none.
  function lastAtMost(values, wanted) {
    let low = -1;
    let high = values.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (values[middle] <= wanted) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  function nearest(times, time) {
    const before = lastAtMost(times, time);
    if (before < 0) return 0;
    if (before === times.length - 1) return before;
    return time - times[before] <= times[before + 1] - time ? before : before + 1;
  }

  // The last reading of a curve at or before a time; null outside of it.
  function readingAt(curve, column, time) {
    const place = lastAtMost(curve.t, time);
    if (place < 0 || time > curve.t.at(-1)) return null;
    return curve[column]?.[place] ?? null;
  }

  // `end` is the time at the right edge of the drawing.
  function create(core, end) {
    const { checkpoints, curves, phases } = core;

    const isTraced = (time) => core.traced.some(([start, end]) => checkpoints.time[start] <= time && time <= checkpoints.time[end]);

    const total = (sizes) => sizes?.reduce((sum, size) => sum + size, 0) ?? null;

    // The PSS of each layer of processes at a time, the program's first; null where there are none.
    function layersAt(time) {
      const place = core.layers ? lastAtMost(core.layers.t, time) : -1;
      return place < 0 ? null : core.layers.b.map((sizes) => sizes[place]);
    }

    // The last readings: each curve is drawn to stay there until the next one.
    function atTime(time) {
      return {
        time, rss: readingAt(curves.rss, 'b', time), file: readingAt(curves.rss, 'f', time), layers: layersAt(time),
        heap: isTraced(time) ? readingAt(curves.heap, 'b', time) : null,
        checkpoint: lastAtMost(checkpoints.time, time), isExact: false,
      };
    }

    function atCheckpoint(index) {
      return {
        time: checkpoints.time[index], rss: checkpoints.rss[index], file: checkpoints.file?.[index] ?? null,
        layers: layersAt(checkpoints.time[index]),
        heap: checkpoints.heap[index], checkpoint: index, isExact: true,
      };
    }

    function covers(phase, time) {
      const edges = phases.stretches[phase];
      for (let place = 0; place < edges.length; place += 2) {
        if (checkpoints.time[edges[place]] <= time && time <= checkpoints.time[edges[place + 1]]) return true;
      }
      return false;
    }

    // The innermost phase at a time; among equals the one that begins last. -1: none.
    function phaseAt(time) {
      let found = -1;
      for (let phase = 0; phase < phases.name.length; phase += 1) {
        if (phases.members[phase] > 0) continue; // a pattern is no part of the run of its own
        const isDeeper = found < 0 || phases.depth[phase] >= phases.depth[found];
        if (isDeeper && covers(phase, time)) found = phase;
      }
      return found;
    }

    // The innermost phase with the highest peak; -1 where none is known.
    function peakPhase() {
      let found = -1;
      for (let phase = 0; phase < phases.name.length; phase += 1) {
        if (phases.peak[phase] === null || phases.members[phase] > 0) continue;
        const higher = found < 0 ? 1 : phases.peak[phase] - phases.peak[found];
        if (higher > 0 || (higher === 0 && phases.depth[phase] >= phases.depth[found])) found = phase;
      }
      return found;
    }

    // The readings when the heap (its curve has the peaks of the phases), or without one the RSS, was
    // highest; null where nothing was measured.
    function atPeak() {
      const isHeap = curves.heap.t.length > 0;
      const summed = core.layers && { t: core.layers.t, b: core.layers.t.map((_, place) => total(core.layers.b.map((sizes) => sizes[place]))) };
      const resident = summed ?? curves.rss;
      const curve = isHeap ? curves.heap : resident;
      if (curve.t.length === 0) return null;
      const place = curve.b.reduce((most, value, one) => (value > curve.b[most] ? one : most), 0);
      return { ...atTime(curve.t[place]), [isHeap ? 'heap' : summed ? 'pss' : 'rss']: curve.b[place] };
    }

    // The checkpoints that a drag from one time to another means, at least one segment apart.
    function between(time, other) {
      const from = nearest(checkpoints.time, Math.min(time, other));
      const to = nearest(checkpoints.time, Math.max(time, other));
      if (from < to) return { from, to };
      const last = checkpoints.time.length - 1;
      const wantsBefore = checkpoints.time[from] > (time + other) / 2;
      if ((wantsBefore && from > 0) || from === last) return { from: from - 1, to: from };
      return { from, to: from + 1 };
    }

    // Repeats that lie close together are one: their shades are not to add up.
    function stretchesOf(scope) {
      if (scope === null) return [];
      if (scope.kind === 'between') return [[scope.from, scope.to]];
      const edges = phases.stretches[scope.phase];
      const stretches = [];
      for (let place = 0; place < edges.length; place += 2) {
        const last = stretches.at(-1);
        const isClose = last && checkpoints.time[edges[place]] - checkpoints.time[last[1]] < end * CLOSE;
        if (isClose) last[1] = edges[place + 1];
        else stretches.push([edges[place], edges[place + 1]]);
      }
      return stretches;
    }

    const difference = (values, from, to) =>
      (values?.[from] == null || values?.[to] == null ? null : values[to] - values[from]);

    function growth({ from, to }) {
      const [before, after] = [from, to].map((place) => total(layersAt(checkpoints.time[place])));
      return {
        pss: before === null || after === null ? null : after - before,
        time: checkpoints.time[to] - checkpoints.time[from],
        rss: difference(checkpoints.rss, from, to),
        heap: difference(checkpoints.heap, from, to),
      };
    }

    // What the layer at a place is called.
    function layerName(place) {
      const { label, count, isRest } = core.layers;
      return label[place] || memdeep.words.say(isRest[place] ? 'timeline.others' : 'timeline.program', { n: count[place] });
    }

    return {
      end, layerName, total, atTime, atCheckpoint, phaseAt, peakPhase, atPeak, between, stretchesOf, growth,
      nearest: (time) => nearest(checkpoints.time, time),
      nameOf: (index) => memdeep.names.checkpoint(core, index),
      timeOf: (index) => checkpoints.time[index],
      count: checkpoints.time.length,
      phaseName: (phase) => memdeep.names.phase(core, phase),
    };
  }

  memdeep.timelineReading = { create, lastAtMost };
})(globalThis.memdeep = globalThis.memdeep || {});
