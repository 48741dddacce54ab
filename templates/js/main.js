// Joins the pieces. If anything here fails, the page falls back to what needs no script.
(function (memdeep) {
  'use strict';

  function start() {
    const recorded = memdeep.payload.parse(document.getElementById('memdeep-data').textContent);
    const timelineRoot = document.getElementById('timeline');
    const timeline = timelineRoot === null ? null : memdeep.timeline.create(timelineRoot, recorded.data.curves);
    const flameRoot = document.getElementById('flame');
    if (flameRoot === null || recorded.data.phases.length === 0) {
      memdeep.theme.wire(document.getElementById('theme'), () => {});
      return;
    }
    const tooltip = memdeep.flameTooltip.create(document.getElementById('tooltip'), recorded.frames);
    const flame = memdeep.flameView.create(flameRoot, recorded, tooltip, (metric) => phases.chooseMetric(metric));
    memdeep.theme.wire(document.getElementById('theme'), flame.refreshColours);
    const phases = memdeep.phases.create(recorded, flame, timeline);
  }

  try {
    start();
  } catch (error) {
    document.documentElement.classList.remove('js');
    throw error;
  }
})(globalThis.memdeep = globalThis.memdeep || {});
