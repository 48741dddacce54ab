// Ties what is looked at to the address, so that a link or the Back button brings it again.
(function (memdeep) {
  'use strict';

  const { DEFAULTS } = memdeep.store;
  const CHOICES = {
    metric: ['retained', 'peak', 'freed', 'allocated', 'churn', 'growth'],
    view: ['flame', 'lines', 'functions', 'modules', 'source'],
    native: ['fold', 'show', 'hide'],
  };
  const FLAGS = ['invert', 'threads', 'imports', 'flip', 'regex'];
  const STEPS = ['scope', 'versus', 'metric', 'view', 'frames', 'file']; // worth a step in the history

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

  function write(state) {
    const words = new URLSearchParams();
    if (state.scope.kind === 'phase') words.set('phase', state.scope.phase);
    else words.set('between', scopeText(state.scope));
    if (state.versus !== null) words.set('vs', scopeText(state.versus));
    words.set('metric', state.metric);
    for (const key of ['view', 'native']) if (state[key] !== DEFAULTS[key]) words.set(key, state[key]);
    for (const key of FLAGS) if (state[key]) words.set(key, '1');
    if (state.query !== '') words.set('find', state.query);
    if (state.frames.length > 0) words.set('frame', state.frames.join('.'));
    if (state.file !== null) words.set('file', state.file);
    return '#' + words;
  }

  // What is damaged or out of range in an address is left out.
  function read(hash, limits) {
    const words = new URLSearchParams(hash.replace(/^#/, ''));
    const patch = { ...DEFAULTS };
    delete patch.scope;
    delete patch.metric;
    delete patch.selected;
    const scope = scopeOf(words.has('phase') ? 'phase-' + words.get('phase') : words.get('between'), limits);
    if (scope !== null) patch.scope = scope;
    patch.versus = scopeOf(words.get('vs'), limits);
    for (const [key, choices] of Object.entries(CHOICES)) {
      if (choices.includes(words.get(key))) patch[key] = words.get(key);
    }
    if (scope !== null && !limits.metrics(scope, patch.versus).includes(patch.metric)) delete patch.metric;
    for (const key of FLAGS) patch[key] = words.get(key) === '1';
    patch.query = words.get('find') ?? '';
    const frames = words.get('frame') ?? '';
    patch.frames = /^\d+(\.\d+)*$/.test(frames) ? frames.split('.').map(Number) : [];
    const file = words.get('file');
    if (file !== null && /^\d+$/.test(file)) patch.file = Number(file);
    return patch;
  }

  // A hash without "=" is a place on the page (#main), not something to look at.
  const isState = (hash) => hash === '' || hash.includes('=');

  function tie(store, limits) {
    const beginning = store.get();
    let written = location.hash;
    let isRestoring = false;
    store.subscribe((state, changed) => {
      const address = write(state);
      if (isRestoring || address === written) return;
      written = address;
      const isStep = STEPS.some((key) => changed.has(key));
      history[isStep ? 'pushState' : 'replaceState'](null, '', address);
    });
    const follow = () => {
      if (location.hash === written || !isState(location.hash)) return;
      written = location.hash;
      isRestoring = true;
      store.set({ ...beginning, ...(written === '' ? {} : read(written, limits)), selected: null });
      isRestoring = false;
    };
    addEventListener('popstate', follow);
    addEventListener('hashchange', follow);
  }

  memdeep.link = { read, write, tie };
})(globalThis.memdeep = globalThis.memdeep || {});
