// The panel beside the graph: the exact stack of what is selected, and the life of its bytes.
(function (memdeep) {
  'use strict';

  const { format } = memdeep;
  const SVG = 'http://www.w3.org/2000/svg';
  const COPIED_MS = 1500;
  const say = (key, values) => memdeep.words.say(key, values);

  function element(name, className, text) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  // Bytes at each checkpoint, as a line in a box of 100 by 24.
  function sparkline(values) {
    const svg = document.createElementNS(SVG, 'svg');
    const line = document.createElementNS(SVG, 'polyline');
    const high = Math.max(1, ...values);
    const step = 100 / Math.max(1, values.length - 1);
    const points = values.map((value, place) => (place * step).toFixed(1) + ',' + (24 - (23 * value) / high).toFixed(1));
    line.setAttribute('points', points.join(' '));
    svg.setAttribute('viewBox', '0 0 100 25');
    svg.setAttribute('preserveAspectRatio', 'none');
    svg.setAttribute('role', 'img');
    svg.setAttribute('aria-label', say('stack.alive_over_time', { peak_bytes: high }));
    svg.append(line);
    return svg;
  }

  function editorAddress(template, path, line) {
    return template
      .replace('{path}', path.split('/').map(encodeURIComponent).join('/').replace(/^\//, ''))
      .replace('{line}', String(Math.max(1, line)));
  }

  function create(root, data) {
    const { core, frames } = data;

    function phaseAt(checkpoint) {
      let best = -1;
      core.phases.stretches.forEach((stretches, phase) => {
        for (let i = 0; i < stretches.length; i += 2) {
          const inside = stretches[i] < checkpoint && checkpoint <= stretches[i + 1];
          if (inside && (best < 0 || core.phases.depth[phase] >= core.phases.depth[best])) best = phase;
        }
      });
      return best < 0 ? core.checkpoints.label[checkpoint] : core.phases.name[best];
    }

    function figures(selection) {
      const alive = selection.aliveOverTime;
      const first = alive.findIndex((bytes) => bytes > 0);
      const last = alive.length - 1 - [...alive].reverse().findIndex((bytes) => bytes > 0);
      const mean = selection.count > 0 ? Math.abs(selection.bytes) / selection.count : null;
      const rows = [
        ['stack.bytes', selection.signed ? format.signedBytes(selection.bytes) : format.bytes(selection.bytes)],
        ['stack.share', format.percent(selection.share)],
        ['stack.count', format.count(Math.abs(selection.count))],
        ['stack.mean', format.bytes(mean)],
        ['stack.largest', format.bytes(selection.largest)],
        ['stack.first', first < 0 ? '–' : phaseAt(first)],
        ['stack.last', first < 0 ? '–' : phaseAt(last)],
      ];
      const list = element('dl', 'panel-figures');
      for (const [key, value] of rows) {
        const row = element('div');
        row.append(element('dt', '', say(key)), element('dd', '', value));
        list.append(row);
      }
      const life = element('div', 'panel-life');
      life.append(element('p', 'hint', say('stack.life')), sparkline(alive));
      return [list, life];
    }

    function frameItem(frame, isHere) {
      const item = element('li', 'origin-' + frames.origin(frame) + (isHere ? ' here' : ''));
      item.append(element('bdi', 'stack-function', frames.functionName(frame)), ' ');
      const canOpen = frames.line(frame) > 0 && frames.file(frame).startsWith('/');
      const place = element(canOpen ? 'a' : 'span', 'stack-place', frames.location(frame));
      place.title = frames.path(frame);
      if (canOpen) place.href = editorAddress(core.editor, frames.file(frame), frames.line(frame));
      item.append(place);
      const source = frames.source(frame);
      if (source !== null) item.append(element('code', '', source));
      return item;
    }

    function asText(selection) {
      const lines = selection.frames.map((frame) => {
        const source = frames.source(frame);
        return '  ' + frames.functionName(frame) + '  ' + frames.path(frame) + (source ? '\n      ' + source : '');
      });
      return [format.bytes(selection.bytes) + ', ' + say('count.allocation', { n: Math.abs(selection.count) }), ...lines].join('\n');
    }

    // The old way is there for pages opened from a file, where the clipboard may be refused.
    async function copy(text) {
      try {
        await navigator.clipboard.writeText(text);
      } catch {
        const area = element('textarea', 'unseen');
        area.value = text;
        root.append(area);
        area.select();
        document.execCommand('copy');
        area.remove();
      }
    }

    function tools(selection) {
      const bar = element('div', 'panel-tools');
      const button = element('button', 'button', say('stack.copy'));
      button.type = 'button';
      button.addEventListener('click', async () => {
        await copy(asText(selection));
        button.textContent = say('stack.copied');
        setTimeout(() => { button.textContent = say('stack.copy'); }, COPIED_MS);
      });
      bar.append(button);
      return bar;
    }

    // `selection` is { frames (outermost first), bytes, count, share, largest, aliveOverTime, signed, here }.
    function show(selection) {
      if (selection === null) {
        root.replaceChildren(element('p', 'hint', say('stack.nothing')));
        return;
      }
      const list = element('ol', 'panel-stack');
      selection.frames.forEach((frame, place) => list.append(frameItem(frame, place === selection.frames.length - 1)));
      root.replaceChildren(
        element('h3', '', say('stack.heading')),
        ...figures(selection),
        tools(selection),
        element('p', 'hint', say('stack.outermost_first')),
        list,
      );
    }

    return { show };
  }

  memdeep.stackPanel = { create, editorAddress };
})(globalThis.memdeep = globalThis.memdeep || {});
