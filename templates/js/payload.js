// The recorded run as the page carries it: blocks that are unpacked when they are first needed.
(function (memdeep) {
  'use strict';

  const ORIGINS = ['user', 'tool', 'library', 'stdlib', 'native', 'memdeep', 'thread'];
  const NATIVE = ORIGINS.indexOf('native');
  const THREAD = ORIGINS.indexOf('thread');
  const NO_STACK = 'no Python stack'; // as in memdeep/model/heap.py
  const LIBRARIES = /^((site|dist)-packages|python3(\.\d+t?)?)$/; // directories of packages
  const BUILD_TAGS = /(\.(cpython|pypy)[^.]*|\.abi3)(?=\.so)|(-[0-9a-f]{8})+(?=\.)/g;
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

  function element(name) {
    return document.querySelector('script[data-block="' + name + '"]');
  }

  // What is not in the page is null: it was not known, or not kept.
  function block(name) {
    if (!opened.has(name)) {
      const packed = element(name);
      const content = packed === null ? Promise.resolve(null) : unpack(packed.textContent.trim());
      opened.set(name, name === 'lifetimes' ? content.then(withNodes) : content);
    }
    return opened.get(name);
  }

  const withoutTags = (name) => (name.includes('.so') ? name.replace(BUILD_TAGS, '') : name);

  // The file's name, with its directory where the name alone would not tell which, as file_name() of
  // memdeep/report/sentences.py has it.
  function baseName(path) {
    const parts = path.split(/[\\/]/);
    const name = parts.at(-1);
    if (parts.length < 2) return withoutTags(name);
    const parent = parts.at(-2);
    const isOfPackage = !LIBRARIES.test(parent) && parts.slice(0, -2).some((part) => LIBRARIES.test(part));
    const isGeneric = /^__(init|main)__\.[^.]+$/.test(name);
    return isGeneric || (isOfPackage && name.endsWith('.py')) ? parent + '/' + name : withoutTags(name);
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

  // The words for frames; `files` are source lines by file and number. Only the frame for stacks that
  // had no caller to be folded into has neither function nor file.
  function frameReader(core, files) {
    const { strings, frames } = core;
    const functionName = (frame) => {
      const name = withoutTags(strings[frames.function[frame]]) || memdeep.words.say('flame.rest');
      return name === NO_STACK ? memdeep.words.say('flame.no_stack') : name;
    };
    const file = (frame) => strings[frames.file[frame]];
    const withLine = (frame, name) => {
      const line = frames.line[frame];
      return line > 0 && name !== '' ? name + ':' + line : name; // of a thread it is the process
    };
    return {
      count: frames.function.length,
      functionName,
      file,
      line: (frame) => frames.line[frame],
      path: (frame) => withLine(frame, file(frame)),
      location: (frame) => withLine(frame, baseName(file(frame))) || functionName(frame),
      // An unknown function is named after its file already.
      namesFile: (frame) => file(frame) === '' || functionName(frame) === '<unknown in ' + baseName(file(frame)) + '>',
      origin: (frame) => ORIGINS[frames.origin[frame]],
      source: (frame) => files.get(file(frame))?.get(frames.line[frame])?.trim() || null,
    };
  }

  // What every view needs, at once; `need` unpacks other blocks into `blocks` when they are asked for.
  async function open() {
    const [core, sources, lifetimes] = await Promise.all(['core', 'sources', 'lifetimes'].map(block));
    const files = sources === null ? new Map() : sourceReader(core.strings, sources);
    const blocks = { core, lifetimes };
    return {
      core,
      blocks,
      has: (name) => element(name) !== null,
      async need(names) {
        await Promise.all(names.map(async (name) => { blocks[name] = await block(name); }));
      },
      files,
      hasSources: files.size > 0,
      privateFiles: new Set((sources?.private ?? []).map((place) => core.strings[place])),
      frames: frameReader(core, files),
    };
  }

  memdeep.payload = {
    ORIGINS, NATIVE, THREAD, canUnpack, unpack, withNodes, block, open, baseName, sourceReader, frameReader,
  };
})(globalThis.memdeep = globalThis.memdeep || {});
