// The one place that knows what the reader is looking at; everything else follows it.
(function (memdeep) {
  'use strict';

  const DEFAULTS = {
    scope: { kind: 'phase', phase: 0 },
    versus: null,
    metric: 'retained',
    view: 'flame',
    thread: null, // a thread or a process, where all is limited to it (thread-limit.js)
    native: 'auto', // folded, unless flame-native.js unfolds it
    invert: false,
    threads: false,
    imports: false,
    flip: false,
    regex: false,
    query: '',
    frames: [], // the path of the frame that fills the flame graph
    selected: null, // { frames } or { kind, frame }: what the panel beside it tells of
    around: null, // { kind, frame }: a row of a table whose callers and callees are shown in its place
    file: null,
    snapshot: null, // of the objects, that is looked at in the holders; null for the largest
    since: null, // the one that it is compared with
    holding: 'tree', // or 'types'
    holder: null, // the row of it that is selected
    holds: '', // the types and paths that are looked for
    lang: null, // as chosen on this page, or by the link that led here
    theme: null,
  };

  function same(a, b) {
    return a === b || JSON.stringify(a) === JSON.stringify(b);
  }

  function create(initial) {
    let state = { ...DEFAULTS, ...initial };
    const followers = [];
    return {
      get: () => state,
      set(patch) {
        const changed = Object.keys(patch).filter((key) => !same(state[key], patch[key]));
        if (changed.length === 0) return;
        state = { ...state, ...patch };
        followers.forEach((follow) => follow(state, new Set(changed)));
      },
      subscribe: (follow) => followers.push(follow),
    };
  }

  memdeep.store = { create, DEFAULTS };
})(globalThis.memdeep = globalThis.memdeep || {});
