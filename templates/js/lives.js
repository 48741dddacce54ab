// How many bytes each row of a table held at each checkpoint. Pure.
(function (memdeep) {
  'use strict';

  const { NEVER } = memdeep.scope;
  const { chargedFrames } = memdeep.ranking;

  // The lifetimes of a level and the frame each is charged to; lines know no thread.
  function charged({ core, blocks }, thread) {
    if (thread === null) return { lives: blocks.lines, frames: blocks.lines.line.map((line) => core.lines[line]) };
    const own = memdeep.threadLimit.within(core, new Uint8Array(core.nodes.parent.length).fill(1), thread);
    const frames = chargedFrames(core);
    return { lives: blocks.lifetimes, frames: blocks.lifetimes.node.map((node) => (own[node] ? frames[node] : NEVER)) };
  }

  // Tells of a group of frames the bytes alive at each checkpoint. `group` numbers the frames.
  function byGroup(data, group, thread) {
    const { lives, frames } = charged(data, thread);
    const rows = new Map();
    frames.forEach((frame, row) => {
      if (frame === NEVER) return;
      if (!rows.has(group[frame])) rows.set(group[frame], []);
      rows.get(group[frame]).push(row);
    });
    return (which) => {
      const changes = new Float64Array(data.core.checkpoints.time.length);
      for (const row of rows.get(which) ?? []) {
        changes[lives.born[row]] += lives.bytes[row];
        if (lives.died[row] !== NEVER) changes[lives.died[row]] -= lives.bytes[row];
      }
      let alive = 0;
      return changes.map((change) => (alive += change));
    };
  }

  memdeep.lives = { byGroup };
})(globalThis.memdeep = globalThis.memdeep || {});
