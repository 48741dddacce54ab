// From sums by stack to one tree of frames: which frames are shown, merged, or turned round. Pure.
(function (memdeep) {
  'use strict';

  const { NATIVE, THREAD } = memdeep.payload;
  const ROOT = 0;

  function isImportMachinery(core, frame) {
    return core.strings[core.frames.file[frame]].startsWith('<frozen importlib');
  }

  // For each frame whether it is left out of every stack.
  function hiddenFrames(core, choice) {
    return Uint8Array.from(core.frames.origin, (origin, frame) => Number(
      (origin === THREAD && !choice.threads)
      || (origin === NATIVE && choice.native === 'hide')
      || (!choice.imports && isImportMachinery(core, frame)),
    ));
  }

  function emptyMerge() {
    return { frame: [-1], parent: [-1], grew: [0], shrank: [0], count: [0] };
  }

  function grower(merged, frameCount) {
    const known = new Map();
    return function child(above, frame) {
      const key = above * frameCount + frame;
      let own = known.get(key);
      if (own === undefined) {
        own = merged.frame.length;
        known.set(key, own);
        merged.frame.push(frame);
        merged.parent.push(above);
        merged.grew.push(0);
        merged.shrank.push(0);
        merged.count.push(0);
      }
      return own;
    };
  }

  function charge(merged, place, bytes, count) {
    if (bytes > 0) merged.grew[place] += bytes;
    else merged.shrank[place] -= bytes;
    merged.count[place] += count;
  }

  // Callers above callees. A folded run of native frames is its outermost one.
  function mergeDown(core, sums, choice) {
    const { parent, frame } = core.nodes;
    const hidden = hiddenFrames(core, choice);
    const merged = emptyMerge();
    const child = grower(merged, core.frames.function.length);
    const owner = new Int32Array(parent.length);
    const inNative = new Uint8Array(parent.length);
    const used = usedNodes(parent, sums.bytes);
    for (let node = 0; node < parent.length; node += 1) {
      if (!used[node]) continue;
      const above = parent[node] < 0 ? ROOT : owner[parent[node]];
      const before = parent[node] < 0 ? 0 : inNative[parent[node]];
      const isNative = core.frames.origin[frame[node]] === NATIVE;
      const isWithinRun = choice.native === 'fold' && isNative && before;
      const skipped = hidden[frame[node]] || isWithinRun;
      owner[node] = skipped ? above : child(above, frame[node]);
      inNative[node] = hidden[frame[node]] ? before : Number(isNative);
      charge(merged, owner[node], sums.bytes[node], sums.count[node]);
    }
    return merged;
  }

  // Whether there are bytes in a node or beneath it.
  function usedNodes(parent, bytes) {
    const used = Uint8Array.from(bytes, (size) => Number(size !== 0));
    for (let node = parent.length - 1; node >= 0; node -= 1) {
      if (used[node] && parent[node] >= 0) used[parent[node]] = 1;
    }
    return used;
  }

  // Callees above callers: who asked for what this line allocated. Native code is told only if shown.
  function mergeUp(core, sums, choice) {
    const { parent, frame } = core.nodes;
    const hidden = hiddenFrames(core, { ...choice, native: choice.native === 'show' ? 'show' : 'hide' });
    const merged = emptyMerge();
    const child = grower(merged, core.frames.function.length);
    for (let leaf = 0; leaf < parent.length; leaf += 1) {
      if (sums.bytes[leaf] === 0) continue;
      let place = ROOT;
      for (let node = leaf; node >= 0; node = parent[node]) {
        if (!hidden[frame[node]]) place = child(place, frame[node]);
      }
      charge(merged, place, sums.bytes[leaf], sums.count[leaf]);
    }
    return merged;
  }

  // Adds callees to their callers. A parent comes before its children.
  function sumUp(merged) {
    for (let place = merged.frame.length - 1; place > ROOT; place -= 1) {
      const above = merged.parent[place];
      merged.grew[above] += merged.grew[place];
      merged.shrank[above] += merged.shrank[place];
      merged.count[above] += merged.count[place];
    }
    return merged;
  }

  // `choice` is { native: 'fold' | 'show' | 'hide', threads, imports, invert }. Each place of the
  // result has what grew and what shrank in it and beneath it; its width is the sum of the two.
  function build(core, sums, choice) {
    const merged = sumUp(choice.invert ? mergeUp(core, sums, choice) : mergeDown(core, sums, choice));
    return { ...merged, bytes: merged.grew.map((grew, place) => grew + merged.shrank[place]) };
  }

  // The frames of a stack that are shown, outermost first.
  function stackOf(core, node, choice) {
    const hidden = hiddenFrames(core, choice);
    const path = [];
    for (let at = node; at >= 0; at = core.nodes.parent[at]) {
      if (!hidden[core.nodes.frame[at]]) path.push(core.nodes.frame[at]);
    }
    return path.reverse();
  }

  // The nodes whose stacks run through the place of the tree that `path` leads to, frame by frame.
  function nodesThrough(core, path, choice) {
    return choice.invert ? calledFrom(core, path, choice) : beneath(core, path, choice);
  }

  function beneath(core, path, choice) {
    const { parent, frame } = core.nodes;
    const hidden = hiddenFrames(core, choice);
    const reached = new Int32Array(parent.length); // how much of the path, -1 when off it
    const inNative = new Uint8Array(parent.length);
    const found = new Set();
    for (let node = 0; node < parent.length; node += 1) {
      const above = parent[node];
      const so = above < 0 ? 0 : reached[above];
      const before = above < 0 ? 0 : inNative[above];
      const isNative = core.frames.origin[frame[node]] === NATIVE;
      const skipped = hidden[frame[node]] || (choice.native === 'fold' && isNative && before);
      inNative[node] = hidden[frame[node]] ? before : Number(isNative);
      if (so < 0 || so === path.length || skipped) reached[node] = so;
      else reached[node] = frame[node] === path[so] ? so + 1 : -1;
      if (reached[node] === path.length) found.add(node);
    }
    return found;
  }

  function calledFrom(core, path, choice) {
    const { parent, frame } = core.nodes;
    const hidden = hiddenFrames(core, { ...choice, native: choice.native === 'show' ? 'show' : 'hide' });
    const found = new Set();
    for (let leaf = 0; leaf < parent.length; leaf += 1) {
      let so = 0;
      for (let node = leaf; node >= 0 && so < path.length; node = parent[node]) {
        if (hidden[frame[node]]) continue;
        if (frame[node] !== path[so]) break;
        so += 1;
      }
      if (so === path.length) found.add(leaf);
    }
    return found;
  }

  memdeep.flameTree = { ROOT, build, stackOf, nodesThrough };
})(globalThis.memdeep = globalThis.memdeep || {});
