// The recorded run as the page carries it: blocks that are unpacked when they are first needed.
(function (memdeep) {
  'use strict';

  const ORIGINS = ['user', 'library', 'stdlib', 'native', 'memdeep', 'thread'];
  const NATIVE = ORIGINS.indexOf('native');
  const THREAD = ORIGINS.indexOf('thread');
  const opened = new Map();

  function canUnpack() {
    return typeof DecompressionStream === 'function';
  }

  async function unpack(text) {
    const packed = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
    return new Response(stream).json();
  }

  // The steps between nodes are stored, not the nodes.
  function withNodes(fields) {
    let node = 0;
    return { ...fields, node: fields.node.map((step) => (node += step)) };
  }

  function block(name) {
    if (!opened.has(name)) {
      const element = document.querySelector('script[data-block="' + name + '"]');
      const content = element === null ? Promise.resolve(null) : unpack(element.textContent.trim());
      opened.set(name, name === 'lifetimes' ? content.then(withNodes) : content);
    }
    return opened.get(name);
  }

  // The file's name; that of a package's own file says nothing without the directory before it.
  function baseName(path) {
    const parts = path.split(/[\\/]/);
    const needsParent = /^__(init|main)__\.py$/.test(parts[parts.length - 1]);
    return parts.slice(needsParent ? -2 : -1).join('/');
  }

  // Source lines by file and number.
  function sourceReader(strings, { file, start, text }) {
    const files = new Map();
    file.forEach((name, run) => {
      if (!files.has(strings[name])) files.set(strings[name], new Map());
      text[run].forEach((line, offset) => files.get(strings[name]).set(start[run] + offset, line));
    });
    return files;
  }

  function frameReader(core, files) {
    const { strings, frames } = core;
    const functionName = (frame) => strings[frames.function[frame]];
    const path = (frame) => strings[frames.file[frame]];
    const withLine = (frame, file) => {
      const line = frames.line[frame];
      return line > 0 ? file + ':' + line : file;
    };
    return {
      count: frames.function.length,
      functionName,
      file: path,
      line: (frame) => frames.line[frame],
      path: (frame) => withLine(frame, path(frame)),
      location: (frame) => withLine(frame, baseName(path(frame))) || functionName(frame),
      origin: (frame) => ORIGINS[frames.origin[frame]],
      source: (frame) => files.get(path(frame))?.get(frames.line[frame])?.trim() || null,
    };
  }

  async function open() {
    const [core, sources, lifetimes, lines, transients, largest] = await Promise.all(
      ['core', 'sources', 'lifetimes', 'lines', 'transients', 'largest'].map(block),
    );
    const files = sourceReader(core.strings, sources);
    return { core, lifetimes, lines, transients, largest, files, frames: frameReader(core, files) };
  }

  memdeep.payload = { NATIVE, THREAD, ORIGINS, canUnpack, block, open, baseName };
})(globalThis.memdeep = globalThis.memdeep || {});
