// Both timelines: each is that of its run; a phase that is pointed at is marked on the other one too.
(function (memdeep) {
  'use strict';

  const SIDES = ['before', 'after'];

  function create(data, store, chooseRow) {
    const { core, rows } = data;
    const roots = Object.fromEntries(SIDES.map((side) => [side, document.getElementById('timeline-' + side)]));
    const rowAt = Object.fromEntries(SIDES.map((side) => [side, new Map()]));
    for (const side of SIDES) rows[side].forEach((phase, row) => { if (phase >= 0) rowAt[side].set(phase, row); });

    // What a timeline knows of the store: its own phase of the row that is chosen.
    function ofSide(side) {
      const scope = () => {
        const { scope: { kind, phase: row } } = store.get();
        const phase = kind === 'phase' ? rows[side][row] : -1;
        return phase >= 0 ? { kind: 'phase', phase } : null;
      };
      return {
        get: () => ({ scope: scope(), versus: null }),
        set: ({ metric }) => { if (metric === 'peak') chooseRow(-1); },
        subscribe: (follow) => store.subscribe((_, changed) => follow(null, changed)),
      };
    }

    let linked = [];
    function link(row) {
      linked.forEach((one) => one.classList.remove('linked'));
      linked = row === undefined || row < 0 ? [] : [
        ...SIDES.flatMap((side) => (rows[side][row] < 0 || roots[side] === null ? []
          : [...roots[side].querySelectorAll('.band[data-phase="' + rows[side][row] + '"]')])),
        ...document.querySelectorAll('#phases tr[data-row="' + row + '"]'),
      ];
      linked.forEach((one) => one.classList.add('linked'));
    }

    for (const side of SIDES) {
      const root = roots[side];
      if (root === null) continue;
      memdeep.timeline.create(root, core.sides[side], ofSide(side), (scope) => {
        const row = scope.kind === 'phase' ? rowAt[side].get(scope.phase) : undefined;
        if (row !== undefined) chooseRow(row);
      });
      root.addEventListener('pointerover', (event) => {
        const band = event.target.closest('.band');
        link(band === null ? undefined : rowAt[side].get(Number(band.dataset.phase)));
      });
      root.addEventListener('pointerleave', () => link());
    }
    const table = document.getElementById('phases');
    table.addEventListener('pointerover', (event) => {
      const row = event.target.closest('tr[data-row]');
      link(row === null ? undefined : Number(row.dataset.row));
    });
    table.addEventListener('pointerleave', () => link());
  }

  memdeep.compareTimelines = { create };
})(globalThis.memdeep = globalThis.memdeep || {});
