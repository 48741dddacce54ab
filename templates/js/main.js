// Starts the page: unpacks what was recorded and ties the parts to one store.
(async function (memdeep) {
  'use strict';

  // The phase of the first finding, else the one that grew most: what the reader came for.
  function startingPoint(core) {
    const { phases } = core;
    const link = document.querySelector('.finding a[data-phase]');
    const growth = (place) => phases.rss[place] ?? phases.heap[place] ?? 0;
    const phase = link === null
      ? phases.name.reduce((most, _, place) => (growth(place) > growth(most) ? place : most), 0)
      : Number(link.dataset.phase);
    const scope = { kind: 'phase', phase };
    return { scope, metric: startingMetric(core, scope, link?.dataset.wish) };
  }

  function startingMetric(core, scope, wish) {
    const offered = memdeep.scope.metricsOf(core, scope);
    return offered.includes(wish) ? wish : offered[0] ?? 'retained';
  }

  async function start() {
    const explorerRoot = document.getElementById('explorer');
    const data = await memdeep.payload.open();
    const { core } = data;
    const holdersRoot = document.getElementById('holders');
    const limits = {
      phases: core.phases.name.length,
      checkpoints: core.checkpoints.time.length,
      frames: data.frames.count,
      threads: memdeep.threadLimit.allOf(core),
      snapshots: Number(holdersRoot?.dataset.snapshots ?? 0),
      metrics: (scope, versus) => memdeep.scope.metricsOf(core, scope, versus),
    };
    const linked = memdeep.link.read(location.hash, limits);
    const beginning = linked.scope === undefined
      ? startingPoint(core)
      : { metric: startingMetric(core, linked.scope) };
    const store = memdeep.store.create({ ...beginning, ...linked });
    memdeep.link.tie(store, limits);
    const tooltip = memdeep.flameTooltip.create(document.getElementById('tooltip'), data.frames);
    const explorer = memdeep.explorer.create(explorerRoot, data, store, tooltip);
    const timeline = document.getElementById('timeline');
    const work = explorerRoot.parentElement;
    // Beside the findings and phases the explorer stays in sight; where it is below them the page goes there.
    const isBeside = () => explorerRoot.offsetLeft > work.firstElementChild.offsetLeft;
    function goToExplorer() {
      explorerRoot.scrollIntoView({ block: isBeside() ? 'nearest' : 'start' });
    }
    if (timeline !== null) memdeep.timeline.create(timeline, core, store, explorer.chooseScope);
    document.querySelector('[data-look-inside]')?.addEventListener('click', goToExplorer);
    const table = document.getElementById('phases');
    memdeep.phasesTable.create(table, document.querySelector('.phases-tools'), memdeep.phasesTable.ofRun(data), store, {
      scope: explorer.chooseScope,
      done: goToExplorer,
    });
    document.addEventListener('click', (event) => {
      const link = event.target.closest('.finding a[data-phase]');
      if (link === null || event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      explorer.chooseScope({ kind: 'phase', phase: Number(link.dataset.phase) });
      store.set({ metric: link.dataset.wish });
      goToExplorer();
    });
    const holders = holdersRoot === null ? null : memdeep.holders.create(holdersRoot, data, store, {
      line: (frame) => {
        store.set({ view: 'lines', around: null, selected: { kind: 'lines', frame } });
        goToExplorer();
      },
    });
    document.addEventListener('click', (event) => {
      const link = event.target.closest('[data-holder]');
      if (link === null || event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      const { snapshot, holder } = link.dataset;
      store.set({ snapshot: Number(snapshot), since: null, holding: 'tree', holds: '', holder: holder === '' ? null : Number(holder) });
      holdersRoot.scrollIntoView({ block: 'start' });
    });
    for (const tables of document.querySelectorAll('#across, #processes')) {
      memdeep.processTable.createLinks(tables, {
        limit: (limit) => { store.set({ thread: limit, frames: [], selected: null }); goToExplorer(); },
        phase: (phase) => { explorer.chooseScope({ kind: 'phase', phase }); goToExplorer(); },
        line: (path, line, limit) => {
          const frame = core.lines.find((one) => core.frames.line[one] === line && data.frames.file(one) === path);
          if (frame !== undefined) store.set({ view: 'lines', thread: null, around: null, selected: { kind: 'lines', frame } });
          else if (limit !== '') store.set({ thread: limit, frames: [], selected: null });
          goToExplorer();
        },
      });
    }
    await Promise.all([explorer.ready, holders?.ready]);
    if (linked.snapshot !== null && linked.scope === undefined) holdersRoot?.scrollIntoView({ block: 'start' });
    store.subscribe(({ lang, theme }, changed) => {
      if (changed.has('lang') && lang !== null) memdeep.words.set(lang);
      if (changed.has('theme') && theme !== null) colours.set(theme);
    });
    memdeep.page = { data, store, explorer };
    document.documentElement.dataset.ready = 'yes';
  }

  memdeep.words.start((lang) => memdeep.page?.store.set({ lang }));
  memdeep.shell.openForPaper();
  memdeep.menus.create([...document.querySelectorAll('[data-menu]')]);
  for (const tables of document.querySelectorAll('#across, #processes')) memdeep.processTable.createFolding(tables);
  const colours = memdeep.theme.wire(
    document.querySelectorAll('[data-set-theme]'),
    () => memdeep.page?.explorer.flame.refreshColours(),
    (theme) => memdeep.page?.store.set({ theme }),
  );
  if (document.getElementById('phases') === null) return;
  await memdeep.shell.run(start);
})(globalThis.memdeep = globalThis.memdeep || {});
