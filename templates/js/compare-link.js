// What of the page of two runs stands in its address.
(function (memdeep) {
  'use strict';

  const WIDTHS = ['larger', 'before', 'after', 'difference'];
  const FLAGS = ['regex', 'natives', 'invert', 'imports', 'flip'];
  const DEFAULTS = {
    scope: { kind: 'peak' }, metric: 'auto', width: 'larger', query: '', frames: [], selected: null, lang: null, theme: null,
    ...Object.fromEntries(FLAGS.map((flag) => [flag, false])),
  };
  const CHOICES = { metric: ['auto', 'kept', 'peak'], width: WIDTHS, lang: ['en', 'zh'], theme: ['auto', 'light', 'dark'] };

  function write(state) {
    const words = new URLSearchParams();
    words.set('phase', state.scope.kind === 'phase' ? state.scope.phase : 'peak');
    for (const key of Object.keys(CHOICES)) if (state[key] !== DEFAULTS[key]) words.set(key, state[key]);
    for (const flag of FLAGS) if (state[flag]) words.set(flag, '1');
    if (state.query !== '') words.set('find', state.query);
    if (state.frames.length > 0) words.set('frame', state.frames.join('.'));
    return '#' + words;
  }

  // What is damaged or out of range in an address is left out.
  function read(hash, limits) {
    const words = new URLSearchParams(hash.replace(/^#/, ''));
    const patch = { ...DEFAULTS };
    delete patch.scope;
    const phase = words.get('phase');
    if (phase === 'peak') patch.scope = { kind: 'peak' };
    else if (/^\d+$/.test(phase ?? '') && Number(phase) < limits.phases) patch.scope = { kind: 'phase', phase: Number(phase) };
    for (const [key, choices] of Object.entries(CHOICES)) if (choices.includes(words.get(key))) patch[key] = words.get(key);
    for (const flag of FLAGS) patch[flag] = words.get(flag) === '1';
    patch.query = words.get('find') ?? '';
    const frame = words.get('frame') ?? '';
    const frames = /^\d+(\.\d+)*$/.test(frame) ? frame.split('.').map(Number) : [];
    if (frames.every((one) => one < limits.frames)) patch.frames = frames;
    return patch;
  }

  memdeep.compareLink = { DEFAULTS, FLAGS, write, read, steps: ['scope', 'metric', 'width', 'frames', 'invert'] };
})(globalThis.memdeep = globalThis.memdeep || {});
