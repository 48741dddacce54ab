// The table of phases: sorted, filtered, folded, and only the rows on screen are there.
(function (memdeep) {
  'use strict';

  const { format } = memdeep;
  const ROW_PX = 38;
  const SPARE_ROWS = 8;
  const TALLEST_PX = 34 * 16;
  const SVG = 'http://www.w3.org/2000/svg';
  const say = (key, values) => memdeep.words.say(key, values);

  // Columns by name: what a phase is sorted by, and how it reads.
  const COLUMNS = [
    { name: 'name', value: (p, i) => i, isText: true },
    { name: 'duration', value: (p, i) => p.duration[i], text: format.seconds },
    { name: 'rss', value: (p, i) => p.rss[i], text: format.signedBytes, bar: true },
    { name: 'heap', value: (p, i) => p.heap[i], text: format.signedBytes, bar: true },
    { name: 'gap', value: (p, i) => (p.rss[i] === null || p.heap[i] === null ? null : p.rss[i] - p.heap[i]), isGap: true },
    { name: 'peak', value: (p, i) => p.peak[i], text: format.bytes },
    { name: 'allocated', value: (p, i) => p.allocated[i], text: format.bytes },
    { name: 'freed', value: (p, i) => p.freed[i], text: format.bytes },
    { name: 'churn', value: (p, i) => p.churn[i], text: format.bytes },
    { name: 'explained', value: (p, i) => p.explained[i], text: format.percent, isRatio: true },
    { name: 'trend', value: (p, i) => p.slope[i], isTrend: true },
    { name: 'culprit', value: (p, i) => p.culpritBytes[i], isCulprit: true },
  ];

  function tone(value) {
    if (value === null) return 'tone-unknown';
    return value === 0 ? 'tone-flat' : value > 0 ? 'tone-up' : 'tone-down';
  }

  function element(name, className, text) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function sparkline(deltas) {
    const svg = document.createElementNS(SVG, 'svg');
    const line = document.createElementNS(SVG, 'polyline');
    const [low, high] = [Math.min(0, ...deltas), Math.max(1, ...deltas)];
    const step = 100 / Math.max(1, deltas.length - 1);
    line.setAttribute('points', deltas
      .map((delta, place) => (place * step).toFixed(1) + ',' + ((20 * (high - delta)) / (high - low)).toFixed(1)).join(' '));
    svg.setAttribute('viewBox', '0 -1 100 22');
    svg.setAttribute('preserveAspectRatio', 'none');
    svg.setAttribute('role', 'img');
    svg.setAttribute('aria-label', say('phases.trend_picture'));
    svg.append(line);
    return svg;
  }

  // The order of rows: by a column within each parent, so that phases stay under what contains them.
  function ordered(phases, column, descending) {
    const children = new Map();
    phases.name.forEach((_, place) => {
      const above = phases.parent[place];
      if (!children.has(above)) children.set(above, []);
      children.get(above).push(place);
    });
    const order = [];
    const compare = (a, b) => {
      const [one, other] = [column.value(phases, a), column.value(phases, b)];
      if (one === other) return a - b;
      if (one === null) return 1;
      if (other === null) return -1;
      return descending ? other - one : one - other;
    };
    const visit = (above) => {
      for (const place of (children.get(above) ?? []).sort(compare)) {
        order.push(place);
        visit(place);
      }
    };
    visit(-1);
    return order;
  }

  function create(root, tools, data, store, chooseScope) {
    const { phases } = data.core;
    const columns = COLUMNS.filter((column) => column.isText || phases.name.some((_, i) => column.value(phases, i) !== null));
    const hasChildren = new Set(phases.parent);
    const largest = Math.max(1, ...[...phases.rss, ...phases.heap].map((delta) => Math.abs(delta ?? 0)));
    const closed = new Set();
    const filter = tools.querySelector('[data-filter]');
    const grew = tools.querySelector('[data-grew]');
    const shown = tools.querySelector('[data-shown]');
    let sort = { column: columns[0], descending: false };
    let rows = [];
    let drawn = {}; // which of them are in the document

    const table = element('table', 'phases');
    const head = element('thead');
    const body = element('tbody');
    table.append(element('caption', 'unseen'), head, body);
    root.replaceChildren(table);
    root.classList.add('virtual');

    // A row is there if it fits the filter or holds one that does, and nothing around it is closed.
    function visibleRows() {
      const wanted = filter.value.trim().toLowerCase();
      const fits = (i) => (wanted === '' || phases.name[i].toLowerCase().includes(wanted) || culpritText(i).toLowerCase().includes(wanted))
        && (!grew.checked || (phases.rss[i] ?? phases.heap[i] ?? 0) > 0);
      const kept = new Uint8Array(phases.name.length);
      for (let i = phases.name.length - 1; i >= 0; i -= 1) {
        if (fits(i)) kept[i] = 1;
        if (kept[i] && phases.parent[i] >= 0) kept[phases.parent[i]] = 1;
      }
      const isOpen = (i) => {
        for (let above = phases.parent[i]; above >= 0; above = phases.parent[above]) if (closed.has(above)) return false;
        return true;
      };
      return ordered(phases, sort.column, sort.descending).filter((i) => kept[i] && isOpen(i));
    }

    function culpritText(i) {
      return phases.culprit[i] < 0 ? '' : data.frames.location(data.core.lines[phases.culprit[i]]);
    }

    function header() {
      const row = element('tr');
      for (const column of columns) {
        const cell = element('th', 'column-' + column.name + (column.isText || column.isTrend || column.isCulprit ? '' : ' number'));
        cell.scope = 'col';
        const isSorted = column === sort.column;
        cell.setAttribute('aria-sort', isSorted ? (sort.descending ? 'descending' : 'ascending') : 'none');
        const button = element('button', '', say('phases.' + column.name));
        button.type = 'button';
        button.title = say('phases.' + column.name + '_meaning');
        button.addEventListener('click', () => {
          sort = { column, descending: isSorted ? !sort.descending : !column.isText };
          refresh();
        });
        cell.append(button);
        row.append(cell);
      }
      head.replaceChildren(row);
      table.caption.textContent = say('phases.caption');
    }

    function nameCell(i) {
      const cell = element('th');
      cell.scope = 'row';
      cell.style.setProperty('--depth', phases.depth[i]);
      if (hasChildren.has(i)) {
        const fold = element('button', 'fold', closed.has(i) ? '▸' : '▾');
        fold.type = 'button';
        fold.tabIndex = -1;
        fold.setAttribute('aria-label', say(closed.has(i) ? 'phases.unfold' : 'phases.fold'));
        fold.addEventListener('click', (event) => { event.stopPropagation(); toggle(i); });
        cell.append(fold);
      }
      const link = element('a', '', '');
      link.href = '#phase=' + i;
      link.append(element('bdi', '', phases.name[i]));
      link.title = phases.name[i];
      link.tabIndex = -1; // the table is one stop, its arrow keys do the rest
      cell.append(link);
      const repeats = phases.stretches[i].length / 2;
      if (repeats > 1) cell.append(' ', element('span', 'repeats', '× ' + format.count(repeats)));
      if (!phases.complete[i]) cell.append(' ', element('span', 'unfinished', say('phases.unfinished')));
      return cell;
    }

    function gapCell(i, value) {
      const cell = element('td', 'number quiet', format.signedBytes(value));
      if (value === null) return cell;
      const parts = [['files', 1], ['slack', 1], ['untouched', -1]]
        .map(([name, sign]) => [name, (phases[name][i] ?? 0) * sign])
        .filter(([, bytes]) => bytes !== 0);
      const [main] = [...parts].sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
      cell.title = parts.map(([name, bytes]) => say('phases.gap_' + name) + ' ' + format.signedBytes(bytes)).join('\n');
      if (main && Math.abs(main[1]) >= 1 << 20) cell.append(element('span', 'gap-name', say('phases.gap_' + main[0])));
      return cell;
    }

    function cellOf(column, i) {
      if (column.isText) return nameCell(i);
      const value = column.value(phases, i);
      if (column.isGap) return gapCell(i, value);
      if (column.isTrend) {
        const cell = element('td', 'trend');
        if (phases.deltas[i].length > 1) cell.append(sparkline(phases.deltas[i]));
        if (value !== null) {
          cell.append(element('span', 'slope', say('phases.each', { slope: format.signedBytes(value) })));
          if (phases.warmUp[i] > 0) cell.title = say('phases.warm_up', { warm_up_bytes: phases.warmUp[i] });
        }
        return cell;
      }
      if (column.isCulprit) {
        const cell = element('td', 'from');
        cell.append(element('bdi', 'from-place', culpritText(i) || '–'));
        if (value !== null) cell.append(' ', element('span', 'from-share', format.bytes(value) + ' · ' + format.percent(phases.culpritShare[i])));
        return cell;
      }
      const cell = element('td', 'number', column.text(value));
      if (column.bar) {
        cell.classList.add(tone(value));
        const bar = element('span', 'bar');
        bar.style.setProperty('--size', (100 * Math.abs(value ?? 0)) / largest + '%');
        cell.append(bar);
      }
      if (column.isRatio && value !== null && value < 0.6) cell.classList.add('explained-low');
      return cell;
    }

    function isSelected(i) {
      const { scope } = store.get();
      return scope.kind === 'phase' && scope.phase === i;
    }

    function markSelected() {
      for (const row of body.querySelectorAll('tr[data-row]')) {
        row.classList.toggle('selected', isSelected(Number(row.dataset.row)));
        if (row.classList.contains('selected')) row.setAttribute('aria-current', 'true');
        else row.removeAttribute('aria-current');
      }
    }

    function rowOf(i) {
      const row = element('tr', 'kind-' + phases.kind[i]);
      row.dataset.row = i;
      row.append(...columns.map((column) => {
        const cell = cellOf(column, i);
        cell.classList.add('column-' + column.name);
        return cell;
      }));
      return row;
    }

    function spacer(count) {
      const row = element('tr', 'spacer');
      row.setAttribute('aria-hidden', 'true');
      const cell = element('td');
      cell.colSpan = columns.length;
      cell.style.height = count * ROW_PX + 'px';
      row.append(cell);
      return row;
    }

    // A row that is replaced under the pointer would lose the click, so rows stay while they can.
    function draw() {
      const first = Math.max(0, Math.floor(root.scrollTop / ROW_PX) - SPARE_ROWS);
      const visible = Math.ceil((root.clientHeight || TALLEST_PX) / ROW_PX) + 2 * SPARE_ROWS;
      const last = Math.min(rows.length, first + visible);
      const isNear = Math.abs(drawn.first - first) < SPARE_ROWS / 2 && Math.abs(drawn.last - last) < SPARE_ROWS / 2;
      if (drawn.rows === rows && isNear) return;
      drawn = { rows, first, last };
      body.replaceChildren(
        ...(first > 0 ? [spacer(first)] : []),
        ...rows.slice(first, last).map(rowOf),
        ...(last < rows.length ? [spacer(rows.length - last)] : []),
      );
      table.setAttribute('aria-rowcount', String(rows.length));
      markSelected();
    }

    function refresh() {
      rows = visibleRows();
      shown.textContent = rows.length === phases.name.length ? '' : say('phases.shown', { n: rows.length, all: phases.name.length });
      header();
      draw();
    }

    function toggle(i) {
      if (!closed.delete(i)) closed.add(i);
      refresh();
    }

    function reveal(i) {
      const place = rows.indexOf(i);
      if (place < 0) return;
      const top = place * ROW_PX;
      const room = root.clientHeight - head.offsetHeight;
      if (top < root.scrollTop) root.scrollTop = top;
      else if (top + ROW_PX > root.scrollTop + room) root.scrollTop = top + ROW_PX - room;
    }

    function choose(i) {
      chooseScope({ kind: 'phase', phase: i });
    }

    function onKey(event) {
      const { scope } = store.get();
      const at = rows.indexOf(scope.kind === 'phase' ? scope.phase : -1);
      const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };
      if (event.target.closest('button, input')) return;
      if (event.key in steps && rows.length > 0) {
        choose(rows[Math.min(rows.length - 1, Math.max(0, at + steps[event.key]))]);
      } else if ((event.key === 'ArrowLeft' || event.key === 'ArrowRight') && at >= 0 && hasChildren.has(rows[at])) {
        if (closed.has(rows[at]) === (event.key === 'ArrowRight')) toggle(rows[at]);
      } else return;
      event.preventDefault();
    }

    root.addEventListener('scroll', draw);
    root.addEventListener('keydown', onKey);
    body.addEventListener('click', (event) => {
      const row = event.target.closest('tr[data-row]');
      if (row === null || event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      choose(Number(row.dataset.row));
    });
    filter.addEventListener('input', refresh);
    grew.addEventListener('change', refresh);
    memdeep.words.onChange(refresh);
    store.subscribe((state, changed) => {
      if (!changed.has('scope')) return;
      if (state.scope.kind === 'phase') reveal(state.scope.phase);
      markSelected();
    });
    addEventListener('beforeprint', () => { drawn = {}; body.replaceChildren(...rows.map(rowOf)); });
    addEventListener('afterprint', draw);
    new ResizeObserver(draw).observe(root);
    refresh();
    if (store.get().scope.kind === 'phase') reveal(store.get().scope.phase);
  }

  memdeep.phasesTable = { create, ordered, COLUMNS };
})(globalThis.memdeep = globalThis.memdeep || {});
