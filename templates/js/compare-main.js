// Starts the page of two runs: unpacks what it carries and ties the parts to one store.
(async function (memdeep) {
  'use strict';

  const { compareLink } = memdeep;

  async function start() {
    const root = document.getElementById('explorer');
    const data = await memdeep.compareData.open();
    const { rows } = data;
    const limits = { phases: rows.pattern.length - rows.members.filter((members) => members > 0).length, frames: data.frames.count };
    const row = Number(root.dataset.row); // that of the headline, or -1
    const scope = row < 0 ? { kind: 'peak' } : { kind: 'phase', phase: row };
    const store = memdeep.store.create({ ...compareLink.DEFAULTS, scope, ...compareLink.read(location.hash, limits) });
    memdeep.link.tie(store, limits, compareLink);
    const tooltip = memdeep.flameTooltip.create(document.getElementById('tooltip'), data.frames);
    const explorer = memdeep.compareExplorer.create(root, data, store, tooltip);
    const work = root.parentElement;
    const isBeside = () => root.offsetLeft > work.firstElementChild.offsetLeft;
    memdeep.compareTimelines.create(data, store, explorer.chooseRow);
    const cells = memdeep.compareCells.create(data);
    const hasGrown = (phase) => !rows.alike[phase] && (rows.growth?.[phase] ?? 0) > 0;
    const names = () => rows.parent.map((_, one) => data.nameOf(one));
    const named = { ...rows, name: names() };
    memdeep.words.onChange(() => { named.name = names(); });
    memdeep.phasesTable.create(document.getElementById('phases'), document.querySelector('.phases-tools'), {
      phases: named, cells, columns: cells.columns, areComparable: false,
      order: memdeep.phaseRows.create(named, cells.textOf, () => null, hasGrown),
    }, store, {
      scope: ({ phase }) => explorer.chooseRow(phase),
      done: () => root.scrollIntoView({ block: isBeside() ? 'nearest' : 'start' }),
    });
    store.subscribe(({ lang, theme }, changed) => {
      if (changed.has('lang') && lang !== null) memdeep.words.set(lang);
      if (changed.has('theme') && theme !== null) colours.set(theme);
    });
    memdeep.page = { data, store, explorer };
    document.documentElement.dataset.ready = 'yes';
  }

  memdeep.words.start((lang) => memdeep.page?.store.set({ lang }));
  const colours = memdeep.theme.wire(
    document.querySelectorAll('[data-set-theme]'),
    () => memdeep.page?.explorer.flame.refreshColours(),
    (theme) => memdeep.page?.store.set({ theme }),
  );
  memdeep.shell.openForPaper();
  memdeep.menus.create([...document.querySelectorAll('[data-menu]')]);
  await memdeep.shell.run(start);
})(globalThis.memdeep = globalThis.memdeep || {});
