// Whether native frames are unfolded where the reader has not said so. Pure.
(function (memdeep) {
  'use strict';

  const { ROOT, build } = memdeep.flameTree;
  const { NATIVE, ORIGINS } = memdeep.payload;
  const TOOL = ORIGINS.indexOf('tool');
  const MOST = 0.9; // of the bytes: a box that holds so much says nothing of what is beneath it
  const DEEP = 3; // boxes above it, its own included: with more Python is told well enough
  const TOLD = 0.75; // unfolded, no box holds more by itself: there is something to be seen
  const OWN = 0.5; // of the bytes that go through compiled code of the user's own
  const LIBRARY = /\.(so|pyd|dylib)(\.[\d.]+)?$/;
  const INSTALLED = /[\\/](site|dist)-packages[\\/]|[\\/]lib[\\/](python3|lib)|^[\\/](usr|lib|opt)|[\\/]lib(python|c|m|stdc\+\+|pthread)[\d.-][^\\/]*$/;

  const PACKAGE = /^.*[\\/](site|dist)-packages[\\/][^\\/]+[\\/]/;
  const MYPYC = /[^\\/]__mypyc\.[^\\/]*$/; // it lies beside the packages it was made of

  const isOwnLibrary = (path) => /[\\/]/.test(path) && LIBRARY.test(path) && !INSTALLED.test(path);

  // Of each string whether it is the file of such code; a tool that was run is the user's, too.
  function ownLibraries({ strings, frames }) {
    const ofTool = frames.file.filter((_, frame) => frames.origin[frame] === TOOL).map((file) => strings[file]);
    const packages = new Set(ofTool.map((path) => PACKAGE.exec(path)?.[0]).filter(Boolean));
    return strings.map((path) => isOwnLibrary(path) || (LIBRARY.test(path)
      && (packages.has(PACKAGE.exec(path)?.[0]) || (ofTool.length > 0 && MYPYC.test(path)))));
  }

  // The share of the bytes whose stacks go through compiled code of the user's.
  function shareOfOwn(core, { bytes }) {
    const { frames, nodes } = core;
    const isOwn = ownLibraries(core);
    const within = new Uint8Array(nodes.parent.length);
    let [own, all] = [0, 0];
    nodes.parent.forEach((parent, node) => {
      const frame = nodes.frame[node];
      const isHere = frames.origin[frame] === NATIVE && isOwn[frames.file[frame]];
      within[node] = Number(isHere || (parent >= 0 && within[parent] === 1));
      all += Math.abs(bytes[node]);
      if (within[node]) own += Math.abs(bytes[node]);
    });
    return all > 0 ? own / all : 0;
  }

  // The box that holds most by itself: its share of all, and how many boxes lead to it.
  function largestBox({ parent, own, width }) {
    const most = own.reduce((best, bytes, node) => (Math.abs(bytes) > Math.abs(own[best]) ? node : best), ROOT);
    let depth = 0;
    for (let node = most; node !== ROOT; node = parent[node]) depth += 1;
    return { share: width[ROOT] > 0 ? Math.abs(own[most]) / width[ROOT] : 0, depth };
  }

  // What is done with native frames: as the reader chose, or, of 'auto', 'show' where they are what
  // there is to see: compiled code of the user's own, or a graph that is one box.
  function modeFor(core, sum, options) {
    if (options.native !== 'auto') return options.native;
    if (options.invert || !core.frames.origin.includes(NATIVE)) return 'fold';
    if (shareOfOwn(core, sum) >= OWN) return 'show';
    const folded = largestBox(build(core, sum, { ...options, native: 'fold' }));
    if (folded.share < MOST || folded.depth > DEEP) return 'fold';
    return largestBox(build(core, sum, { ...options, native: 'show' })).share < TOLD ? 'show' : 'fold';
  }

  memdeep.flameNative = { modeFor, isOwnLibrary };
})(globalThis.memdeep = globalThis.memdeep || {});
