// What made the difference: the stacks and the lines of both sides. Follows the store.
(function (memdeep) {
  'use strict';

  const { format, compareSums: sums, compareCells: cells } = memdeep;
  const { element } = memdeep.elements;
  const FOLDED_WORTH_SAYING = 0.0005;
  const MOST_CHOICES = 300;
  const TREE = ['scope', 'metric', 'width', 'natives', 'invert', 'imports', 'flip'];
  const say = (key, values) => memdeep.words.say(key, values);

  function create(root, data, store, tooltip) {
    const { core, rows, frames } = data;
    const one = (name) => root.querySelector('[data-' + name + ']');
    const part = {
      choice: one('phase-choice'), title: one('title'), facts: one('scope-facts'), figures: one('scope-figures'), metrics: one('metrics'), linesTitle: one('lines-title'), widths: one('widths'),
      search: one('search'), empty: one('empty'), graph: one('graph'), canvas: one('canvas'), legend: one('direction'), folded: one('folded'),
      matched: one('matched'), steps: one('match-steps'),
    };
    const flags = [...root.querySelectorAll('[data-flag]')];
    const flame = memdeep.flameView.create(part.graph, data, tooltip, {
      zoom: (path) => store.set({ frames: path }),
      select: (path) => store.set({ selected: { frames: path } }),
    });
    const lines = memdeep.compareLines.create(one('lines'), (text) => {
      store.set({ query: text, regex: false });
      flame.nextMatch(1);
    });
    let tree = null;

    const rowOf = ({ scope }) => (scope.kind === 'phase' ? scope.phase : -1);
    // A phase is looked at by what it kept; by its peak where that is what differs.
    function isPeak(state) {
      const row = rowOf(state);
      if (row < 0 || data.viewOf(row, true) === null) return false;
      if (state.metric !== 'auto') return state.metric === 'peak';
      const [kept, rise] = ['growth', 'rise'].map((column) => cells.figureOf(rows, column, row));
      return rise !== null && !rise.isAlike && (kept === null || kept.isAlike);
    }

    // Of a row that folds others the first one is looked at.
    const chooseRow = (row) => {
      const shown = row >= 0 && rows.members[row] > 0 ? rows.pattern.indexOf(row) : row;
      store.set({ metric: 'auto', scope: shown < 0 ? { kind: 'peak' } : { kind: 'phase', phase: shown }, frames: [], selected: null });
    };

    function figureOf(node) {
      const [before, after] = [tree.before[node], tree.after[node]];
      return sums.isAlike(core.noise, before, after) ? '~' : format.signedBytes(after - before);
    }

    function option(row) {
      const made = element('option', '', data.nameOf(row));
      made.value = row;
      return made;
    }

    // What changed, and what is looked at; all others are in the table.
    function showChoices(state) {
      const row = rowOf(state);
      const changed = rows.alike.flatMap((isAlike, at) => (isAlike ? [] : [at])).slice(0, MOST_CHOICES);
      const shown = row < 0 || changed.includes(row) ? changed : [...changed, row].sort((a, b) => a - b);
      part.choice.replaceChildren(option(-1), ...shown.map(option));
      part.choice.value = row;
    }

    function showHead(state) {
      const row = rowOf(state);
      showChoices(state);
      part.title.textContent = data.nameOf(row);
      part.facts.textContent = say(row < 0 ? 'compare.of_peak' : isPeak(state) ? 'compare.of_phase_peak' : 'compare.of_phase');
      part.metrics.hidden = row < 0 || data.viewOf(row, true) === null;
      for (const tab of part.metrics.children) tab.setAttribute('aria-pressed', String((tab.dataset.metric === 'peak') === isPeak(state)));
      const known = row < 0 ? [] : cells.COLUMNS.flatMap((column) => {
        const figure = cells.figureOf(rows, column, row);
        return figure === null ? [] : [element('div', '', element('dt', '', say('compare.' + column)), element('dd', '', ...cells.figureElements(column, figure)))];
      });
      part.figures.replaceChildren(...known);
      for (const tab of part.widths.children) tab.setAttribute('aria-pressed', String(tab.dataset.width === state.width));
      for (const flag of flags) flag.checked = state[flag.dataset.flag];
      if (part.search.value.trim() !== state.query) part.search.value = state.query;
    }

    function whyEmpty(state, view) {
      if (view === null) return say('compare.not_known');
      if (tree.width[0] > 0) return null;
      return say(state.width === 'larger' ? 'compare.empty' : 'compare.empty_' + state.width);
    }

    function showTree(state) {
      const row = rowOf(state);
      const view = data.viewOf(row, isPeak(state));
      const options = { native: state.natives ? 'show' : 'fold', threads: false, imports: state.imports, invert: state.invert };
      tree = memdeep.flameLayout.build(core, sums.sumOf(core, view, state.width), options);
      const why = whyEmpty(state, view);
      part.empty.hidden = why === null;
      part.empty.textContent = why ?? '';
      part.graph.hidden = part.legend.hidden = why !== null;
      flame.show(tree, {
        title: data.nameOf(row), label: say('compare.graph', { name: data.nameOf(row) }), flip: state.flip, frames: state.frames, selected: state.selected?.frames ?? null,
        kinds: sums.kindsOf(tree, core.noise, memdeep.flameCanvas.KINDS), figure: figureOf,
      });
      part.folded.hidden = core.folded < FOLDED_WORTH_SAYING;
      part.folded.textContent = say('compare.folded', { share_share: core.folded });
      flame.redraw();
    }

    function showMatches({ query, regex }) {
      const wanted = query === '' ? null : memdeep.search.matchingFrames(frames, query, regex);
      const isBad = query !== '' && wanted === null;
      const found = tree.width[0] === 0 ? null : flame.mark(wanted);
      if (isBad) part.search.setAttribute('aria-invalid', 'true');
      else part.search.removeAttribute('aria-invalid');
      part.steps.hidden = found === null || isBad || found.count < 1;
      if (isBad) part.matched.textContent = say('flame.bad_regex');
      else if (found === null) part.matched.textContent = '';
      else if (found.count === 0) part.matched.textContent = say('flame.no_match');
      else part.matched.textContent = say('flame.matched', { n: found.count, bytes: format.signedBytes(found.net), share_share: found.width / tree.width[0] });
    }

    function render(state, changed) {
      const has = (keys) => keys.some((key) => changed.has(key));
      if (has([...TREE, 'regex', 'query'])) showHead(state);
      if (has(TREE)) {
        showTree(state);
        part.linesTitle.textContent = say(rowOf(state) < 0 ? 'compare.lines_peak' : isPeak(state) ? 'compare.lines_rise' : 'compare.lines_kept');
        lines.show(data.linesOf(rowOf(state), isPeak(state)));
      } else if (has(['frames'])) flame.zoomTo(state.frames);
      if (has([...TREE, 'query', 'regex'])) showMatches(state);
    }

    function onSearchKey(event) {
      if (event.key === 'Enter') flame.nextMatch(event.shiftKey ? -1 : 1);
      else if (event.key === 'Escape' && part.search.value === '') part.canvas.focus();
      else if (event.key === 'Escape') store.set({ query: '' });
      else return;
      event.preventDefault();
    }

    // Keys that work wherever the reader is, unless something is being typed.
    function onKey(event) {
      const isTyping = event.target.closest('input, select, textarea') !== null;
      if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      const isSearched = !part.graph.hidden && store.get().query !== '';
      if (event.key === '/') {
        part.search.focus();
        part.search.select();
      } else if (event.key === 'Escape' && root.contains(event.target) && !part.graph.hidden) flame.back();
      else if ((event.key === 'n' || event.key === 'N') && isSearched) flame.nextMatch(event.key === 'n' ? 1 : -1);
      else return;
      event.preventDefault();
    }

    const speak = () => render(store.get(), new Set(TREE));

    part.choice.addEventListener('change', () => chooseRow(Number(part.choice.value)));
    part.metrics.addEventListener('click', (event) => {
      const tab = event.target.closest('button');
      if (tab) store.set({ metric: tab.dataset.metric, frames: [], selected: null });
    });
    part.widths.addEventListener('click', (event) => {
      const tab = event.target.closest('button');
      if (tab) store.set({ width: tab.dataset.width, frames: [], selected: null });
    });
    part.search.addEventListener('input', () => store.set({ query: part.search.value.trim() }));
    part.search.addEventListener('keydown', onSearchKey);
    part.steps.addEventListener('click', (event) => {
      const step = event.target.closest('button');
      if (step) flame.nextMatch(Number(step.dataset.step));
    });
    for (const flag of flags) {
      flag.addEventListener('change', () => {
        const isTurned = flag.dataset.flag === 'invert'; // a path of callers is none of callees
        store.set({ [flag.dataset.flag]: flag.checked, ...(isTurned ? { frames: [], selected: null } : {}) });
      });
    }
    for (const tool of root.querySelectorAll('[data-needs-native]')) tool.hidden = !core.frames.origin.includes(memdeep.payload.NATIVE);
    document.addEventListener('keydown', onKey);
    memdeep.words.onChange(speak);
    store.subscribe((state, changed) => render(state, changed));
    speak();
    return { flame, chooseRow };
  }

  memdeep.compareExplorer = { create };
})(globalThis.memdeep = globalThis.memdeep || {});
