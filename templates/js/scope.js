// What a stretch of the run kept, freed, allocated: sums by stack or by line. Pure.
//
// A scope is { kind: 'phase', phase } or { kind: 'between', from, to }, checkpoints. Tables hold
// what was alive: born <= c < died, died -1 for what was never freed.
(function (memdeep) {
  'use strict';

  const METRICS = ['retained', 'peak', 'freed', 'allocated', 'churn', 'growth'];
  const NEVER = -1;

  function stretchesOf(core, scope) {
    return scope.kind === 'phase' ? core.phases.stretches[scope.phase] : [scope.from, scope.to];
  }

  function isTraced(core, scope) {
    if (scope.kind === 'phase') return core.phases.traced[scope.phase];
    const { heap } = core.checkpoints;
    return heap.slice(scope.from, scope.to + 1).every((bytes) => bytes !== null);
  }

  function metricsOf(core, scope) {
    const gross = core.blocks.transients;
    const hasPeak = scope.kind === 'phase';
    return METRICS.filter((metric) => (metric !== 'peak' || hasPeak)
      && (gross || !['allocated', 'churn'].includes(metric)));
  }

  // For each checkpoint c the number of the stretch with start < c <= end, or -1.
  function stretchAtCheckpoint(stretches, checkpoints) {
    const at = new Int32Array(checkpoints + 1).fill(-1);
    for (let stretch = 0; 2 * stretch < stretches.length; stretch += 1) {
      at.fill(stretch, stretches[2 * stretch] + 1, stretches[2 * stretch + 1] + 1);
    }
    return at;
  }

  // Visits the rows of a table that a metric counts; those of `growth` with the sign of their change.
  const VISITS = {
    retained(table, stretches, at, visit) {
      eachBorn(table, at, (row, stretch) => {
        if (!diesBy(table, row, stretches[2 * stretch + 1])) visit(row, 1);
      });
    },
    freed(table, stretches, at, visit) {
      const { born, died } = table;
      for (let row = 0; row < died.length; row += 1) {
        const stretch = died[row] === NEVER ? -1 : at[died[row]];
        if (stretch >= 0 && born[row] <= stretches[2 * stretch]) visit(row, 1);
      }
    },
    allocated(table, stretches, at, visit) {
      eachBorn(table, at, (row) => visit(row, 1));
    },
    churn(table, stretches, at, visit) {
      eachBorn(table, at, (row, stretch) => {
        if (diesBy(table, row, stretches[2 * stretch + 1])) visit(row, 1);
      });
    },
    growth(table, stretches, at, visit) {
      VISITS.retained(table, stretches, at, visit);
      VISITS.freed(table, stretches, at, (row) => visit(row, -1));
    },
  };

  function eachBorn({ born }, at, visit) {
    for (let row = 0; row < born.length; row += 1) {
      if (at[born[row]] >= 0) visit(row, at[born[row]]);
    }
  }

  function diesBy({ died }, row, checkpoint) {
    return died[row] !== NEVER && died[row] <= checkpoint;
  }

  function emptySums(size) {
    return { bytes: new Float64Array(size), count: new Float64Array(size), total: 0, allocations: 0 };
  }

  function add(sums, key, bytes, count) {
    sums.bytes[key] += bytes;
    sums.count[key] += count;
    sums.total += bytes;
    sums.allocations += count;
  }

  // Bytes and allocations of a metric by `key`: 'node' or 'line'. `peak` is the block of the phase.
  function sumsBy(data, scope, metric, key, peak) {
    const { core } = data;
    const size = key === 'node' ? core.nodes.parent.length : core.lines.length;
    const sums = emptySums(size);
    if (metric === 'peak') {
      const table = key === 'node' ? peak : peak?.lines;
      table?.[key].forEach((place, row) => add(sums, place, table.bytes[row], table.count[row]));
      return sums;
    }
    if (!isTraced(core, scope)) return sums;
    const table = key === 'node' ? data.lifetimes : data.lines;
    const stretches = stretchesOf(core, scope);
    const at = stretchAtCheckpoint(stretches, core.checkpoints.time.length);
    VISITS[metric](table, stretches, at, (row, sign) => {
      add(sums, table[key][row], sign * table.bytes[row], sign * table.count[row]);
    });
    if (metric === 'allocated' || metric === 'churn') addTransients(sums, data.transients, at, key);
    return sums;
  }

  function addTransients(sums, transients, at, key) {
    const table = key === 'node' ? transients : transients?.lines;
    table?.segment.forEach((segment, row) => {
      if (at[segment] >= 0) add(sums, table[key][row], table.bytes[row], table.count[row]);
    });
  }

  function difference(sums, other) {
    const found = emptySums(sums.bytes.length);
    for (let key = 0; key < sums.bytes.length; key += 1) {
      add(found, key, sums.bytes[key] - other.bytes[key], sums.count[key] - other.count[key]);
    }
    return found;
  }

  // Bytes alive at each checkpoint of the rows for which `isWanted(key)`.
  function aliveOverTime(table, key, isWanted, checkpoints) {
    const changes = new Float64Array(checkpoints + 1);
    for (let row = 0; row < table.born.length; row += 1) {
      if (!isWanted(table[key][row])) continue;
      changes[table.born[row]] += table.bytes[row];
      if (table.died[row] !== NEVER) changes[table.died[row]] -= table.bytes[row];
    }
    const alive = [];
    let sum = 0;
    for (let place = 0; place < checkpoints; place += 1) alive.push(sum += changes[place]);
    return alive;
  }

  memdeep.scope = {
    METRICS, stretchesOf, isTraced, metricsOf, sumsBy, difference, aliveOverTime,
  };
})(globalThis.memdeep = globalThis.memdeep || {});
