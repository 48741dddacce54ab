// The recorded run as the page carries it, and the words for its frames.
(function (memdeep) {
  'use strict';

  const ORIGINS = ['user', 'library', 'stdlib', 'native', 'memdeep', 'thread'];
  const NATIVE = ORIGINS.indexOf('native');
  const THREAD = ORIGINS.indexOf('thread');

  // The file's name; that of a package's own file says nothing without the directory before it.
  function baseName(path) {
    const parts = path.split(/[\\/]/);
    const needsParent = /^__(init|main)__\.py$/.test(parts[parts.length - 1]);
    return parts.slice(needsParent ? -2 : -1).join('/');
  }

  function frameReader(data) {
    const { strings, frames } = data;
    const functionName = (frame) => strings[frames.function[frame]];
    const path = (frame) => strings[frames.file[frame]];
    const withLine = (frame, file) => {
      const line = frames.line[frame];
      return line > 0 ? file + ':' + line : file;
    };
    return {
      count: frames.function.length,
      functionName,
      path: (frame) => withLine(frame, path(frame)),
      location: (frame) => withLine(frame, baseName(path(frame))),
      origin: (frame) => ORIGINS[frames.origin[frame]],
      source: (frame) => (frames.source[frame] < 0 ? null : strings[frames.source[frame]]),
    };
  }

  // Frames whose function or place contains the words, whatever their case.
  function matchingFrames(frames, words) {
    const wanted = words.toLowerCase();
    const matches = new Uint8Array(frames.count);
    for (let frame = 0; frame < frames.count; frame += 1) {
      const text = frames.functionName(frame) + '\n' + frames.path(frame);
      matches[frame] = text.toLowerCase().includes(wanted) ? 1 : 0;
    }
    return matches;
  }

  function parse(text) {
    const data = JSON.parse(text);
    return { data, frames: frameReader(data) };
  }

  memdeep.payload = { NATIVE, THREAD, ORIGINS, parse, matchingFrames };
})(globalThis.memdeep = globalThis.memdeep || {});
