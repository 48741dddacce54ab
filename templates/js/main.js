// Starts the page: unpacks what was recorded and ties the parts to one store.
(async function (memdeep) {
  'use strict';

  const firstFinding = () => document.querySelector('.finding [data-phase]')?.dataset;

  // The phase of the first finding, else the one that grew most: what the reader came for.
  function startingPhase(phases) {
    const finding = firstFinding();
    if (finding) return Number(finding.phase);
    const growth = (place) => phases.rss[place] ?? phases.heap[place] ?? 0;
    return phases.name.reduce((most, _, place) => (growth(place) > growth(most) ? place : most), 0);
  }

  function startingMetric(core, scope) {
    const finding = firstFinding();
    const offered = scope.kind === 'phase' && core.phases.traced[scope.phase] ? memdeep.scope.metricsOf(core, scope) : [];
    if (finding && Number(finding.phase) === scope.phase && offered.includes(finding.wish)) return finding.wish;
    return offered[0] ?? 'retained';
  }

  async function start() {
    const explorerRoot = document.getElementById('explorer');
    const data = await memdeep.payload.open();
    const { core } = data;
    const limits = { phases: core.phases.name.length, checkpoints: core.checkpoints.time.length };
    const linked = memdeep.link.read(location.hash, limits);
    const scope = linked.scope ?? { kind: 'phase', phase: startingPhase(core.phases) };
    const store = memdeep.store.create({ ...linked, scope, metric: linked.metric ?? startingMetric(core, scope) });
    memdeep.link.tie(store, limits);
    const tooltip = memdeep.flameTooltip.create(document.getElementById('tooltip'), data.frames);
    const explorer = memdeep.explorer.create(explorerRoot, data, store, tooltip);
    const timeline = document.getElementById('timeline');
    if (timeline !== null) memdeep.timeline.create(timeline, core, store, explorer.chooseScope);
    const table = document.getElementById('phases');
    memdeep.phasesTable.create(table, document.querySelector('.phases-tools'), data, store, explorer.chooseScope);
    document.addEventListener('click', (event) => {
      const link = event.target.closest('.finding a[data-phase]');
      if (link === null || event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      explorer.chooseScope({ kind: 'phase', phase: Number(link.dataset.phase) });
      store.set({ metric: link.dataset.wish });
      explorerRoot.scrollIntoView({ block: 'start' });
    });
    await explorer.ready;
    memdeep.page = { data, store, explorer };
    document.documentElement.dataset.ready = 'yes';
  }

  function fail(key, values) {
    document.documentElement.dataset.ready = 'failed';
    const place = document.querySelector('[data-failed]');
    place.hidden = false;
    place.textContent = memdeep.words.say(key, values);
    document.querySelector('[data-explorer-body]').hidden = true;
  }

  memdeep.words.start();
  memdeep.theme.wire(document.querySelectorAll('[data-set-theme]'), () => memdeep.page?.explorer.flame.refreshColours());
  if (document.getElementById('phases') === null) return;
  if (!memdeep.payload.canUnpack()) {
    fail('page.no_decompression');
    return;
  }
  try {
    await start();
  } catch (error) {
    fail('page.failed', { reason: String(error) });
    throw error;
  }
})(globalThis.memdeep = globalThis.memdeep || {});
