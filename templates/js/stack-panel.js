// The panel beside the graph: the exact stacks of what is selected, and the life of its bytes.
(function (memdeep) {
  'use strict';

  const { format } = memdeep;
  const { element } = memdeep.elements;
  const UNKNOWN = '–';
  const MAX_NAME = 36; // characters of the name of a compiled library, as in memdeep/report/sentences.py
  const say = (key, values) => memdeep.words.say(key, values);

  function button(className, text, onClick) {
    const made = element('button', className, text);
    made.type = 'button';
    made.addEventListener('click', onClick);
    return made;
  }

  // The address that opens a line in an editor, or null where there is no such file.
  function editorAddress(template, path, line) {
    const isFile = /^(\/|[A-Za-z]:[\\/])/.test(path);
    if (!isFile || line <= 0 || !/^[a-z][a-z0-9+.-]*:/i.test(template) || /^(javascript|data|vbscript):/i.test(template)) return null;
    const escaped = path.split(/[\\/]/).map(encodeURIComponent).join('/');
    return template
      .replace('/{path}', '/' + escaped.replace(/^\//, ''))
      .replace('{path}', escaped)
      .replace('{line}', String(line));
  }

  // A long name keeps its beginning and its end.
  function shortened(name) {
    const half = (MAX_NAME - 1) >> 1;
    return name.length > MAX_NAME && name.includes('.so') ? name.slice(0, half) + '…' + name.slice(-half) : name;
  }

  function create(root, data, on) {
    const { core, frames } = data;
    let shown = null; // { selection, title, sums, stretches }
    let place = 0; // of the stack that is shown, among those of the selection
    let isUnfolded = false; // the native frames of its stack, whatever the graph does

    const bytesText = (bytes) => (shown.selection.signed ? format.signedBytes(bytes) : format.bytes(bytes));
    const phaseName = (phase) => (phase < 0 ? say('stack.no_phase') : memdeep.names.phase(core, phase));
    const stack = () => memdeep.selection.stackOf(core, shown.selection.stacks[place]);
    const isHere = (frame) => Boolean(shown.selection.isHere(frame, shown.selection.stacks[place]));

    function largestText({ largest }) {
      if (largest === null) return UNKNOWN;
      return largest.isExact ? format.bytes(largest.bytes) : say('stack.at_least', { sum_bytes: largest.bytes });
    }

    // With the line and the phase of the largest allocation, which a click leads to.
    function largestPlace({ largest }) {
      if (largest === null) return UNKNOWN;
      const frame = memdeep.ranking.chargedFrames(core)[largest.node];
      const phase = memdeep.scope.phaseAt(core, largest.born);
      const made = button('figure-link', largestText({ largest }), () => on.largest(frame, phase, largest.born));
      const where = [shortened(frames.location(frame)), phase < 0 ? '' : phaseName(phase)].filter((text) => text !== '').join(' · ');
      made.append(element('span', 'figure-where', where));
      made.title = say('stack.to_largest');
      return made;
    }

    // Of all of it nobody asks when it was first alive: that is the start of the run.
    function figures({ selection, isAll }) {
      const { life } = selection;
      const last = life === null ? UNKNOWN : life.isAtEnd ? say('stack.at_end') : phaseName(life.last);
      const list = element('dl', 'panel-figures');
      const ends = isAll ? [] : [
        ['stack.first', life === null ? UNKNOWN : phaseName(life.first)],
        ['stack.last', last],
      ];
      for (const [key, value] of [
        ['stack.bytes', bytesText(selection.bytes)],
        ['stack.share', format.percent(selection.share)],
        ['stack.count', format.count(Math.abs(selection.count))],
        ['stack.mean', format.bytes(selection.mean)],
        ['stack.largest', largestPlace(selection)],
        ...ends,
      ]) list.append(element('div', '', element('dt', '', say(key)), element('dd', '', value)));
      return list;
    }

    function life({ selection, stretches, isAll }) {
      const most = selection.alive.reduce((high, bytes) => Math.max(high, bytes), 0);
      const label = say(isAll ? 'stack.all_over_time' : 'stack.alive_over_time', { peak_bytes: most });
      return element('figure', 'panel-life',
        memdeep.sparkline.draw(core.checkpoints.time, selection.alive, stretches, label),
        element('figcaption', 'hint', label));
    }

    // A bar of what was freed in the stretch, later, and never.
    function fate({ selection }) {
      const parts = Object.entries(selection.fate ?? {}).filter(([, bytes]) => bytes > 0);
      if (parts.length === 0) return [];
      const bar = element('div', 'fate-bar', ...parts.map(([when, bytes]) => {
        const part = element('span', 'fate-' + when);
        part.style.flexGrow = bytes;
        return part;
      }));
      bar.setAttribute('aria-hidden', 'true');
      const list = element('dl', 'fate-parts', ...parts.map(([when, bytes]) => (
        element('div', 'fate-' + when, element('dt', '', say('stack.fate_' + when)), element('dd', '', format.bytes(bytes))))));
      return [element('figure', 'panel-fate', bar, element('figcaption', 'hint', say('stack.fate')), list)];
    }

    const timesText = (times) => (times > 1 ? ' × ' + format.count(times) : '');

    function frameItem(frame, times) {
      const item = element('li', 'origin-' + frames.origin(frame) + (isHere(frame) ? ' here' : ''));
      // The source of native code is a path of the machine that built it.
      const isNative = frames.origin(frame) === 'native';
      const address = isNative ? null : editorAddress(core.editor, frames.file(frame), frames.line(frame));
      const where = element(address === null ? 'span' : 'a', 'stack-place', frames.namesFile(frame) ? '' : shortened(frames.location(frame)));
      where.title = isNative ? frames.location(frame) : frames.path(frame);
      if (address !== null) where.href = address;
      const called = element('bdi', 'stack-function', shortened(frames.functionName(frame)));
      called.title = frames.functionName(frame);
      item.append(called, ' ', where);
      if (times > 1) item.append(element('span', 'stack-times', timesText(times)));
      const source = frames.source(frame);
      if (source !== null) {
        const code = element('code');
        memdeep.pythonColours.paint(code, source, frames.file(frame));
        item.append(code);
      }
      return item;
    }

    function asText() {
      const { selection, title, sums } = shown;
      const node = selection.stacks[place];
      const times = memdeep.selection.timesOf(core, node);
      const lines = stack().flatMap((frame, row) => {
        const source = frames.source(frame);
        const call = '  ' + frames.functionName(frame) + '  ' + frames.path(frame) + timesText(times[row]);
        return source === null ? [call] : [call, '      ' + source];
      });
      const count = say('count.allocation', { n: Math.abs(sums.node.count[node]) });
      return [title, bytesText(sums.node.bytes[node]) + ', ' + count, ...lines].join('\n') + '\n';
    }

    // Where the selected line or frame is in the source view and the graph.
    function tools() {
      const bar = element('div', 'panel-tools', memdeep.copying.button(say('stack.copy'), asText));
      const here = stack().findLast((frame) => isHere(frame) && frames.line(frame) > 0 && frames.file(frame) !== '');
      if (here !== undefined) bar.append(button('button', say('stack.in_source'), () => on.source(here)));
      if (shown.isRow) bar.append(button('button', say('stack.in_graph'), () => on.graph(here ?? stack().at(-1))));
      return bar;
    }

    function pager({ selection, sums }) {
      const many = selection.stacks.length;
      const node = selection.stacks[place];
      const text = many === 1 ? say('stack.outermost_first') : say('stack.place', {
        place: place + 1, n: many, bytes: bytesText(sums.node.bytes[node]),
      });
      const bar = element('div', 'panel-pager', element('p', 'hint', text));
      if (many === 1) return bar;
      const turn = (sign, key, step) => {
        const made = button('button', sign, () => {
          place += step;
          draw();
          root.querySelector('[data-turn="' + step + '"]:not(:disabled)')?.focus();
        });
        made.setAttribute('aria-label', say(key));
        made.title = say(key);
        made.dataset.turn = step;
        made.disabled = place + step < 0 || place + step >= many;
        return made;
      };
      bar.append(turn('‹', 'stack.previous', -1), turn('›', 'stack.next', 1));
      return bar;
    }

    // The frames that the graph folds are folded here, too, until they are asked for.
    function folding(count) {
      if (count === 0) return [];
      const made = button('button panel-folding', say(isUnfolded ? 'stack.fold' : 'stack.unfold', { n: count }), () => {
        isUnfolded = !isUnfolded;
        draw();
        root.querySelector('.panel-folding').focus();
      });
      made.setAttribute('aria-expanded', String(isUnfolded));
      return [made];
    }

    function draw() {
      const { selection, title } = shown;
      const heading = element('h3', '', element('bdi', '', title));
      if (selection.stacks.length === 0) {
        const isFolded = selection.bytes !== 0;
        const why = element('p', 'hint', say(isFolded ? 'stack.all_folded' : 'stack.nothing_here'));
        root.replaceChildren(heading, ...(isFolded ? [figures(shown)] : []), why, life(shown));
        return;
      }
      const times = memdeep.selection.timesOf(core, selection.stacks[place]);
      const all = stack();
      const told = memdeep.flameTree.toldOf(core, all, { ...shown.options, invert: false });
      const rows = isUnfolded ? [...all.keys()] : told;
      const list = element('ol', 'panel-stack', ...rows.map((row) => frameItem(all[row], times[row])));
      list.tabIndex = 0;
      list.setAttribute('aria-label', say('stack.heading'));
      root.replaceChildren(heading, figures(shown), life(shown), ...fate(shown), tools(), pager(shown), list, ...folding(all.length - told.length));
      const here = list.querySelector('.here');
      if (here !== null) list.scrollTop = here.offsetTop - list.clientHeight / 2;
    }

    return {
      // `what` = { selection (selection.js), title, isRow, isAll, sums, stretches, options (of flame-tree.js) }.
      show(what) {
        shown = what;
        place = 0;
        draw();
      },
    };
  }

  memdeep.stackPanel = { shortened, create, editorAddress };
})(globalThis.memdeep = globalThis.memdeep || {});
