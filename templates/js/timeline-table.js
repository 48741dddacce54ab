// The timeline as a table, for those who hear a page or copy figures: made when it is opened.
(function (memdeep) {
  'use strict';

  const { format } = memdeep;
  const { element } = memdeep.elements;
  const MOST_ROWS = 500;
  const say = (key, values) => memdeep.words.say(key, values);

  // Of very many checkpoints evenly chosen ones, both ends among them. Pure.
  function chosen(count, most = MOST_ROWS) {
    if (count <= most) return Array.from({ length: count }, (_, place) => place);
    return Array.from({ length: most }, (_, place) => Math.round((place * (count - 1)) / (most - 1)));
  }

  function create(root, reading) {
    const summary = element('summary');
    const box = element('div', 'timeline-rows');
    const details = element('details', 'timeline-table', summary, box);

    function heading(text, scope, isNumber) {
      const cell = element('th', isNumber ? 'number' : '', text);
      cell.scope = scope;
      return cell;
    }

    function draw() {
      const places = chosen(reading.count);
      const columns = ['timeline.lasted', 'timeline.rss', 'timeline.heap'].map((key) => heading(say(key), 'col', true));
      const rows = places.map((place) => {
        const { time, rss, heap } = reading.atCheckpoint(place);
        const figures = [format.seconds(time), format.bytes(rss), format.bytes(heap)];
        return element('tr', '', heading(reading.nameOf(place), 'row', false), ...figures.map((text) => element('td', 'number', text)));
      });
      const caption = element('caption', 'hint', say('timeline.table_of', { n: places.length, all: reading.count }));
      box.replaceChildren(element('table', '', caption,
        element('thead', '', element('tr', '', heading(say('timeline.legend_checkpoint'), 'col', false), ...columns)), element('tbody', '', ...rows)));
    }

    details.addEventListener('toggle', () => { if (details.open) draw(); });
    box.tabIndex = 0;
    box.setAttribute('role', 'region');
    root.append(details);
    return {
      speak() {
        summary.textContent = say('timeline.as_table');
        box.setAttribute('aria-label', say('timeline.as_table'));
        if (details.open) draw();
      },
    };
  }

  memdeep.timelineTable = { create, chosen };
})(globalThis.memdeep = globalThis.memdeep || {});
