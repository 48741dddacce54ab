// Which phases the table shows, and in which order. Pure: knows no document.
(function (memdeep) {
  'use strict';

  const COLUMNS = [
    'name', 'thread', 'duration', 'rss', 'workers', 'heap', 'beyond', 'peak', 'allocated', 'freed', 'churn', 'explained', 'trend', 'culprit',
  ];
  const PARTS = ['resident', 'file', 'shared', 'allocator', 'unseen', 'tracer', 'unknown'];
  const TEXTS = ['name', 'thread', 'culprit']; // these sort upwards first

  // What RSS Δ is made of, as it adds up; what is not known, or nothing, is left out. `resident` is
  // called `heap` where nothing tells how much of the heap is resident.
  function partsOf({ parts }, phase) {
    return PARTS
      .map((name) => ({ name, bytes: parts[name][phase] ?? 0 }))
      .filter((part) => part.bytes !== 0)
      .map((part) => (part.name === 'resident' && parts.untouched[phase] === null ? { ...part, name: 'heap' } : part));
  }

  // RSS Δ without the heap's part of it.
  function beyondOf({ rss, parts }, phase) {
    const heap = parts.resident[phase];
    return rss[phase] === null || heap === null ? null : rss[phase] - heap;
  }

  // The figure by which a column sorts; null where it is not known.
  function valueOf(phases, column, phase, culpritText) {
    if (column === 'beyond') return beyondOf(phases, phase);
    if (column === 'trend') return phases.slope[phase];
    if (column === 'culprit') return culpritText(phase);
    return phases[column]?.[phase] ?? null; // no column of workers where there are none
  }

  // Unknown figures come last whichever way the rest is sorted; ties keep the program's order.
  function comparer(valueFor, direction) {
    return (one, other) => {
      const a = valueFor(one);
      const b = valueFor(other);
      if (a === null || b === null) return (a === null) - (b === null) || one - other;
      const order = typeof a === 'string' ? a.localeCompare(b) : a - b;
      return direction * order || one - other;
    };
  }

  // The row around each one: of a member its pattern, of any other its parent; or -1.
  function aroundOf({ parent, pattern }) {
    return parent.map((above, phase) => (pattern[phase] >= 0 ? pattern[phase] : above));
  }

  const isPattern = ({ members }, phase) => members[phase] > 0;

  // By the row around them, in the order of the program: a pattern begins with its first member.
  function childrenOf(phases) {
    const first = phases.name.map((_, phase) => (isPattern(phases, phase) ? Infinity : phase));
    phases.pattern.forEach((pattern, phase) => { if (pattern >= 0) first[pattern] = Math.min(first[pattern], phase); });
    const children = new Map([[-1, []]]);
    aroundOf(phases).forEach((around, phase) => {
      if (!children.has(around)) children.set(around, []);
      children.get(around).push(phase);
    });
    for (const inside of children.values()) inside.sort((one, other) => first[one] - first[other]);
    return { children, first };
  }

  // All rows, each before those within it.
  function inOrder(phases) {
    const { children } = childrenOf(phases);
    const rows = [];
    const stack = children.get(-1).slice().reverse();
    while (stack.length > 0) {
      const row = stack.pop();
      rows.push(row);
      stack.push(...(children.get(row) ?? []).slice().reverse());
    }
    return rows;
  }

  // How many rows are around each one.
  function levelsOf(phases) {
    const around = aroundOf(phases);
    const levels = new Map([[-1, -1]]);
    for (const row of inOrder(phases)) levels.set(row, levels.get(around[row]) + 1);
    return around.map((_, row) => levels.get(row));
  }

  // `hasGrown(phase)` tells which are left if only those are wanted that grew.
  function create(phases, textOf, culpritText, hasGrown = (phase) => (phases.rss[phase] ?? 0) > 0 || (phases.heap[phase] ?? 0) > 0) {
    const { children, first } = childrenOf(phases);
    const around = aroundOf(phases);
    const all = inOrder(phases);

    function matches(phase, { words, onlyGrew }) {
      return (!onlyGrew || hasGrown(phase)) && (words === '' || textOf(phase).toLowerCase().includes(words));
    }

    // Matching phases, and those around them that keep them in their place (`context`).
    function chosen(wish) {
      const found = new Map();
      for (let place = all.length - 1; place >= 0; place -= 1) {
        const phase = all[place];
        if (!wish.nested && isPattern(phases, phase)) continue;
        const isMatch = matches(phase, wish);
        if (!isMatch && !found.has(phase)) continue;
        found.set(phase, !isMatch);
        const above = around[phase];
        if (wish.nested && above >= 0 && !found.has(above)) found.set(above, true);
      }
      return found;
    }

    // `wish` = {sort: column or null, direction: 1 or -1, words, onlyGrew, nested, closed and untouched: Sets of phases}.
    function rows(wish) {
      const words = wish.words.trim().toLowerCase();
      const found = chosen({ ...wish, words });
      const order = wish.sort === null
        ? (one, other) => first[one] - first[other]
        : comparer((phase) => valueOf(phases, wish.sort, phase, culpritText), wish.direction);
      if (!wish.nested) {
        return [...found.keys()].sort(order)
          .map((phase) => ({ phase, level: 0, context: false, isParent: false, isOpen: false }));
      }
      const shown = [];
      const visit = (parent, level) => {
        const inside = (children.get(parent) ?? []).filter((phase) => found.has(phase)).sort(order);
        for (const phase of inside) {
          const isParent = (children.get(phase) ?? []).some((child) => found.has(child));
          // What was searched for is not hidden in a pattern that nobody has closed.
          const isSought = words !== '' && wish.untouched.has(phase);
          const isOpen = isParent && (isSought || !wish.closed.has(phase));
          shown.push({ phase, level, context: found.get(phase), isParent, isOpen });
          if (isOpen) visit(phase, level + 1);
        }
      };
      visit(-1, 0);
      return shown;
    }

    function ancestors(phase) {
      const above = [];
      for (let next = around[phase]; next >= 0; next = around[next]) above.push(next);
      return above;
    }

    // How many phases a wish leaves, those in closed rows included.
    function count(wish) {
      const found = chosen({ ...wish, words: wish.words.trim().toLowerCase() });
      return [...found.keys()].filter((phase) => !isPattern(phases, phase)).length;
    }

    return { rows, ancestors, count };
  }

  // The columns of which the run knows something.
  function knownColumns(phases) {
    const isKnown = (column) => phases.name.some((_, phase) => valueOf(phases, column, phase, () => null) !== null);
    return COLUMNS.filter((column) => {
      if (column === 'trend') return phases.stretches.some((edges) => edges.length > 2);
      if (column === 'thread') return new Set(phases.thread.filter((thread) => thread !== null)).size > 1;
      if (column === 'culprit') return phases.culprit.some((line) => line >= 0);
      return isKnown(column);
    });
  }

  memdeep.phaseRows = { create, inOrder, levelsOf, isPattern, knownColumns, partsOf, beyondOf, COLUMNS, TEXTS };
})(globalThis.memdeep = globalThis.memdeep || {});
