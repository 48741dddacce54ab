// Finds frames by words or by a regular expression, in their function and their place. Pure.
(function (memdeep) {
  'use strict';

  // Whether a text matches: plain words whatever their case, or a pattern. Null if it is no pattern.
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

  // For each frame whether it matches; null where the query is no regular expression.
  function matchingFrames(frames, query, isRegex) {
    const matches = matcher(query, isRegex);
    if (matches === null) return null;
    const found = new Uint8Array(frames.count);
    for (let frame = 0; frame < frames.count; frame += 1) {
      found[frame] = Number(matches(frames.functionName(frame) + '\n' + frames.path(frame)));
    }
    return found;
  }

  memdeep.search = { matcher, matchingFrames };
})(globalThis.memdeep = globalThis.memdeep || {});
