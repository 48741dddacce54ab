// Which phase is looked at. The address (#phase=3&metric=peak) is the only memory of it.
(function (memdeep) {
  'use strict';

  const { METRICS } = memdeep.flameLayout;

  function parseAddress(hash) {
    const words = new URLSearchParams(hash.replace(/^#/, ''));
    const phase = words.get('phase');
    const metric = words.get('metric');
    return {
      phase: phase !== null && /^\d+$/.test(phase) ? Number(phase) : null,
      metric: METRICS.includes(metric) ? metric : null,
    };
  }

  function address(phase, metric) {
    return '#phase=' + phase + (metric === null ? '' : '&metric=' + metric);
  }

  function byNumber(elements, key) {
    return new Map([...elements].map((element) => [Number(element.dataset[key]), element]));
  }

  function mark(elements, chosen, className) {
    for (const [index, element] of elements) {
      element.classList.toggle(className, index === chosen);
    }
  }

  function create(recorded, flame, timeline) {
    const rows = byNumber(document.querySelectorAll('[data-row]'), 'row');
    const details = byNumber(document.querySelectorAll('[data-detail]'), 'detail');
    const links = document.querySelectorAll('#phases a[data-phase]');
    let selected = null;
    let shownAddress = null;

    // The phase of the first finding, else the one that grew most: what the reader came for.
    function startingPhase() {
      const wished = [...document.querySelectorAll('.finding [data-phase]')]
        .map((link) => Number(link.dataset.phase))
        .find((index) => details.has(index));
      if (wished !== undefined) return wished;
      const growth = (index) => recorded.data.phases[index].rss ?? 0;
      return [...details.keys()].reduce((most, index) => (growth(index) > growth(most) ? index : most));
    }

    function showLists(metric) {
      for (const list of details.get(selected).querySelectorAll('.culprits')) {
        list.hidden = list.dataset.metric !== metric;
        list.open = !list.hidden;
      }
    }

    function showRow() {
      const row = rows.get(selected);
      const box = row.closest('.table-wrap');
      const head = row.closest('table').tHead.offsetHeight;
      const over = row.offsetTop + row.offsetHeight - box.scrollTop - box.clientHeight;
      const under = row.offsetTop - head - box.scrollTop;
      if (over > 0) box.scrollTop += over;
      else if (under < 0) box.scrollTop += under;
    }

    function apply() {
      if (location.hash === shownAddress) return;
      shownAddress = location.hash;
      const wished = parseAddress(location.hash);
      selected = details.has(wished.phase) ? wished.phase : startingPhase();
      mark(rows, selected, 'selected');
      mark(details, selected, 'selected');
      for (const link of links) {
        if (Number(link.dataset.phase) === selected) link.setAttribute('aria-current', 'true');
        else link.removeAttribute('aria-current');
      }
      details.get(selected).querySelector('[data-slot]').append(flame.root);
      showLists(flame.show(selected, wished.metric));
      timeline?.select(selected);
      showRow();
    }

    function reveal() {
      const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
      const heading = details.get(selected).querySelector('h3');
      details.get(selected).scrollIntoView({ block: 'start', behavior: still ? 'auto' : 'smooth' });
      heading.focus({ preventScroll: true });
    }

    function go(phase, metric) {
      location.hash = address(phase, metric);
      apply();
    }

    function onClick(event) {
      const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey;
      const link = event.target.closest('[data-phase]');
      const row = event.target.closest('[data-row]');
      const index = link ? Number(link.dataset.phase) : row ? Number(row.dataset.row) : null;
      if (!plain || !details.has(index)) return;
      event.preventDefault();
      go(index, METRICS.includes(link?.dataset.wish) ? link.dataset.wish : null);
      reveal();
    }

    function onFind(event) {
      const button = event.target.closest('[data-find]');
      if (button) flame.find(button.dataset.find);
    }

    document.addEventListener('click', onClick);
    document.addEventListener('click', onFind);
    addEventListener('hashchange', apply);
    apply();
    return { chooseMetric: (metric) => go(selected, metric) };
  }

  memdeep.phases = { create, parseAddress, address };
})(globalThis.memdeep = globalThis.memdeep || {});
