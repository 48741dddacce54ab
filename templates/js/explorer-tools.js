// The tabs and tools of the explorer: they show the state and change it, and know no tree.
(function (memdeep) {
  'use strict';

  const { format, scope: scopes, threadLimit } = memdeep;
  const NATIVE_MODES = ['fold', 'show', 'hide'];
  const say = (key, values) => memdeep.words.say(key, values);

  // `on` = { match(step), leave() }: the reader wants another match, or goes from the search to the graph.
  function create(root, data, store, on) {
    const { core } = data;
    const one = (name) => root.querySelector('[data-' + name + ']');
    const part = {
      metrics: one('metrics'), views: one('views'), search: one('search'), native: one('native-mode'), thread: one('thread-choice'),
      matched: one('matched'), steps: one('match-steps'),
    };
    const treeTab = memdeep.elements.element('button');
    treeTab.type = 'button';
    treeTab.dataset.view = 'tree';
    part.views.querySelector('[data-view=flame]').after(treeTab);
    const flags = [...root.querySelectorAll('[data-flag]')];
    const limits = threadLimit.limitsOf(core);
    const hasProcesses = limits.processes.length > 0;

    function totalText(state, metric) {
      const total = threadLimit.total(data.blocks, state.scope, metric, state.thread);
      if (state.versus === null) return metric === 'growth' ? format.signedBytes(total) : format.bytes(total);
      const other = threadLimit.total(data.blocks, state.versus, metric, state.thread);
      return format.signedBytes(total === null || other === null ? null : total - other);
    }

    function showMetrics(state) {
      const offered = scopes.metricsOf(core, state.scope, state.versus);
      for (const tab of part.metrics.querySelectorAll('button')) {
        const { metric } = tab.dataset;
        tab.hidden = !offered.includes(metric);
        tab.setAttribute('aria-pressed', String(metric === state.metric));
        tab.title = say(`metric.${metric}_meaning`);
        tab.querySelector('[data-total]').textContent = tab.hidden ? '' : totalText(state, metric);
      }
    }

    function show(state) {
      showMetrics(state);
      for (const tab of part.views.querySelectorAll('button')) {
        tab.setAttribute('aria-pressed', String(tab.dataset.view === state.view));
      }
      part.native.value = state.native;
      part.thread.value = state.thread ?? '';
      for (const flag of flags) flag.checked = state[flag.dataset.flag];
      if (part.search.value.trim() !== state.query) part.search.value = state.query;
      root.querySelectorAll('[data-only-flame]').forEach((tool) => { tool.hidden = !['flame', 'tree'].includes(state.view); });
      flags.find((flag) => flag.dataset.flag === 'flip').closest('label').hidden = state.view !== 'flame';
      root.querySelectorAll('[data-only-search]').forEach((tool) => { tool.hidden = state.view === 'source'; });
    }

    // `found` is what flame-layout.js matched, 'bad' for no regular expression, null for no search.
    function showMatched(found, whole, signed) {
      const isBad = found === 'bad';
      if (isBad) part.search.setAttribute('aria-invalid', 'true');
      else part.search.removeAttribute('aria-invalid');
      part.steps.hidden = found === null || isBad || found.count < 1;
      if (found === null) part.matched.textContent = '';
      else if (isBad) part.matched.textContent = say('flame.bad_regex');
      else if (found.count === 0) part.matched.textContent = say('flame.no_match');
      else {
        const bytes = signed ? format.signedBytes(found.net) : format.bytes(found.net);
        part.matched.textContent = say('flame.matched', { n: found.count, bytes, share_share: whole > 0 ? found.width / whole : 0 });
      }
    }

    function option(value, text) {
      const made = document.createElement('option');
      made.value = value;
      made.textContent = text;
      return made;
    }

    function limitOptions() {
      const made = (values) => values.map((value) => option(value, threadLimit.nameOf(data, value)));
      if (!hasProcesses) return made(limits.threads);
      const [program, ...others] = limits.processes;
      const inGroups = Object.entries({ ...limits, processes: others }).filter(([, values]) => values.length > 0).map(([kind, values]) => {
        const group = document.createElement('optgroup');
        group.label = say('flame.by_' + kind);
        group.append(...made(values));
        return group;
      });
      return [...made([program]), ...inGroups];
    }

    function speak() {
      treeTab.textContent = say('flame.view_tree');
      part.native.replaceChildren(...NATIVE_MODES.map((mode) => option(mode, say('flame.native_' + mode))));
      part.thread.replaceChildren(option('', say(hasProcesses ? 'flame.all_processes' : 'flame.all_threads')), ...limitOptions());
    }

    function onSearchKey(event) {
      if (event.key === 'Enter') on.match(event.shiftKey ? -1 : 1);
      else if (event.key === 'Escape' && part.search.value === '') on.leave();
      else if (event.key === 'Escape') store.set({ query: '' });
      else return;
      event.preventDefault();
    }

    part.metrics.addEventListener('click', (event) => {
      const tab = event.target.closest('button');
      if (tab) store.set({ metric: tab.dataset.metric });
    });
    part.views.addEventListener('click', (event) => {
      const tab = event.target.closest('button');
      if (tab) store.set({ view: tab.dataset.view, around: null });
    });
    part.search.addEventListener('input', () => store.set({ query: part.search.value.trim() }));
    part.search.addEventListener('keydown', onSearchKey);
    part.native.addEventListener('change', () => store.set({ native: part.native.value }));
    part.thread.addEventListener('change', () => {
      const { value } = part.thread;
      store.set({ thread: value === '' ? null : /^\d+$/.test(value) ? Number(value) : value, frames: [], selected: null });
    });
    part.thread.parentElement.hidden = Object.values(limits).flat().length === 0;
    part.steps.addEventListener('click', (event) => {
      const step = event.target.closest('button');
      if (step) on.match(Number(step.dataset.step));
    });
    for (const flag of flags) {
      flag.addEventListener('change', () => {
        const isTurned = flag.dataset.flag === 'invert'; // a path of callers is none of callees
        store.set({ [flag.dataset.flag]: flag.checked, ...(isTurned ? { frames: [], selected: null } : {}) });
      });
    }
    root.querySelectorAll('[data-needs-threads]').forEach((tool) => {
      tool.hidden = !core.frames.origin.includes(memdeep.payload.THREAD);
    });
    root.querySelectorAll('[data-needs-native]').forEach((tool) => {
      tool.hidden = !core.frames.origin.includes(memdeep.payload.NATIVE);
    });

    return { show, showMatched, speak, focusSearch() { part.search.focus(); part.search.select(); } };
  }

  memdeep.explorerTools = { create };
})(globalThis.memdeep = globalThis.memdeep || {});
