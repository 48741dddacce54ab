// The call tree as a table that opens call by call, with the keys of a treegrid: what the flame graph
// shows, for those who read figures, or hear them.
(function (memdeep) {
  'use strict';

  const { format, treeRows, flameLayout: layout } = memdeep;
  const { element } = memdeep.elements;
  const PAGE = 10;
  const say = (key, values) => memdeep.words.say(key, values);

  // `on` = { select(frames) }.
  function create(before, data, on) {
    const body = element('tbody');
    const head = element('thead');
    const table = element('table', 'lines tree', head, body);
    table.setAttribute('role', 'treegrid');
    const box = element('div', 'lines-box tree-box', table);
    box.hidden = true;
    before.after(box);
    let shown = { tree: null, title: '', matches: () => false };
    let [open, whole] = [new Set(), new Set()];
    let rows = [];
    let active = 0;

    const bytesText = (bytes) => (shown.tree.signed ? format.signedBytes(bytes) : format.bytes(bytes));

    function nameCell(row) {
      const cell = element('th');
      cell.scope = 'row';
      cell.setAttribute('role', 'rowheader');
      cell.style.setProperty('--level', Math.min(row.level, 30) - 1);
      if (row.node === undefined) {
        cell.append(element('span', 'tree-rest', say('tree.rest', { n: row.rest })));
        return cell;
      }
      const frame = shown.tree.frame[row.node];
      const times = shown.tree.times[row.node];
      const name = frame < 0 ? shown.title : data.frames.functionName(frame) + (times > 1 ? ' × ' + format.count(times) : '');
      const mark = element('span', 'tree-mark', shown.tree.childCount[row.node] === 0 ? '' : row.isOpen ? '▾' : '▸');
      mark.setAttribute('aria-hidden', 'true');
      cell.append(mark, element('bdi', 'tree-name', name));
      if (frame >= 0 && !data.frames.namesFile(frame)) cell.append(' ', element('span', 'tree-place', data.frames.location(frame)));
      return cell;
    }

    function figure(text, className = '') {
      const cell = element('td', 'number ' + className, text);
      cell.setAttribute('role', 'gridcell');
      return cell;
    }

    function rowElement(row, index) {
      const made = element('tr', '', nameCell(row));
      made.setAttribute('role', 'row');
      made.setAttribute('aria-level', row.level);
      made.tabIndex = index === active ? 0 : -1;
      made.dataset.index = index;
      if (row.node === undefined) {
        made.append(...[0, 1, 2, 3].map(() => figure('')));
        return made;
      }
      const { tree } = shown;
      const { node } = row;
      made.className = [node === layout.ROOT ? '' : 'origin-' + data.frames.origin(tree.frame[node]),
        tree.net[node] < 0 ? 'tone-down' : '', node !== layout.ROOT && shown.matches(tree.frame[node]) ? 'is-match' : ''].join(' ');
      made.setAttribute('aria-posinset', row.place);
      made.setAttribute('aria-setsize', row.count);
      if (tree.childCount[node] > 0) made.setAttribute('aria-expanded', String(row.isOpen));
      const share = tree.width[layout.ROOT] > 0 ? tree.width[node] / tree.width[layout.ROOT] : 0;
      const total = figure(bytesText(tree.net[node]), 'column-own');
      const bar = element('span', 'bar');
      bar.style.setProperty('--size', 100 * share + '%');
      total.append(bar);
      made.append(total, figure(format.percent(share), 'column-share'), figure(bytesText(tree.own[node]), 'column-total'),
        figure(format.count(Math.abs(tree.count[node])), 'column-count'));
      return made;
    }

    function header() {
      const cells = ['flame.view_tree', 'lines.total', 'stack.share', 'tree.own', 'lines.count'].map((key, column) => {
        const cell = element('th', ['', 'number column-own', 'number column-share', 'number column-total', 'number column-count'][column], say(key));
        cell.scope = 'col';
        cell.setAttribute('role', 'columnheader');
        return cell;
      });
      const row = element('tr', '', ...cells);
      row.setAttribute('role', 'row');
      head.replaceChildren(row);
    }

    function draw(takesFocus = false) {
      rows = treeRows.rowsOf(shown.tree, open, whole);
      active = Math.min(active, rows.length - 1);
      body.replaceChildren(...rows.map(rowElement));
      if (takesFocus) body.rows[active].focus();
    }

    function stand(index) {
      const next = Math.max(0, Math.min(rows.length - 1, index));
      if (body.rows[active]) body.rows[active].tabIndex = -1;
      active = next;
      body.rows[active].tabIndex = 0;
      body.rows[active].focus();
    }

    // Opens or closes a call; of children left out it shows all.
    function turn(index, isOpen) {
      const row = rows[index];
      active = index;
      if (row.node === undefined) whole.add(row.parent);
      else if (shown.tree.childCount[row.node] === 0) return;
      else if (isOpen) open.add(row.node);
      else open.delete(row.node);
      draw(true);
    }

    function parentOf(index) {
      let at = index;
      while (at > 0 && rows[at].level >= rows[index].level) at -= 1;
      return at;
    }

    function choose(index) {
      const row = rows[index];
      if (row.node === undefined) turn(index, true);
      else on.select(layout.framesOf(shown.tree, row.node));
    }

    const KEYS = {
      ArrowDown: () => stand(active + 1),
      ArrowUp: () => stand(active - 1),
      PageDown: () => stand(active + PAGE),
      PageUp: () => stand(active - PAGE),
      Home: () => stand(0),
      End: () => stand(rows.length - 1),
      ArrowRight: () => (rows[active].isOpen ? stand(active + 1) : turn(active, true)),
      ArrowLeft: () => (rows[active].isOpen ? turn(active, false) : stand(parentOf(active))),
      Enter: () => choose(active),
      ' ': () => choose(active),
    };

    box.addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(KEYS, event.key)) return;
      KEYS[event.key]();
      event.preventDefault();
    });
    body.addEventListener('click', (event) => {
      const index = Number(event.target.closest('tr')?.dataset.index ?? -1);
      if (index < 0) return;
      if (event.target.closest('.tree-mark') !== null) {
        turn(index, !rows[index].isOpen);
        return;
      }
      choose(index);
      stand(Math.min(index, rows.length - 1));
    });
    body.addEventListener('dblclick', (event) => {
      const index = Number(event.target.closest('tr')?.dataset.index ?? -1);
      if (index >= 0 && rows[index].node !== undefined) turn(index, !rows[index].isOpen);
    });

    return {
      hide() { box.hidden = true; },
      // A laid-out tree (flame-layout.js); `matches(frame)` marks what is searched for.
      show(tree, title, matches) {
        if (tree !== shown.tree) {
          open = treeRows.openAtFirst(tree);
          whole = new Set();
          active = 0;
        }
        shown = { tree, title, matches };
        table.setAttribute('aria-label', say('tree.table', { name: title }));
        header();
        box.hidden = false;
        draw();
      },
    };
  }

  memdeep.treeView = { create };
})(globalThis.memdeep = globalThis.memdeep || {});
