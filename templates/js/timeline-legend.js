// The legend of the timeline: each curve can be taken away, so that others are seen.
(function (memdeep) {
  'use strict';

  const { element } = memdeep.elements;
  const CURVES = { anonymous: '.rss-area, .rss-line', file: '.file-area', heap: '.heap-line', mark: '.marks' };

  function create(root) {
    const layers = [...root.querySelectorAll('svg .layer')];

    // The parts of the picture that an entry tells of.
    function partsOf(key) {
      if (key.classList.contains('key-layer')) return layers.splice(0, 1);
      const name = Object.keys(CURVES).find((one) => key.classList.contains('key-' + one));
      return name === undefined ? [] : [...root.querySelectorAll(CURVES[name])];
    }

    for (const entry of root.querySelectorAll('.legend li')) {
      const key = entry.querySelector('.key');
      const parts = key === null ? [] : partsOf(key);
      if (parts.length === 0) continue;
      const button = element('button', 'legend-toggle', ...entry.childNodes);
      button.type = 'button';
      button.setAttribute('aria-pressed', 'true');
      button.addEventListener('click', () => {
        const isShown = button.getAttribute('aria-pressed') !== 'true';
        button.setAttribute('aria-pressed', String(isShown));
        for (const part of parts) part.classList.toggle('is-away', !isShown);
      });
      entry.replaceChildren(button);
    }
  }

  memdeep.timelineLegend = { create };
})(globalThis.memdeep = globalThis.memdeep || {});
