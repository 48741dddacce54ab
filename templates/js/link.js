// Ties what is looked at to the address, so that a link or the Back button brings it again.
(function (memdeep) {
  'use strict';

  const { DEFAULTS } = memdeep.store;
  const CHOICES = {
    metric: ['retained', 'peak', 'freed', 'allocated', 'churn', 'growth'],
    view: ['flame', 'tree', 'lines', 'functions', 'modules', 'source'],
    native: ['auto', 'fold', 'show', 'hide'],
    holding: ['tree', 'types'],
    lang: ['en', 'zh'],
    theme: ['auto', 'light', 'dark'],
  };
  const FLAGS = ['invert', 'threads', 'imports', 'flip', 'regex'];
  const NUMBERS = ['snapshot', 'since', 'holder'];
  const KINDS = ['lines', 'functions', 'modules'];
  // Browsers take few changes of the address at a time: one that is no step waits for the next ones.
  const PATIENCE_MS = 300;
  const STEPS = ['scope', 'versus', 'thread', 'metric', 'view', 'frames', 'around', 'file', 'snapshot', 'since', 'holding', 'holder']; // worth a step in the history

  function scopeText(scope) {
    return scope.kind === 'phase' ? 'phase-' + scope.phase : scope.from + '-' + scope.to;
  }

  function scopeOf(text, limits) {
    const phase = /^phase-(\d+)$/.exec(text ?? '');
    if (phase && Number(phase[1]) < limits.phases) return { kind: 'phase', phase: Number(phase[1]) };
    const pair = /^(\d+)-(\d+)$/.exec(text ?? '');
    if (!pair) return null;
    const [from, to] = [Number(pair[1]), Number(pair[2])];
    return from < to && to < limits.checkpoints ? { kind: 'between', from, to } : null;
  }

  function framesOf(text, limits) {
    if (!/^\d+(\.\d+)*$/.test(text ?? '')) return [];
    const frames = text.split('.').map(Number);
    return frames.every((frame) => frame < limits.frames) ? frames : [];
  }

  function rowText(selected) {
    return 'frames' in selected ? selected.frames.join('.') : selected.kind + '.' + selected.frame;
  }

  // lines.12 is a row of a table, 3.12.40 the path of a frame in the graph.
  function rowOf(text, limits) {
    const [, kind, rest] = /^(?:([a-z]+)\.)?([\d.]+)$/.exec(text ?? '') ?? [];
    const frames = framesOf(rest, limits);
    if (frames.length === 0) return null;
    if (kind === undefined) return { frames };
    return KINDS.includes(kind) && frames.length === 1 ? { kind, frame: frames[0] } : null;
  }

  function write(state) {
    const words = new URLSearchParams();
    if (state.scope.kind === 'phase') words.set('phase', state.scope.phase);
    else words.set('between', scopeText(state.scope));
    if (state.versus !== null) words.set('vs', scopeText(state.versus));
    words.set('metric', state.metric);
    for (const key of ['view', 'native', 'holding', 'lang', 'theme']) if (state[key] !== DEFAULTS[key]) words.set(key, state[key]);
    for (const key of FLAGS) if (state[key]) words.set(key, '1');
    if (state.thread !== null) words.set('thread', state.thread);
    if (state.query !== '') words.set('find', state.query);
    if (state.frames.length > 0) words.set('frame', state.frames.join('.'));
    if (state.around !== null) words.set('around', rowText(state.around));
    if (state.file !== null) words.set('file', state.file);
    for (const key of NUMBERS) if (state[key] !== null) words.set(key, state[key]);
    if (state.holds !== '') words.set('holds', state.holds);
    const row = state.selected === null ? '' : rowText(state.selected);
    if (row !== '') words.set('row', row);
    return '#' + words;
  }

  // What is damaged or out of range in an address is left out.
  function read(hash, limits) {
    const words = new URLSearchParams(hash.replace(/^#/, ''));
    const patch = { ...DEFAULTS };
    delete patch.scope;
    delete patch.metric;
    const scope = scopeOf(words.has('phase') ? 'phase-' + words.get('phase') : words.get('between'), limits);
    if (scope !== null) patch.scope = scope;
    patch.versus = scopeOf(words.get('vs'), limits);
    for (const [key, choices] of Object.entries(CHOICES)) {
      if (choices.includes(words.get(key))) patch[key] = words.get(key);
    }
    if (scope !== null && !limits.metrics(scope, patch.versus).includes(patch.metric)) delete patch.metric;
    for (const key of FLAGS) patch[key] = words.get(key) === '1';
    patch.thread = limits.threads.find((thread) => String(thread) === words.get('thread')) ?? null;
    patch.query = words.get('find') ?? '';
    patch.frames = framesOf(words.get('frame'), limits);
    patch.selected = rowOf(words.get('row'), limits);
    const around = rowOf(words.get('around'), limits);
    patch.around = around !== null && 'kind' in around && around.kind === patch.view ? around : null;
    const file = words.get('file');
    if (file !== null && /^\d+$/.test(file)) patch.file = Number(file);
    for (const key of NUMBERS) {
      const number = words.get(key);
      if (/^\d+$/.test(number ?? '') && (key === 'holder' || Number(number) < limits.snapshots)) patch[key] = Number(number);
    }
    patch.holds = words.get('holds') ?? '';
    return patch;
  }

  const OWN = { write, read, steps: STEPS };

  // A hash without "=" is a place on the page (#main), not something to look at.
  const isState = (hash) => hash === '' || hash.includes('=');

  // A page within a page (srcdoc) has no address that its scripts may change: nothing is linked to.
  function note(how, address) {
    try {
      history[how](null, '', address);
    } catch (error) {
      if (error.name !== 'SecurityError') throw error;
    }
  }

  // There, a link to a place of the page would lead to the page around it.
  function stayInside() {
    if (location.protocol !== 'about:') return;
    document.addEventListener('click', (event) => {
      const address = event.target.closest('a')?.getAttribute('href') ?? '';
      if (!address.startsWith('#')) return;
      event.preventDefault();
      const place = document.getElementById(address.slice(1));
      place?.scrollIntoView();
      place?.focus();
    });
  }

  // `ways` are those to write and to read a state, and the keys that are worth a step.
  function tie(store, limits, { write, read, steps } = OWN) {
    stayInside();
    const beginning = store.get();
    let written = location.hash;
    let isRestoring = false;
    let waiting = null;
    const settle = () => {
      if (waiting === null) return;
      clearTimeout(waiting);
      waiting = null;
      note('replaceState', written);
    };
    store.subscribe((state, changed) => {
      const address = write(state);
      if (isRestoring || address === written) return;
      if (steps.some((key) => changed.has(key))) {
        settle(); // the place that is left keeps its address
        note('pushState', address);
      } else {
        waiting ??= setTimeout(settle, PATIENCE_MS);
      }
      written = address;
    });
    const follow = () => {
      if (!isState(location.hash)) return;
      clearTimeout(waiting);
      waiting = null;
      if (location.hash === written) return;
      written = location.hash;
      isRestoring = true;
      const linked = { ...beginning, ...(written === '' ? {} : read(written, limits)) };
      const { lang, theme } = store.get(); // a way back is none to another language
      store.set({ ...linked, lang: linked.lang ?? lang, theme: linked.theme ?? theme });
      isRestoring = false;
    };
    addEventListener('popstate', follow);
    addEventListener('hashchange', follow);
  }

  memdeep.link = { read, write, tie };
})(globalThis.memdeep = globalThis.memdeep || {});
