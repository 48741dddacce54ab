// Two runs as their page carries them: the lines and stacks of both, each side over time, the rows.
(function (memdeep) {
  'use strict';

  const NONE = -1;
  const { payload } = memdeep;
  const say = (key, values) => memdeep.words.say(key, values);

  // The words for lines, as those of one run have them, and how a line was before.
  function frameReader(core) {
    const { strings, frames } = core;
    const plain = payload.frameReader(core, new Map());
    const textOf = (place) => (place === NONE ? null : strings[place]);
    return {
      ...plain,
      source: (frame) => textOf(frames.text[frame])?.trim() || null,
      // Its place and its text; null where the line is the same.
      was(frame) {
        const { [frame]: file } = frames.wasFile;
        if (file === NONE) return null;
        const line = frames.wasLine[frame];
        const text = textOf(frames.wasText[frame])?.trim() ?? '';
        const place = say('compare.was_at', { place: strings[file] + (line > 0 ? ':' + line : '') });
        return text === '' || text === this.source(frame) ? [place] : [place, text];
      },
    };
  }

  // The place of a view, or of its lines: the peak of the run (row -1), what each row kept, its peak.
  const placeOf = (count, row, isPeak) => (row < 0 ? 0 : 1 + row + (isPeak ? (count.length - 1) / 2 : 0));

  // Each view has its stacks in one column a side, or is null.
  function viewsOf({ count, node, before, more }) {
    const starts = [];
    count.reduce((start, size) => { starts.push(start); return start + Math.max(0, size); }, 0);
    return (row, isPeak) => {
      const place = placeOf(count, row, isPeak);
      if (count[place] === undefined || count[place] === NONE) return null;
      const [from, to] = [starts[place], starts[place] + count[place]];
      return { node: node.slice(from, to), before: before.slice(from, to), more: more.slice(from, to) };
    };
  }

  // The lines of a row, the largest change first, and how many there are in all.
  function linesOf({ strings }, columns) {
    const starts = [];
    columns.count.reduce((start, size) => { starts.push(start); return start + size; }, 0);
    const side = ({ path, line, function: name, text }, at) => (path[at] === NONE ? null : {
      place: strings[path[at]] + (line[at] > 0 ? ':' + line[at] : ''),
      function: strings[name[at]],
      text: text[at] === NONE ? null : strings[text[at]],
    });
    return (row, isPeak) => {
      const place = placeOf(columns.count, row, isPeak);
      const { [place]: start } = starts;
      if (start === undefined) return { lines: [], all: 0 };
      const lines = Array.from({ length: columns.count[place] }, (_, step) => {
        const at = start + step;
        return {
          match: columns.match[at], isAlike: columns.alike[at],
          bytes: { before: columns.bytesBefore[at], after: columns.bytesAfter[at] },
          before: side(columns.before, at), after: side(columns.after, at),
        };
      });
      return { lines, all: columns.all[place] };
    };
  }

  // The rows as the table of phases wants them: what a column sorts by is the change.
  function rowsOf({ rows }) {
    const changes = Object.fromEntries(Object.entries(rows.figures).map(([name, { before, after, alike }]) => [
      name, rows.parent.map((_, row) => (row < before.length
        ? memdeep.compareCells.differenceOf(name, { before: before[row], after: after[row], isAlike: alike[row] }, rows.match[row]) : null)),
    ]));
    return { ...rows, ...changes, count: rows.parent.length };
  }

  async function open() {
    const [core, views, lines] = await Promise.all(['core', 'views', 'lines'].map(payload.block));
    const rows = rowsOf(core);
    const frames = frameReader(core);

    // A row that folds others has no name of its own; one that was renamed has the new one.
    function nameOf(row) {
      if (row < 0) return say('compare.whole_peak');
      if (rows.members[row] > 0) return say('compare.alike_rows', { n: rows.members[row] });
      const side = rows.after[row] >= 0 ? 'after' : 'before';
      return memdeep.names.phase(core.sides[side], rows[side][row]);
    }

    const oldName = (row) => (rows.before[row] < 0 ? '' : memdeep.names.phase(core.sides.before, rows.before[row]));
    return { core, rows, frames, viewOf: viewsOf(views), linesOf: linesOf(core, lines), nameOf, oldName };
  }

  memdeep.compareData = { open, viewsOf, rowsOf, frameReader };
})(globalThis.memdeep = globalThis.memdeep || {});
