// The timeline under the pointer and the keyboard: reads values, selects phases and stretches.
(function (memdeep) {
  'use strict';

  const NEAR_PX = 6;
  const DRAG_PX = 5;
  const PAGE = 10;

  const { format } = memdeep;
  const { element } = memdeep.elements;
  const say = (key, values) => memdeep.words.say(key, values);

  function create(root, core, store, chooseScope) {
    const reading = memdeep.timelineReading.create(core, Number(root.dataset.endS));
    const peak = reading.atPeak();
    const part = Object.fromEntries([...root.querySelectorAll('[data-part]')].map((one) => [one.dataset.part, one]));
    const zoom = memdeep.timelineZoom.create(root, part.reader, reading.end, onZoom);
    const reset = element('button', 'button timeline-reset');
    const bands = [...root.querySelectorAll('.band')];
    let cursor = 0;         // the checkpoint the keyboard stands on
    let anchor = null;      // where a selection by keyboard began
    let drag = null;        // {x, time, moved}
    let preview = null;     // the stretch a drag or the keyboard is about to select

    const shareOf = (time) => (Math.min(1, Math.max(0, zoom.shareOf(time))) * 100) + '%';
    const timeAt = (event) => zoom.timeOf(zoom.shareAt(event.clientX));

    // Near the peak or a checkpoint its own figures are read: the phases are made of them.
    function readAt(time) {
      const index = reading.nearest(time);
      const pixels = (other) => (Math.abs(other - time) / zoom.span()) * part.reader.clientWidth;
      const away = pixels(reading.timeOf(index));
      if (peak !== null && pixels(peak.time) <= Math.min(NEAR_PX, away)) return peak;
      return away <= NEAR_PX ? reading.atCheckpoint(index) : reading.atTime(time);
    }

    function place(read) {
      if (read === peak) return say('timeline.peak');
      const label = reading.nameOf(Math.max(0, read.checkpoint));
      return say(read.isExact ? 'timeline.at' : 'timeline.after', { label });
    }

    function rows(read) {
      const known = (key, value) => (value === null ? [] : [[say(key), format.bytes(value)]]);
      if (read.layers !== null) {
        const layers = read.layers.map((bytes, place) => [reading.layerName(place), format.bytes(bytes), bytes]);
        return [
          ...known('timeline.pss', reading.total(read.layers)),
          ...layers.filter(([, , bytes]) => bytes > 0).reverse().map(([name, text]) => [name, text]), // as they lie
          ...known('timeline.heap', read.heap),
        ];
      }
      const anonymous = read.rss === null || read.file === null ? null : read.rss - read.file;
      return [
        ...known('timeline.rss', read.rss),
        ...known('timeline.anonymous', anonymous),
        ...known('timeline.file', read.file),
        ...known('timeline.heap', read.heap),
      ];
    }

    function growthRows(stretch) {
      const grown = reading.growth(stretch);
      const known = (key, value) => (value === null ? [] : [[say(key), format.signedBytes(value)]]);
      return [
        [say('timeline.lasted'), format.seconds(grown.time)],
        ...known('timeline.pss_delta', grown.pss),
        ...known(grown.pss === null ? 'timeline.rss_delta' : 'timeline.own_rss_delta', grown.rss),
        ...known('timeline.heap_delta', grown.heap),
      ];
    }

    function showReadout(time, title, pairs) {
      const list = element('dl', 'readout-figures');
      for (const [name, value] of pairs) list.append(element('dt', '', name), element('dd', '', value));
      part.readout.replaceChildren(element('p', 'readout-title', title), list);
      part.readout.hidden = part.crosshair.hidden = false;
      part.crosshair.style.setProperty('--at', shareOf(time));
      part.readout.style.setProperty('--at', shareOf(time));
      part.readout.classList.toggle('is-left', zoom.shareOf(time) > 0.6);
    }

    function showRead(read) {
      showReadout(read.time, format.seconds(read.time) + ' · ' + place(read), rows(read));
    }

    function stretchTitle({ from, to }) {
      return say('timeline.between', { from: reading.nameOf(from), to: reading.nameOf(to) });
    }

    function hideReadout() {
      part.readout.hidden = part.crosshair.hidden = true;
    }

    function shade(from, to, className) {
      const isAway = zoom.shareOf(reading.timeOf(to)) < 0 || zoom.shareOf(reading.timeOf(from)) > 1;
      const made = element('span', isAway ? className + ' is-away' : className);
      made.style.setProperty('--from', shareOf(reading.timeOf(from)));
      made.style.setProperty('--to', shareOf(reading.timeOf(to)));
      return made;
    }

    function onZoom() {
      reset.hidden = !zoom.isZoomed();
      hideReadout();
      showScope();
    }

    function showScope() {
      const { scope, versus } = store.get();
      part.shade.replaceChildren(
        ...reading.stretchesOf(versus).map(([from, to]) => shade(from, to, 'shade shade-versus')),
        ...reading.stretchesOf(scope).map(([from, to]) => shade(from, to, 'shade')),
      );
      for (const band of bands) {
        const chosen = scope?.kind === 'phase' && Number(band.dataset.phase) === scope.phase;
        band.classList.toggle('selected', chosen);
      }
      part.status.textContent = scopeText(scope);
    }

    function scopeText(scope) {
      if (scope === null) return '';
      if (scope.kind === 'phase') return say('timeline.selected', { phase: reading.phaseName(scope.phase) });
      const figures = growthRows(scope).map((pair) => pair.join(' ')).join(' · ');
      return stretchTitle(scope) + ': ' + figures;
    }

    function showPreview(stretch, time) {
      preview = stretch;
      part.preview.hidden = false;
      part.preview.style.setProperty('--from', shareOf(reading.timeOf(stretch.from)));
      part.preview.style.setProperty('--to', shareOf(reading.timeOf(stretch.to)));
      showReadout(time, stretchTitle(stretch), growthRows(stretch));
    }

    function dropPreview() {
      preview = anchor = null;
      part.preview.hidden = true;
    }

    function selectPreview() {
      if (preview === null) return;
      const { from, to } = preview;
      dropPreview();
      chooseScope({ kind: 'between', from, to });
    }

    function selectPhaseAt(time) {
      const phase = reading.phaseAt(time);
      if (phase >= 0) chooseScope({ kind: 'phase', phase });
    }

    function stand(index) {
      cursor = Math.min(reading.count - 1, Math.max(0, index));
      zoom.reveal(reading.timeOf(cursor));
      const read = reading.atCheckpoint(cursor);
      const figures = rows(read).map((pair) => pair.join(' ')).join(', ');
      part.reader.setAttribute('aria-valuenow', String(cursor));
      part.reader.setAttribute('aria-valuetext', [reading.nameOf(cursor), format.seconds(read.time), figures].join(', '));
      return read;
    }

    function step(index, isExtending) {
      const from = isExtending ? anchor ?? cursor : null;
      const read = stand(index);
      dropPreview();
      anchor = from;
      if (anchor === null || anchor === cursor) showRead(read);
      else showPreview({ from: Math.min(anchor, cursor), to: Math.max(anchor, cursor) }, read.time);
    }

    const STEPS = {
      ArrowLeft: () => cursor - 1, ArrowDown: () => cursor - 1,
      ArrowRight: () => cursor + 1, ArrowUp: () => cursor + 1,
      PageUp: () => cursor + PAGE, PageDown: () => cursor - PAGE,
      Home: () => 0, End: () => reading.count - 1,
    };

    function onKey(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (Object.hasOwn(STEPS, event.key)) step(STEPS[event.key](), event.shiftKey);
      else if (event.key === 'Enter' && preview !== null) selectPreview();
      else if (event.key === 'Enter') selectPhaseAt(reading.timeOf(cursor));
      else if (event.key === 'Escape') { dropPreview(); hideReadout(); }
      else if (event.key === 'p') toPeak();
      else if (!zoom.key(event.key, reading.timeOf(cursor))) return;
      event.preventDefault();
    }

    function onDown(event) {
      if (zoom.isPinching()) { onCancel(); return; }
      if (event.button !== 0) return;
      drag = { x: event.clientX, time: timeAt(event), moved: false };
      part.reader.setPointerCapture(event.pointerId);
    }

    function onMove(event) {
      if (zoom.isPinching()) return;
      const time = timeAt(event);
      if (drag !== null && Math.abs(event.clientX - drag.x) > DRAG_PX) drag.moved = true;
      if (drag?.moved) showPreview(reading.between(drag.time, time), time);
      else showRead(readAt(time));
    }

    function onUp(event) {
      if (drag === null) return;
      const { moved } = drag;
      drag = null;
      if (moved) selectPreview();
      else selectPhaseAt(timeAt(event));
      stand(reading.nearest(timeAt(event)));
    }

    function onCancel() {
      drag = null;
      dropPreview();
      hideReadout();
    }

    function toPeak() {
      if (peak === null) return;
      const phase = reading.peakPhase();
      if (phase >= 0) {
        chooseScope({ kind: 'phase', phase });
        store.set({ versus: null, metric: 'peak' });
      }
      stand(reading.nearest(peak.time));
      showRead(peak);
    }

    function onBand(event) {
      const band = event.target.closest('.band');
      const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey;
      if (band === null || !isPlain) return;
      event.preventDefault();
      chooseScope({ kind: 'phase', phase: Number(band.dataset.phase) });
    }

    part.reader.setAttribute('aria-valuemax', String(reading.count - 1));
    part.reader.addEventListener('keydown', onKey);
    part.reader.addEventListener('focus', () => { if (drag === null && part.reader.matches(':focus-visible')) showRead(stand(cursor)); });
    part.reader.addEventListener('blur', onCancel);
    part.reader.addEventListener('pointerdown', onDown);
    part.reader.addEventListener('pointermove', onMove);
    part.reader.addEventListener('pointerup', onUp);
    part.reader.addEventListener('pointercancel', onCancel);
    part.reader.addEventListener('pointerleave', () => { if (drag === null && preview === null) hideReadout(); });
    part.bands?.addEventListener('click', onBand);
    // The plot and the table reach every phase by keyboard; hundreds of tab stops would not help.
    for (const band of bands) band.tabIndex = -1;
    part.peak.addEventListener('click', toPeak);
    part.peak.hidden = peak === null;
    reset.type = 'button';
    reset.hidden = true;
    reset.addEventListener('click', zoom.reset);
    part.peak.before(reset);
    memdeep.timelineLegend.create(root);
    const table = memdeep.timelineTable.create(root.querySelector('.timeline'), reading);
    store.subscribe((_, changed) => {
      if (changed.has('scope') || changed.has('versus')) showScope();
    });
    function speak() {
      reset.textContent = say('flame.reset');
      table.speak();
      for (const band of bands) band.title = reading.phaseName(Number(band.dataset.phase));
      hideReadout();
      showScope();
      stand(cursor);
    }

    memdeep.words.onChange(speak);
    speak();
  }

  memdeep.timeline = { create };
})(globalThis.memdeep = globalThis.memdeep || {});
