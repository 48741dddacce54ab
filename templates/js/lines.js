// The ranked table of lines, functions or modules. Only the rows in sight are in the document.
(function (memdeep) {
  'use strict';

  const { format, ranking } = memdeep;
  const { element } = memdeep.elements;
  const COLUMNS = ['own', 'total', 'count'];
  const ROW_PX = 44; // as in explorer.css
  const SPARE_ROWS = 8;
  const ASKED = ['malloc', 'mmap', 'pymalloc']; // bits in this order
  const LIFE_POINTS = 60; // of the small drawing in a row
  const say = (key, values) => memdeep.words.say(key, values);

  // `on` = { select(row, kind), around(row, kind), source(row) }.
  function create(root, data, on) {
    let sort = 'own';
    let shown = { rows: [], kind: 'lines', signed: false, matches: () => true, selected: null };
    const groups = {}; // of the frames, by kind
    let livesOf = null; // of a group: what it held at each checkpoint
    let sorted = [];
    let most = { own: 1, total: 1 };
    let first = -1;
    const body = element('tbody');
    const head = element('thead');
    const table = element('table', 'lines', head, body);
    table.setAttribute('role', 'grid');
    const box = element('div', 'lines-box', table);
    box.tabIndex = 0;
    const note = element('p', 'hint');
    root.replaceChildren(box, note);

    const isAsked = Boolean(data.core.nodes.asked);
    const bytesText = (bytes) => (shown.signed ? format.signedBytes(bytes) : format.bytes(bytes));
    const groupOf = (frame) => (groups[shown.kind] ??= ranking.groupsOf(data.frames, shown.kind))[frame];
    const isSelected = (row) => shown.selected?.kind === shown.kind && groupOf(shown.selected.frame) === row.group;

    function headerCell(column) {
      const cell = element('th', 'number column-' + column);
      cell.scope = 'col';
      cell.setAttribute('aria-sort', column === sort ? 'descending' : 'none');
      const button = element('button', '', say('lines.' + column));
      button.type = 'button';
      button.title = say(`lines.${column}_meaning`);
      button.addEventListener('click', () => {
        sort = column;
        arrange();
        head.querySelector('[aria-sort="descending"] button').focus();
      });
      cell.append(button);
      return cell;
    }

    // What the row held over the run; its end is told in words.
    function life(row) {
      const alive = livesOf(row.group);
      const most = alive.reduce((high, bytes) => Math.max(high, bytes), 0);
      const cell = element('td', 'column-life');
      if (most > 0) cell.append(memdeep.sparkline.draw(data.core.checkpoints.time, alive, [], say('lines.life_of', { most_bytes: most, end_bytes: alive.at(-1) }), LIFE_POINTS));
      return cell;
    }

    const askedText = (row) => ASKED.filter((_, bit) => row.asked & (1 << bit)).join(', ') || '–';

    function header() {
      const name = element('th', '', say('lines.' + shown.kind));
      name.scope = 'col';
      const more = [...(isAsked ? ['asked'] : []), 'life'].map((column) => {
        const cell = element('th', 'column-' + column, say('lines.' + column));
        cell.scope = 'col';
        cell.title = say(`lines.${column}_meaning`);
        return cell;
      });
      head.replaceChildren(element('tr', '', name, ...COLUMNS.map(headerCell), ...more));
    }

    function figure(column, row) {
      const cell = element('td', 'number column-' + column + (row[column] === 0 ? ' zero' : ''), bytesText(row[column]));
      const bar = element('span', 'bar');
      bar.style.setProperty('--size', (100 * Math.abs(row[column])) / most[column] + '%');
      cell.append(bar);
      return cell;
    }

    function rowElement(row, place) {
      const [title, more] = ranking.NAMES[shown.kind](data.frames, row.frame);
      const name = element('th', '', element('bdi', 'line-name', title), element('span', 'line-more', more));
      name.scope = 'row';
      name.title = data.frames.path(row.frame);
      const count = element('td', 'number column-count', row.count === 0 ? '–' : format.count(Math.abs(row.count)));
      const made = element('tr', 'origin-' + data.frames.origin(row.frame) + (row.own < 0 ? ' tone-down' : ''),
        name, figure('own', row), figure('total', row), count, ...(isAsked ? [element('td', 'column-asked', askedText(row))] : []), life(row));
      made.id = 'line-' + place;
      made.dataset.place = place;
      made.setAttribute('aria-rowindex', place + 2);
      made.setAttribute('aria-selected', String(isSelected(row)));
      return made;
    }

    function spacer(rows) {
      const made = element('tr', 'spacer');
      made.setAttribute('aria-hidden', 'true');
      made.style.setProperty('--rows', rows);
      made.append(element('td'));
      return made;
    }

    // Only when the rows in sight are others than those that are there.
    function draw(force) {
      const inSight = Math.ceil(box.clientHeight / ROW_PX) + 2 * SPARE_ROWS;
      const from = Math.max(0, Math.min(Math.floor(box.scrollTop / ROW_PX) - SPARE_ROWS, sorted.length - inSight));
      const start = from - (from % 2); // a stripe stays a stripe
      if (!force && Math.abs(start - first) < SPARE_ROWS / 2) return;
      first = start;
      const rows = sorted.slice(start, start + inSight + 1);
      body.replaceChildren(
        spacer(start), ...rows.map((row, place) => rowElement(row, start + place)), spacer(sorted.length - start - rows.length),
      );
      const place = sorted.findIndex(isSelected);
      if (place >= start && place < start + rows.length) box.setAttribute('aria-activedescendant', 'line-' + place);
      else box.removeAttribute('aria-activedescendant');
    }

    function arrange() {
      sorted = shown.rows.filter((row) => shown.matches(row.frame)).sort((a, b) => (
        Math.abs(b[sort]) - Math.abs(a[sort]) || Math.abs(b.total) - Math.abs(a.total) || a.frame - b.frame));
      most = Object.fromEntries(['own', 'total'].map((column) => [
        column, sorted.reduce((high, row) => Math.max(high, Math.abs(row[column])), 1),
      ]));
      header();
      table.setAttribute('aria-rowcount', sorted.length + 1);
      box.setAttribute('aria-label', say('lines.table', { name: say('lines.' + shown.kind) }));
      note.textContent = sorted.length === 0 ? say('lines.none') : say('lines.rows', { n: sorted.length });
      box.hidden = sorted.length === 0;
      box.scrollTop = 0;
      draw(true);
    }

    function choose(place) {
      const row = sorted[Math.max(0, Math.min(sorted.length - 1, place))];
      if (row !== undefined) on.select(row, shown.kind);
    }

    function reveal(place) {
      const top = place * ROW_PX;
      const room = box.clientHeight - head.offsetHeight;
      if (top < box.scrollTop) box.scrollTop = top;
      else if (top + ROW_PX > box.scrollTop + room) box.scrollTop = top + ROW_PX - room;
    }

    function showSelected() {
      const place = sorted.findIndex(isSelected);
      if (place >= 0) reveal(place);
      draw(true);
    }

    function onKey(event) {
      if (event.target !== box || event.ctrlKey || event.metaKey || event.altKey) return;
      const at = sorted.findIndex(isSelected);
      const page = Math.max(1, Math.floor(box.clientHeight / ROW_PX) - 1);
      const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page };
      if (event.key in steps) choose(at + steps[event.key]);
      else if (event.key === 'Home') choose(0);
      else if (event.key === 'End') choose(sorted.length - 1);
      else if (event.key === 'Enter' && at >= 0) on.source(sorted[at]);
      else if (event.key === ' ' && at >= 0) on.around(sorted[at], shown.kind);
      else return;
      event.preventDefault();
    }

    const placeOf = (event) => Number(event.target.closest('tr[data-place]')?.dataset.place ?? -1);
    box.addEventListener('scroll', () => draw(false));
    box.addEventListener('keydown', onKey);
    body.addEventListener('click', (event) => { if (placeOf(event) >= 0) on.around(sorted[placeOf(event)], shown.kind); });
    new ResizeObserver(() => draw(true)).observe(box);

    return {
      // `sums` are pictures (scope.js) by line and by node; `matches(frame)` filters.
      show(sums, kind, matches, { selected, thread }) {
        groups[kind] ??= ranking.groupsOf(data.frames, kind);
        livesOf = memdeep.lives.byGroup(data, groups[kind], thread);
        shown = { rows: ranking.rank(data, sums.line, sums.node, kind), kind, signed: sums.node.signed, matches, selected };
        arrange();
        showSelected();
      },
      filter(matches) {
        shown = { ...shown, matches };
        arrange();
      },
      focus() { box.focus({ preventScroll: true }); },
      select(selected) {
        shown = { ...shown, selected };
        showSelected();
      },
    };
  }

  memdeep.lines = { create };
})(globalThis.memdeep = globalThis.memdeep || {});
