// Ranked tables of a scope: by line, by function, by module.
(function (memdeep) {
  'use strict';

  const { format } = memdeep;
  const MAX_ROWS = 500;
  const say = (key, values) => memdeep.words.say(key, values);

  // Own bytes are those charged to a line; total bytes those allocated at or beneath it. Stacks
  // folded into their callers may be missing from a total, never from what is its own.
  function rank(data, byLine, byNode, groupOf) {
    const { core } = data;
    const groups = new Map();
    const groupFor = (frame) => {
      const key = groupOf(frame);
      let group = groups.get(key);
      if (group === undefined) groups.set(key, group = { key, frame, own: 0, total: 0, count: 0 });
      return group;
    };
    core.lines.forEach((frame, line) => {
      if (byLine.bytes[line] === 0) return;
      const group = groupFor(frame);
      group.own += byLine.bytes[line];
      group.count += byLine.count[line];
    });
    addTotals(core, byNode, groupFor, groupOf, groups);
    for (const group of groups.values()) {
      if (Math.abs(group.own) > Math.abs(group.total)) group.total = group.own;
    }
    return [...groups.values()];
  }

  // A group that stands in a stack more than once is counted once.
  function addTotals(core, byNode, groupFor, groupOf, groups) {
    const { parent, frame } = core.nodes;
    byNode.bytes.forEach((bytes, leaf) => {
      if (bytes === 0) return;
      const seen = new Set();
      for (let node = leaf; node >= 0; node = parent[node]) {
        const origin = core.frames.origin[frame[node]];
        const key = groupOf(frame[node]);
        if (seen.has(key) || (origin > 2 && !groups.has(key))) continue;
        seen.add(key);
        groupFor(frame[node]).total += bytes;
      }
    });
  }

  const GROUPINGS = {
    lines: (frames) => (frame) => frames.path(frame),
    functions: (frames) => (frame) => frames.file(frame) + '\n' + frames.functionName(frame),
    modules: (frames) => (frame) => frames.file(frame) || frames.functionName(frame),
  };
  const NAMES = {
    lines: (frames, frame) => [frames.location(frame), frames.functionName(frame)],
    functions: (frames, frame) => [frames.functionName(frame), memdeep.payload.baseName(frames.file(frame))],
    modules: (frames, frame) => [memdeep.payload.baseName(frames.file(frame)) || frames.functionName(frame), frames.file(frame)],
  };
  const COLUMNS = ['own', 'total', 'count'];

  function cell(className, text) {
    const made = document.createElement('td');
    made.className = className;
    made.textContent = text;
    return made;
  }

  function create(root, data, on) {
    let sort = 'own';
    let shown = { rows: [], kind: 'lines', signed: false, query: () => true };

    function header(kind) {
      const row = document.createElement('tr');
      const name = document.createElement('th');
      name.scope = 'col';
      name.textContent = say('lines.' + kind);
      row.append(name);
      for (const column of COLUMNS) {
        const head = document.createElement('th');
        head.scope = 'col';
        head.className = 'number';
        head.setAttribute('aria-sort', column === sort ? 'descending' : 'none');
        const button = document.createElement('button');
        button.type = 'button';
        button.textContent = say('lines.' + column);
        button.title = say('lines.' + column + '_meaning');
        button.addEventListener('click', () => { sort = column; draw(); });
        head.append(button);
        row.append(head);
      }
      return row;
    }

    function line(group, kind, most, signed) {
      const row = document.createElement('tr');
      const [head, tail] = NAMES[kind](data.frames, group.frame);
      const name = document.createElement('th');
      name.scope = 'row';
      const button = document.createElement('button');
      button.type = 'button';
      button.className = 'line-name';
      const place = document.createElement('bdi');
      place.textContent = head;
      button.append(place);
      button.title = data.frames.path(group.frame);
      button.addEventListener('click', () => on.select(group, kind));
      const more = document.createElement('span');
      more.className = 'line-more';
      more.textContent = kind === 'lines' ? data.frames.source(group.frame) ?? tail : tail;
      name.append(button, more);
      const text = (value) => (signed ? format.signedBytes(value) : format.bytes(value));
      const own = cell('number', text(group.own));
      const bar = document.createElement('span');
      bar.className = 'bar';
      bar.style.setProperty('--size', (100 * Math.abs(group.own)) / most + '%');
      own.append(bar);
      row.append(name, own, cell('number', text(group.total)), cell('number', format.count(Math.abs(group.count))));
      row.className = 'origin-' + data.frames.origin(group.frame) + (group.own < 0 ? ' tone-down' : '');
      return row;
    }

    function draw() {
      const { kind, signed, query } = shown;
      const rows = shown.rows
        .filter((group) => (group.own !== 0 || group.total !== 0) && query(group.frame))
        .sort((a, b) => Math.abs(b[sort]) - Math.abs(a[sort]) || Math.abs(b.total) - Math.abs(a.total));
      const most = Math.max(1, ...rows.map((group) => Math.abs(group.own)));
      const table = document.createElement('table');
      table.className = 'lines';
      const head = document.createElement('thead');
      head.append(header(kind));
      const body = document.createElement('tbody');
      body.append(...rows.slice(0, MAX_ROWS).map((group) => line(group, kind, most, signed)));
      table.append(head, body);
      const note = document.createElement('p');
      note.className = 'hint';
      note.textContent = rows.length > MAX_ROWS
        ? say('lines.more', { n: rows.length - MAX_ROWS })
        : rows.length === 0 ? say('lines.none') : '';
      root.replaceChildren(table, note);
    }

    return {
      show(byLine, byNode, kind, signed, query) {
        const rows = rank(data, byLine, byNode, GROUPINGS[kind](data.frames));
        shown = { rows, kind, signed, query };
        draw();
      },
    };
  }

  memdeep.lines = { create, rank, GROUPINGS };
})(globalThis.memdeep = globalThis.memdeep || {});
