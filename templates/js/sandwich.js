// Who calls a line, a function or a module and whom it calls, of all stacks of a picture. Pure but
// for what is drawn.
(function (memdeep) {
  'use strict';

  const { format, ranking } = memdeep;
  const { NATIVE } = memdeep.payload;
  const { element } = memdeep.elements;
  const [NONE, SELF] = [-1, -2];
  const say = (key, values) => memdeep.words.say(key, values);

  // For each node the frame that called the outermost of the group above it (NONE: nothing of Python
  // did), and the frame that the innermost one called (SELF: it holds the bytes, or native code
  // beneath it does). `isWithin` are the nodes in or beneath the group.
  function ends({ nodes, frames }, isIn) {
    const size = nodes.parent.length;
    const [caller, callee] = [new Int32Array(size).fill(NONE), new Int32Array(size).fill(NONE)];
    const above = new Int32Array(size).fill(NONE); // the nearest frame of Python
    const isWithin = new Uint8Array(size);
    for (let node = 0; node < size; node += 1) {
      const parent = nodes.parent[node];
      const frame = nodes.frame[node];
      const isPython = frames.origin[frame] < NATIVE;
      const before = parent < 0 ? NONE : above[parent];
      above[node] = isPython ? frame : before;
      const isBeneath = parent >= 0 && isWithin[parent] === 1;
      if (!isBeneath && !isIn(frame)) continue;
      isWithin[node] = 1;
      caller[node] = isBeneath ? caller[parent] : before;
      if (isIn(frame)) callee[node] = SELF;
      else callee[node] = callee[parent] === SELF && isPython ? frame : callee[parent];
    }
    return { caller, callee, isWithin };
  }

  // { total, count, own, callers, callees }: the bytes of all stacks that lead through the group of
  // `frame`; each of them has one caller and one callee, so that both lists add up to the total, with
  // what is its own among the callees. Rows { frame, bytes, count }, the largest first.
  function around({ core, frames }, sum, kind, frame) {
    const group = ranking.groupsOf(frames, kind);
    const { caller, callee, isWithin } = ends(core, (one) => group[one] === group[frame]);
    const found = { total: 0, count: 0, own: 0 };
    const rows = { callers: new Map(), callees: new Map() };
    const put = (side, one, bytes, count) => {
      const key = one === NONE ? NONE : group[one];
      if (!rows[side].has(key)) rows[side].set(key, { frame: one, bytes: 0, count: 0 });
      const row = rows[side].get(key);
      row.bytes += bytes;
      row.count += count;
    };
    isWithin.forEach((flag, node) => {
      if (flag === 0 || sum.bytes[node] === 0) return;
      const [bytes, count] = [sum.bytes[node], sum.count[node]];
      found.total += bytes;
      found.count += count;
      put('callers', caller[node], bytes, count);
      if (callee[node] === SELF) found.own += bytes;
      else put('callees', callee[node], bytes, count);
    });
    const inOrder = (side) => [...rows[side].values()].sort((a, b) => Math.abs(b.bytes) - Math.abs(a.bytes) || a.frame - b.frame);
    return { ...found, callers: inOrder('callers'), callees: inOrder('callees') };
  }

  // `on` = { choose(frame), leave() }.
  function create(root, data, on) {
    const box = element('div', 'sandwich');
    box.hidden = true;
    root.after(box);

    function table(side, shown, look) {
      const most = shown[side].reduce((high, { bytes }) => Math.max(high, Math.abs(bytes)), 1);
      const head = element('tr', '', ...[say('sandwich.' + side), say('stack.bytes'), say('stack.share'), say('lines.count')]
        .map((text, column) => {
          const cell = element('th', column > 0 ? 'number' : '', text);
          cell.scope = 'col';
          return cell;
        }));
      const rows = shown[side].map((row) => rowElement(row, shown, look, most));
      if (rows.length === 0) {
        const none = element('td', 'hint', say('sandwich.no_' + side));
        none.colSpan = 4;
        rows.push(element('tr', '', none));
      }
      const made = element('table', 'lines sandwich-table', element('thead', '', head), element('tbody', '', ...rows));
      made.setAttribute('aria-label', say('sandwich.' + side));
      made.dataset.side = side;
      return made;
    }

    function rowElement({ frame, bytes, count }, shown, { kind, text }, most) {
      const name = element('th');
      name.scope = 'row';
      if (frame === NONE) {
        name.append(element('span', 'line-more', say('sandwich.outermost')));
      } else {
        const [title, more] = ranking.NAMES[kind](data.frames, frame);
        const button = element('button', 'line-name', element('bdi', '', title));
        button.type = 'button';
        button.addEventListener('click', () => on.choose(frame));
        name.append(button, element('span', 'line-more', more));
        name.title = data.frames.path(frame);
      }
      const size = element('td', 'number', text(bytes));
      const bar = element('span', 'bar');
      bar.style.setProperty('--size', (100 * Math.abs(bytes)) / most + '%');
      size.append(bar);
      const share = shown.total === 0 ? null : bytes / shown.total;
      const tone = bytes < 0 ? ' tone-down' : '';
      return element('tr', (frame === NONE ? '' : 'origin-' + data.frames.origin(frame)) + tone, name, size,
        element('td', 'number', format.percent(share)), element('td', 'number', format.count(Math.abs(count))));
    }

    function middle(shown, frame, { kind, text }) {
      const [title, more] = ranking.NAMES[kind](data.frames, frame);
      const heading = element('h3', 'sandwich-middle', element('bdi', '', title), ' ', element('span', 'line-more', more));
      heading.tabIndex = -1;
      const figures = element('p', 'hint', say('sandwich.figures', {
        total: text(shown.total), own: text(shown.own), n: Math.abs(shown.count),
      }));
      return element('div', 'sandwich-card', heading, figures);
    }

    return {
      // Tells if the focus was in it.
      hide() {
        const hadFocus = box.contains(document.activeElement);
        box.hidden = true;
        return hadFocus;
      },
      // `sum` is a picture by node (scope.js).
      show(sum, { kind, frame }) {
        const hadFocus = [root, box].some((one) => one.contains(document.activeElement));
        const look = { kind, text: (bytes) => (sum.signed ? format.signedBytes(bytes) : format.bytes(bytes)) };
        const shown = around(data, sum, kind, frame);
        const back = element('button', 'button', '‹ ' + say('flame.view_' + kind));
        back.type = 'button';
        back.title = say('sandwich.back');
        back.addEventListener('click', on.leave);
        box.replaceChildren(
          element('p', 'sandwich-bar', back, element('span', 'hint', say('sandwich.hint'))),
          table('callers', shown, look), middle(shown, frame, look), table('callees', shown, look),
        );
        box.hidden = false;
        if (hadFocus) box.querySelector('.sandwich-middle').focus({ preventScroll: true });
      },
    };
  }

  memdeep.sandwich = { NONE, around, create };
})(globalThis.memdeep = globalThis.memdeep || {});
