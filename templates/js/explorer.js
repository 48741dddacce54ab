// What made the memory of one stretch: its flame graph, lines and source. Follows the store.
(function (memdeep) {
  'use strict';

  const { scope: scopes, flameTree, flameLayout, format, payload } = memdeep;
  const FOLDED_WORTH_SAYING = 0.0005;
  const PICTURE = ['scope', 'versus', 'metric', 'native', 'invert', 'threads', 'imports', 'flip'];
  const say = (key, values) => memdeep.words.say(key, values);

  // A regular expression, or plain words whatever their case; null if it is no expression.
  function matcher(query, isRegex) {
    if (!isRegex) {
      const wanted = query.toLowerCase();
      return (text) => text.toLowerCase().includes(wanted);
    }
    try {
      const pattern = new RegExp(query, 'i');
      return (text) => pattern.test(text);
    } catch {
      return null;
    }
  }

  function create(root, data, store, tooltip) {
    const { core, frames } = data;
    const one = (name) => root.querySelector('[data-' + name + ']');
    const part = {
      phase: one('phase-choice'), from: one('from'), to: one('to'), versus: one('versus'),
      metrics: one('metrics'), views: one('views'), search: one('search'), regex: one('regex'),
      native: one('native-mode'), matched: one('matched'), empty: one('empty'), folded: one('folded'),
      graph: one('graph'), table: one('table'), source: one('source'), panel: one('panel'),
      title: one('title'), heading: one('heading'), legend: one('legend'), direction: one('direction'),
    };
    const flags = [...root.querySelectorAll('[data-flag]')];
    const panel = memdeep.stackPanel.create(part.panel, data);
    const flame = memdeep.flameView.create(part.graph, frames, tooltip, {
      zoom: (path) => store.set({ frames: path }),
      select: (path) => store.set({ selected: { frames: path } }),
      back: () => store.set({ frames: [] }),
    });
    const lines = memdeep.lines.create(part.table, data, { select: selectRow });
    const source = memdeep.sourceView.create(part.source, data, { file: (file) => store.set({ file }) });
    const peaks = new Map();
    let sums = null; // of the scope and metric: { node, line, signed }
    let turn = 0;

    async function peakOf(scope, metric) {
      if (metric !== 'peak' || scope.kind !== 'phase') return null;
      if (!peaks.has(scope.phase)) peaks.set(scope.phase, await payload.block('peak-' + scope.phase));
      return peaks.get(scope.phase);
    }

    function sumsFor(key, state, peak, otherPeak) {
      const own = scopes.sumsBy(data, state.scope, state.metric, key, peak);
      if (state.versus === null) return own;
      return scopes.difference(own, scopes.sumsBy(data, state.versus, state.metric, key, otherPeak));
    }

    function scopeName(scope) {
      if (scope.kind === 'phase') return core.phases.name[scope.phase];
      return core.checkpoints.label[scope.from] + ' → ' + core.checkpoints.label[scope.to];
    }

    function metricKey(state) {
      return 'metric.' + state.metric;
    }

    async function rebuild(state) {
      const mine = turn += 1;
      const [peak, otherPeak] = await Promise.all([
        peakOf(state.scope, state.metric),
        state.versus === null ? null : peakOf(state.versus, state.metric),
      ]);
      if (mine !== turn) return; // something else was chosen meanwhile
      sums = {
        node: sumsFor('node', state, peak, otherPeak),
        line: sumsFor('line', state, peak, otherPeak),
        signed: state.metric === 'growth' || state.versus !== null,
      };
      showGraph(state);
      showControls(state);
      showView(state);
      showSelected(state);
    }

    function showGraph(state) {
      const tree = flameLayout.layOut(flameTree.build(core, sums.node, state));
      const isEmpty = tree.total === 0;
      part.empty.hidden = !isEmpty || state.view !== 'flame';
      part.graph.hidden = isEmpty || state.view !== 'flame';
      part.empty.textContent = whyEmpty(state);
      const title = scopeName(state.scope);
      if (!isEmpty) {
        flame.show(tree, {
          title,
          isDifference: sums.signed,
          flip: state.flip,
          frames: state.frames,
          label: say('flame.graph', { name: title, metric: say(metricKey(state)) }),
        });
        showMatches(state);
      }
    }

    function whyEmpty(state) {
      if (!scopes.isTraced(core, state.scope)) return say('flame.not_traced');
      if (state.metric === 'peak' && !core.blocks.peaks.includes(state.scope.phase)) return say('flame.not_in_page');
      return say('flame.empty_' + state.metric);
    }

    function matchFrames(state) {
      const matches = matcher(state.query, state.regex);
      if (matches === null) return null;
      return Uint8Array.from({ length: frames.count }, (_, frame) => Number(
        matches(frames.functionName(frame) + '\n' + frames.path(frame)),
      ));
    }

    function showMatches(state) {
      part.search.removeAttribute('aria-invalid');
      if (state.query === '') {
        flame.mark(null);
        part.matched.textContent = '';
        return;
      }
      const wanted = matchFrames(state);
      if (wanted === null) {
        part.search.setAttribute('aria-invalid', 'true');
        part.matched.textContent = say('flame.bad_regex');
        flame.mark(null);
        return;
      }
      const found = flame.mark(wanted);
      const total = sums.node.bytes.reduce((sum, bytes) => sum + Math.abs(bytes), 0);
      part.matched.textContent = found.count === 0 ? say('flame.no_match') : say('flame.matched', {
        n: found.count, sum_bytes: found.bytes, share_share: total > 0 ? found.bytes / total : 0,
      });
    }

    function totalText(state, metric) {
      if (!scopes.isTraced(core, state.scope)) return '–';
      if (metric === 'peak') return format.bytes(core.phases.peak[state.scope.phase]);
      const { total } = scopes.sumsBy(data, state.scope, metric, 'line', null);
      return metric === 'growth' ? format.signedBytes(total) : format.bytes(total);
    }

    function showControls(state) {
      part.title.textContent = scopeName(state.scope);
      part.heading.textContent = state.versus === null
        ? '' : say('flame.compared', { name: scopeName(state.versus) });
      part.phase.value = state.scope.kind === 'phase' ? String(state.scope.phase) : '';
      const stretches = scopes.stretchesOf(core, state.scope);
      part.from.value = String(stretches[0]);
      part.to.value = String(stretches.at(-1));
      part.versus.value = state.versus?.kind === 'phase' ? String(state.versus.phase) : '';
      const offered = scopes.metricsOf(core, state.scope);
      for (const tab of part.metrics.querySelectorAll('button')) {
        const { metric } = tab.dataset;
        tab.hidden = !offered.includes(metric) || (metric === 'growth' && state.versus !== null);
        tab.setAttribute('aria-pressed', String(metric === state.metric));
        tab.title = say(`metric.${metric}_meaning`);
        tab.querySelector('[data-total]').textContent = tab.hidden ? '' : totalText(state, metric);
      }
      for (const tab of part.views.querySelectorAll('button')) {
        tab.setAttribute('aria-pressed', String(tab.dataset.view === state.view));
      }
      part.native.value = state.native;
      for (const flag of flags) flag.checked = state[flag.dataset.flag];
      if (part.search.value !== state.query) part.search.value = state.query;
      part.legend.hidden = sums.signed || state.view !== 'flame';
      part.direction.hidden = !sums.signed || state.view !== 'flame';
    }

    function showView(state) {
      const isTable = ['lines', 'functions', 'modules'].includes(state.view);
      part.table.hidden = !isTable;
      part.source.hidden = state.view !== 'source';
      root.querySelectorAll('[data-only-flame]').forEach((tool) => { tool.hidden = state.view !== 'flame'; });
      if (isTable) {
        const matches = matcher(state.query, state.regex) ?? (() => true);
        const wanted = (frame) => matches(frames.functionName(frame) + '\n' + frames.path(frame));
        lines.show(sums.line, sums.node, state.view, sums.signed, wanted);
      }
      if (state.view === 'source') source.show(sums.line, state.file, sums.signed);
    }

    function bytesIn(nodes) {
      const sum = { bytes: 0, count: 0 };
      for (const node of nodes) {
        sum.bytes += sums.node.bytes[node];
        sum.count += sums.node.count[node];
      }
      return sum;
    }

    // Of several stacks the one that holds the most.
    function heaviest(nodes) {
      let best = null;
      for (const node of nodes) {
        if (best === null || Math.abs(sums.node.bytes[node]) > Math.abs(sums.node.bytes[best])) best = node;
      }
      return best;
    }

    function largestIn(state, nodes) {
      if (data.largest === null) return null;
      const at = new Set();
      const stretches = scopes.stretchesOf(core, state.scope);
      for (let i = 0; i < stretches.length; i += 2) {
        for (let place = stretches[i] + 1; place <= stretches[i + 1]; place += 1) at.add(place);
      }
      const sizes = data.largest.bytes.filter((_, row) => nodes.has(data.largest.node[row]) && at.has(data.largest.born[row]));
      return sizes.length > 0 ? Math.max(...sizes) : null;
    }

    function showSelected(state) {
      if (state.selected === null || sums === null) {
        panel.show(null);
        return;
      }
      const isLine = 'line' in state.selected;
      const nodes = isLine ? nodesOfLine(state.selected.line) : flameTree.nodesThrough(core, state.selected.frames, state);
      const sum = isLine
        ? { bytes: sums.line.bytes[state.selected.line], count: sums.line.count[state.selected.line] }
        : bytesIn(nodes);
      const all = sums.node.bytes.reduce((total, bytes) => total + Math.abs(bytes), 0);
      const node = heaviest(nodes);
      const table = isLine ? data.lines : data.lifetimes;
      const isWanted = isLine ? (line) => line === state.selected.line : (place) => nodes.has(place);
      panel.show({
        frames: isLine ? (node === null ? [core.lines[state.selected.line]] : flameTree.stackOf(core, node, { native: 'show', imports: true }))
          : (state.invert ? [...state.selected.frames].reverse() : state.selected.frames),
        ...sum,
        signed: sums.signed,
        share: all > 0 ? Math.abs(sum.bytes) / all : 0,
        largest: largestIn(state, nodes),
        aliveOverTime: scopes.aliveOverTime(table, isLine ? 'line' : 'node', isWanted, core.checkpoints.time.length),
      });
    }

    // The nodes whose bytes are charged to a line: those that run through it.
    function nodesOfLine(line) {
      const frame = core.lines[line];
      const through = new Uint8Array(core.nodes.parent.length);
      const found = new Set();
      core.nodes.parent.forEach((parent, node) => {
        const same = frames.path(core.nodes.frame[node]) === frames.path(frame);
        through[node] = Number(same || (parent >= 0 && through[parent] === 1));
        if (through[node]) found.add(node);
      });
      return found;
    }

    function selectRow(group, kind) {
      if (kind === 'lines') {
        const line = core.lines.findIndex((frame) => frames.path(frame) === frames.path(group.frame));
        if (line >= 0) store.set({ selected: { line } });
        else store.set({ query: frames.location(group.frame), view: 'flame' });
      } else if (kind === 'modules') {
        store.set({ view: 'source', file: core.frames.file[group.frame] });
      } else {
        store.set({ query: frames.functionName(group.frame), view: 'flame' });
      }
    }

    function option(value, text) {
      const made = document.createElement('option');
      made.value = value;
      made.textContent = text;
      return made;
    }

    function fillChoices() {
      const phases = core.phases.name.map((name, place) => option(place, '\u2003'.repeat(core.phases.depth[place]) + name));
      const points = core.checkpoints.label.map((label, place) => option(place, place + ' · ' + label));
      part.phase.replaceChildren(option('', '–'), ...phases);
      part.versus.replaceChildren(option('', say('flame.versus_none')), ...phases.map((made) => made.cloneNode(true)));
      part.from.replaceChildren(...points);
      part.to.replaceChildren(...points.map((made) => made.cloneNode(true)));
    }

    function choosePair() {
      const [a, b] = [Number(part.from.value), Number(part.to.value)];
      if (a !== b) chooseScope({ kind: 'between', from: Math.min(a, b), to: Math.max(a, b) });
    }

    function chooseScope(scope) {
      const { metric } = store.get();
      const offered = scopes.metricsOf(core, scope);
      store.set({ scope, frames: [], selected: null, metric: offered.includes(metric) ? metric : 'growth' });
    }

    part.phase.addEventListener('change', () => {
      if (part.phase.value !== '') chooseScope({ kind: 'phase', phase: Number(part.phase.value) });
    });
    part.from.addEventListener('change', choosePair);
    part.to.addEventListener('change', choosePair);
    part.versus.addEventListener('change', () => {
      const versus = part.versus.value === '' ? null : { kind: 'phase', phase: Number(part.versus.value) };
      const { metric } = store.get();
      store.set({ versus, frames: [], metric: versus !== null && metric === 'growth' ? 'retained' : metric });
    });
    part.metrics.addEventListener('click', (event) => {
      const tab = event.target.closest('button');
      if (tab) store.set({ metric: tab.dataset.metric, frames: [] });
    });
    part.views.addEventListener('click', (event) => {
      const tab = event.target.closest('button');
      if (tab) store.set({ view: tab.dataset.view });
    });
    part.search.addEventListener('input', () => store.set({ query: part.search.value.trim() }));
    part.search.addEventListener('keydown', (event) => {
      if (event.key === 'Enter') flame.nextMatch(event.shiftKey ? -1 : 1);
      if (event.key === 'Escape') store.set({ query: '' });
    });
    part.native.addEventListener('change', () => store.set({ native: part.native.value, frames: [] }));
    for (const flag of flags) {
      flag.addEventListener('change', () => store.set({ [flag.dataset.flag]: flag.checked, frames: [] }));
    }
    document.addEventListener('keydown', (event) => {
      const typing = event.target.closest('input, select, textarea');
      if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey) {
        event.preventDefault();
        part.search.focus();
      }
    });

    const hasThreads = core.frames.origin.includes(payload.THREAD);
    const hasNative = core.frames.origin.includes(payload.NATIVE);
    root.querySelectorAll('[data-needs-threads]').forEach((tool) => { tool.hidden = !hasThreads; });
    root.querySelectorAll('[data-needs-native]').forEach((tool) => { tool.hidden = !hasNative; });

    function speak() {
      fillChoices();
      part.folded.hidden = core.folded < FOLDED_WORTH_SAYING;
      part.folded.textContent = say('flame.folded', { share_share: core.folded });
      rebuild(store.get());
    }

    memdeep.words.onChange(speak);
    store.subscribe((state, changed) => {
      if (PICTURE.some((key) => changed.has(key))) rebuild(state);
      else if (sums !== null) {
        if (changed.has('frames')) flame.zoomTo(state.frames);
        if (changed.has('query') || changed.has('regex')) { showControls(state); showMatches(state); showView(state); }
        if (changed.has('view') || changed.has('file')) { showGraph(state); showControls(state); showView(state); }
        if (changed.has('selected')) showSelected(state);
      }
    });
    speak();
    return { flame, chooseScope };
  }

  memdeep.explorer = { create, matcher };
})(globalThis.memdeep = globalThis.memdeep || {});
