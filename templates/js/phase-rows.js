// Which phases the table shows, and in which order. Pure: knows no document.
(function (memdeep) {
  'use strict';

  const COLUMNS = [
    'name', 'duration', 'rss', 'heap', 'gap', 'peak', 'allocated', 'freed', 'churn', 'explained', 'trend', 'culprit',
  ];
  const TEXTS = ['name', 'culprit']; // these sort upwards first

  // What lies between RSS Δ and heap Δ, as it adds up: what was not touched counts against it.
  function gapParts(phases, phase) {
    return [['files', 1], ['slack', 1], ['untouched', -1]]
      .map(([name, sign]) => ({ name, bytes: (phases[name][phase] ?? 0) * sign }))
      .filter((part) => part.bytes !== 0)
      .sort((one, other) => Math.abs(other.bytes) - Math.abs(one.bytes));
  }

  function gapOf(phases, phase) {
    const { rss, heap } = phases;
    return rss[phase] === null || heap[phase] === null ? null : rss[phase] - heap[phase];
  }

  // The figure by which a column sorts; null where it is not known.
  function valueOf(phases, column, phase, culpritText) {
    if (column === 'gap') return gapOf(phases, phase);
    if (column === 'trend') return phases.slope[phase];
    if (column === 'culprit') return culpritText(phase);
    return phases[column][phase];
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

  function childrenOf(phases) {
    const children = new Map([[-1, []]]);
    phases.parent.forEach((parent, phase) => {
      if (!children.has(parent)) children.set(parent, []);
      children.get(parent).push(phase);
    });
    return children;
  }

  function create(phases, textOf, culpritText) {
    const children = childrenOf(phases);

    function matches(phase, { words, onlyGrew }) {
      const grew = (phases.rss[phase] ?? 0) > 0 || (phases.heap[phase] ?? 0) > 0;
      return (!onlyGrew || grew) && (words === '' || textOf(phase).toLowerCase().includes(words));
    }

    // Matching phases, and those around them that keep them in their place (`context`).
    function chosen(wish) {
      const found = new Map();
      for (let phase = phases.name.length - 1; phase >= 0; phase -= 1) {
        const isMatch = matches(phase, wish);
        if (!isMatch && !found.has(phase)) continue;
        found.set(phase, !isMatch);
        const parent = phases.parent[phase];
        if (wish.nested && parent >= 0 && !found.has(parent)) found.set(parent, true);
      }
      return found;
    }

    // `wish` = {sort: column or null, direction: 1 or -1, words, onlyGrew, nested, closed: Set of phases}.
    function rows(wish) {
      const found = chosen({ ...wish, words: wish.words.trim().toLowerCase() });
      const order = wish.sort === null
        ? (one, other) => one - other
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
          const isOpen = isParent && !wish.closed.has(phase);
          shown.push({ phase, level, context: found.get(phase), isParent, isOpen });
          if (isOpen) visit(phase, level + 1);
        }
      };
      visit(-1, 0);
      return shown;
    }

    function ancestors(phase) {
      const above = [];
      for (let next = phases.parent[phase]; next >= 0; next = phases.parent[next]) above.push(next);
      return above;
    }

    return { rows, ancestors };
  }

  // The columns of which the run knows something.
  function knownColumns(phases) {
    const isKnown = (column) => phases.name.some((_, phase) => valueOf(phases, column, phase, () => null) !== null);
    return COLUMNS.filter((column) => {
      if (column === 'trend') return phases.stretches.some((edges) => edges.length > 2);
      if (column === 'culprit') return phases.culprit.some((line) => line >= 0);
      return isKnown(column);
    });
  }

  memdeep.phaseRows = { create, knownColumns, gapParts, gapOf, COLUMNS, TEXTS };
})(globalThis.memdeep = globalThis.memdeep || {});
