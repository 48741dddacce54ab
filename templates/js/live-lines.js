// The table of lines: its rows stay the same elements while their figures change, so that focus and
// selected text survive a second.
(function (memdeep) {
  'use strict';

  const COLUMNS = ['alive', 'phase', 'minute'];
  const OWN = ['user', 'tool'];

  // The largest first; pure.
  function ordered(lines, column) {
    return [...lines].sort((one, other) => other[column + '_bytes'] - one[column + '_bytes']);
  }

  // The last part of each path, with its directory where two would be alike; pure.
  function shortNames(files) {
    const last = (file, parts) => file.split('/').slice(-parts).join('/');
    const counts = new Map();
    for (const file of new Set(files)) counts.set(last(file, 1), (counts.get(last(file, 1)) ?? 0) + 1);
    return new Map(files.map((file) => [file, counts.get(last(file, 1)) > 1 ? last(file, 2) : last(file, 1)]));
  }

  function create(heads, body) {
    const { element } = memdeep.elements;
    const { format, words } = memdeep;
    const rows = new Map();
    let column = 'alive';
    let shown = null;

    const titles = COLUMNS.map((name) => {
      const button = element('button', 'live-sort');
      button.type = 'button';
      button.addEventListener('click', () => {
        column = name;
        if (shown !== null) show(shown);
      });
      const head = element('th', 'number', button);
      head.scope = 'col';
      head.setAttribute('role', 'columnheader');
      heads.append(head);
      return { name, head, button };
    });
    const lineHead = element('th', 'live-head-line');
    lineHead.scope = 'col';
    lineHead.setAttribute('role', 'columnheader');
    heads.append(lineHead);

    function speak(live) {
      for (const { name, head, button } of titles) {
        button.textContent = words.say('running.' + name, { minute_s: live.minute_s });
        if (name === column) head.setAttribute('aria-sort', 'descending');
        else head.removeAttribute('aria-sort');
      }
      lineHead.textContent = words.say('running.line');
    }

    function cell() {
      const made = element('td', 'number');
      made.setAttribute('role', 'cell');
      return made;
    }

    function made(key) {
      const cells = COLUMNS.map(cell);
      const place = element('span', 'code-place');
      const name = element('span', 'code-function');
      const code = element('code', 'live-code');
      const head = element('th', 'live-place', place, ' ', name, code);
      head.scope = 'row';
      head.setAttribute('role', 'rowheader');
      const row = element('tr', '', ...cells, head);
      row.setAttribute('role', 'row');
      const found = { row, cells, head, place, name, code };
      rows.set(key, found);
      return found;
    }

    function fill(found, line, most) {
      const { cells } = found;
      const texts = [format.bytes(line.alive_bytes), format.signedBytes(line.phase_bytes), format.signedBytes(line.minute_bytes)];
      texts.forEach((text, place) => { if (cells[place].textContent !== text) cells[place].textContent = text; });
      cells[0].classList.add('live-share');
      cells[0].style.setProperty('--share', (100 * Math.max(0, line.alive_bytes)) / most + '%');
    }

    function show(live) {
      shown = live;
      speak(live);
      const lines = ordered(live.lines, column);
      const names = shortNames(lines.map((line) => line.file));
      const most = Math.max(1, ...lines.map((line) => line.alive_bytes));
      const wanted = lines.map((line) => {
        const key = line.file + ':' + line.line;
        const found = rows.get(key) ?? made(key);
        fill(found, line, most);
        found.head.classList.toggle('is-own', OWN.includes(line.origin));
        found.head.title = line.file;
        found.place.textContent = line.line === 0 ? '' : names.get(line.file) + ':' + line.line;
        found.name.textContent = line.function;
        found.code.textContent = line.source ?? '';
        return found.row;
      });
      if (live.others.lines > 0) {
        const found = rows.get('') ?? made('');
        fill(found, live.others, most);
        found.name.textContent = words.say('running.others', { n: live.others.lines });
        wanted.push(found.row);
      }
      const kept = new Set(wanted);
      for (const [key, { row }] of rows) {
        if (!kept.has(row)) { row.remove(); rows.delete(key); }
      }
      wanted.forEach((row, place) => { if (body.children[place] !== row) body.insertBefore(row, body.children[place] ?? null); });
    }

    return { show };
  }

  memdeep.liveLines = { create, ordered, shortNames };
})(globalThis.memdeep = globalThis.memdeep || {});
