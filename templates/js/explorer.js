// What made the memory of a stretch: its flame graph, lines and source. Follows the store.
(function (memdeep) {
  'use strict';

  const { scope: scopes, threadLimit, format } = memdeep;
  const FOLDED_WORTH_SAYING = 0.0005;
  const SUMS = ['scope', 'versus', 'thread', 'metric'];
  const TREE = [...SUMS, 'native', 'invert', 'threads', 'imports', 'flip'];
  const TABLES = ['lines', 'functions', 'modules'];
  const say = (key, values) => memdeep.words.say(key, values);

  // Such a state can be linked to, though nothing offers it.
  function possible(core, state) {
    const offered = scopes.metricsOf(core, state.scope, state.versus);
    return offered.includes(state.metric) ? state : { ...state, metric: 'growth' };
  }

  function create(root, data, store, tooltip) {
    const { core, frames, blocks } = data;
    const one = (name) => root.querySelector('[data-' + name + ']');
    const part = {
      shortcuts: one('phase-choice').closest('label'), title: one('title'), heading: one('heading'), facts: one('scope-facts'), notes: one('scope-notes'), empty: one('empty'), folded: one('folded'),
      graph: one('graph'), table: one('table'), source: one('source'), panel: one('panel'),
      legend: one('legend'), direction: one('direction'), canvas: one('canvas'),
    };
    const shortcuts = memdeep.scopeShortcuts.create(part.shortcuts, core, {
      choose: (scope, metric) => store.set({ scope, metric, versus: null, frames: [], selected: null }),
    });
    const bar = memdeep.scopeBar.create(root, core, { scope: chooseScope, versus: (versus) => store.set({ versus }) });
    const flame = memdeep.flameView.create(part.graph, data, tooltip, {
      zoom: (path) => store.set({ frames: path }),
      select: (path) => store.set({ selected: { frames: path } }),
    });
    const tools = memdeep.explorerTools.create(root, data, store, {
      match: (step) => { if (store.get().view === 'flame') flame.nextMatch(step); },
      leave: () => (part.graph.hidden ? one('views').querySelector('[aria-pressed="true"]') : part.canvas).focus(),
    });
    const panel = memdeep.stackPanel.create(part.panel, data, {
      source: showInSource,
      largest: showLargest,
      graph: (frame) => store.set({ view: 'flame', query: frames.location(frame), regex: false }),
    });
    const lookAround = (kind, frame) => store.set({ around: { kind, frame }, selected: { kind, frame } });
    const sandwich = memdeep.sandwich.create(part.table, data, {
      choose: (frame) => lookAround(store.get().around.kind, frame),
      leave: () => store.set({ around: null }),
    });
    const lines = memdeep.lines.create(part.table, data, {
      select: (row, kind) => store.set({ selected: { kind, frame: row.frame } }),
      around: (row, kind) => lookAround(kind, row.frame),
      source: (row) => showInSource(row.frame),
    });
    const callTree = memdeep.treeView.create(part.table, data, {
      select: (path) => store.set({ selected: { frames: path } }),
    });
    const source = memdeep.sourceView.create(part.source, data, {
      file: (file) => store.set({ file }),
      line: (frame) => store.set({ selected: { kind: 'lines', frame } }),
    });
    let sums = null; // { node, line }: pictures of what is looked at; lines only where they are used
    let tree = null;
    let turn = 0;

    function showInSource(frame) {
      store.set({ view: 'source', around: null, file: core.frames.file[frame], selected: { kind: 'lines', frame } });
    }

    // Where the phase is none, the stretch up to the next checkpoint.
    function showLargest(frame, phase, born) {
      const scope = phase < 0 ? { kind: 'between', from: born - 1, to: born } : { kind: 'phase', phase };
      const metric = core.blocks.transients ? 'allocated' : 'retained';
      store.set({ scope, metric, versus: null, view: 'lines', around: null, frames: [], selected: { kind: 'lines', frame } });
    }

    // The graph and its frames need no lines.
    const usesLines = ({ view, selected }) => !['flame', 'tree'].includes(view) || (selected !== null && 'kind' in selected);

    // Blocks are unpacked when they are first needed.
    async function need(state) {
      const names = new Set(['largest', 'transients', ...(usesLines(state) ? ['lines'] : [])]);
      for (const scope of [state.scope, state.versus]) {
        const hasPeak = scope !== null && scopes.metricsOf(core, scope).includes('peak');
        const metrics = state.thread === null || !hasPeak ? [state.metric] : [state.metric, 'peak'];
        for (const metric of scope === null ? [] : metrics) scopes.blocksFor(core, scope, metric, 'node').forEach((name) => names.add(name));
      }
      await data.need([...names].filter((name) => !(name in blocks) && data.has(name)));
    }

    function addUp(state, isNew) {
      if (isNew) sums = { node: threadLimit.picture(blocks, state, 'node'), line: null };
      if (usesLines(state)) sums.line ??= threadLimit.picture(blocks, state, 'line');
    }

    function whyEmpty(state) {
      const unknown = [state.scope, state.versus].filter(Boolean).map((scope) => scopes.whyUnknown(core, scope, state.metric));
      const reason = unknown.find((key) => key !== null);
      if (reason !== undefined) return say(reason);
      return tree.width[0] === 0 ? say(state.versus === null ? 'flame.empty_' + state.metric : 'flame.empty_growth') : null;
    }

    function showHeading(state) {
      part.title.textContent = bar.name(state.scope);
      part.heading.textContent = state.versus === null ? '' : say('flame.compared', { name: bar.name(state.versus) });
      const edges = scopes.stretchesOf(core, state.scope);
      const { time } = core.checkpoints;
      const facts = [say('flame.when', { start_s: time[edges[0]], end_s: time[edges.at(-1)] })];
      if (edges.length > 2) facts.push(say('flame.repeats', { n: edges.length / 2 }));
      const growth = threadLimit.total(blocks, state.scope, 'growth', state.thread);
      if (growth !== null) facts.push(say('flame.heap', { bytes: format.signedBytes(growth) }));
      part.facts.textContent = facts.join(' · ');
      const notes = state.scope.kind === 'phase' ? memdeep.phaseNotes.all(core, state.scope.phase) : [];
      part.notes.replaceChildren(...notes.map((note) => memdeep.elements.element('p', '', note)));
    }

    function showGraph(state) {
      flame.show(tree, {
        title: bar.name(state.scope),
        label: say('flame.graph', { name: bar.name(state.scope), metric: say('metric.' + state.metric) }),
        flip: state.flip,
        frames: state.frames,
        selected: state.selected?.frames ?? null,
      });
      showMatches(state);
    }

    function showMatches(state) {
      const wanted = state.query === '' ? null : memdeep.search.matchingFrames(frames, state.query, state.regex);
      const found = tree.width[0] === 0 ? null : flame.mark(wanted);
      const isBad = state.query !== '' && wanted === null;
      tools.showMatched(isBad ? 'bad' : state.view === 'flame' ? found : null, tree.width[0], tree.signed);
    }

    function filterOf(state) {
      const wanted = state.query === '' ? null : memdeep.search.matchingFrames(frames, state.query, state.regex);
      return (frame) => wanted === null || wanted[frame] === 1;
    }

    // What is searched for; nothing where nothing is.
    const matchesOf = (state) => (state.query === '' ? () => false : filterOf(state));

    function showFolded({ metric, scope }) {
      const { peaks, peakFolded } = core.blocks;
      const share = metric === 'peak' ? peakFolded[peaks.indexOf(scopes.peakOf(core, scope))] ?? 0 : core.folded;
      part.folded.hidden = share < FOLDED_WORTH_SAYING;
      part.folded.textContent = say('flame.folded', { share_share: share });
    }

    function showView(state) {
      showFolded(state);
      const why = whyEmpty(state);
      part.empty.hidden = why === null;
      part.empty.textContent = why ?? '';
      part.graph.hidden = why !== null || state.view !== 'flame';
      let isBackAtTable = false;
      const isTable = why === null && TABLES.includes(state.view);
      part.table.hidden = !isTable || state.around !== null;
      if (isTable && state.around !== null) sandwich.show(sums.node, state.around);
      else if (sandwich.hide() && isTable) isBackAtTable = true;
      if (why === null && state.view === 'tree') callTree.show(tree, bar.name(state.scope), matchesOf(state));
      else callTree.hide();
      part.source.hidden = why !== null || state.view !== 'source';
      part.panel.hidden = why !== null;
      part.legend.hidden = part.graph.hidden || tree.signed;
      part.direction.hidden = part.graph.hidden || !tree.signed;
      if (!part.table.hidden) lines.show(sums, state.view, filterOf(state), state);
      if (isBackAtTable) lines.focus();
      if (!part.source.hidden) showSource(state);
      if (!part.graph.hidden) flame.redraw();
    }

    function showSource(state) {
      source.show(sums, state.file, state.selected?.kind === 'lines' ? state.selected.frame : null);
    }

    // Where nothing is selected, the panel tells of all of it, and so of its heaviest stack.
    function showSelected(state) {
      const selected = state.selected ?? { frames: [] };
      const path = selected.frames ?? null;
      const title = path === null ? memdeep.ranking.NAMES[selected.kind](frames, selected.frame)[0]
        : path.length === 0 ? say('flame.whole') : frames.functionName(path.at(-1));
      panel.show({
        selection: memdeep.selection.describe(data, sums, selected, state),
        title,
        isRow: path === null,
        isAll: path !== null && path.length === 0,
        sums,
        options: state,
        stretches: scopes.stretchesOf(core, state.scope),
      });
    }

    async function render(asked, changed) {
      const mine = turn += 1;
      await need(asked);
      if (mine !== turn) return; // something else was chosen meanwhile
      const has = (keys) => keys.some((key) => changed.has(key));
      addUp(asked, sums === null || has(SUMS));
      const state = { ...asked, native: memdeep.flameNative.modeFor(core, sums.node, asked) };
      bar.show(state);
      shortcuts.show(state);
      tools.show(state);
      showHeading(state);
      if (tree === null || has(TREE)) {
        tree = memdeep.flameLayout.build(core, sums.node, state);
        showGraph(state);
      } else if (has(['frames'])) {
        flame.zoomTo(state.frames);
      }
      if (has(['query', 'regex', 'view'])) showMatches(state);
      if (has([...TREE, 'view', 'around', 'file'])) showView(state);
      else if (has(['query', 'regex']) && !part.table.hidden) lines.filter(filterOf(state));
      else if (has(['query', 'regex']) && state.view === 'tree' && part.empty.hidden) callTree.show(tree, bar.name(state.scope), matchesOf(state));
      else if (has(['selected']) && !part.source.hidden) showSource(state);
      if (has(['selected']) && !part.table.hidden) lines.select(state.selected);
      if (has([...TREE, 'selected'])) showSelected(state);
    }

    function chooseScope(scope) {
      const { metric, versus, scope: before, thread } = store.get();
      const offered = scopes.metricsOf(core, scope, versus);
      // A phase of a thread is charged with what that thread did; who has chosen another one keeps it.
      const isChosen = thread !== null && thread !== threadLimit.ownOf(core, before);
      store.set({
        scope, frames: [], selected: null, metric: offered.includes(metric) ? metric : 'growth',
        thread: isChosen ? thread : threadLimit.ownOf(core, scope),
      });
    }

    // What changes while blocks are unpacked is not forgotten by what comes after it.
    let waiting = new Set();
    async function follow(changed) {
      waiting = new Set([...waiting, ...changed]);
      const mine = waiting;
      root.setAttribute('aria-busy', 'true');
      await render(possible(core, store.get()), mine);
      if (mine !== waiting) return;
      waiting = new Set();
      root.removeAttribute('aria-busy');
    }

    function speak() {
      bar.fill();
      shortcuts.speak();
      tools.speak();
      return follow([...TREE, 'view']);
    }

    // Keys that work wherever the reader is, unless something is being typed.
    function onKey(event) {
      const isTyping = event.target.closest('input, select, textarea') !== null;
      if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      const inGraph = !part.graph.hidden && store.get().query !== '';
      if (event.key === '/') tools.focusSearch();
      else if (event.key === 'Escape' && store.get().around !== null && TABLES.includes(store.get().view)) store.set({ around: null });
      else if (event.key === 'Escape' && root.contains(event.target) && !part.graph.hidden) flame.back();
      else if ((event.key === 'n' || event.key === 'N') && inGraph) flame.nextMatch(event.key === 'n' ? 1 : -1);
      else return;
      event.preventDefault();
    }

    document.addEventListener('keydown', onKey);
    memdeep.words.onChange(speak);
    store.subscribe((_, changed) => follow(changed));
    return { flame, chooseScope, ready: speak() };
  }

  memdeep.explorer = { create };
})(globalThis.memdeep = globalThis.memdeep || {});
