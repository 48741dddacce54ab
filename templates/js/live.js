// Asks each second how the run is, and shows it.
(function (memdeep) {
  'use strict';

  const EVERY_MS = 1000;
  const MOST_MS = 5000; // without an answer
  const LATE_S = 2;
  const VERDICTS = ['completed', 'failed', 'killed', 'oom-killed'];

  const place = (name) => document.querySelector('[data-' + name + ']');
  const { words, format } = memdeep;
  const lines = memdeep.liveLines.create(place('heads'), place('rows'));
  let answer = null;
  let isLost = false;
  let isPaused = false;

  function text(name, said) {
    const found = place(name);
    if (found.textContent !== said) found.textContent = said;
  }

  function fact(name, said, tone = '') {
    const { element } = memdeep.elements;
    return element('div', '', element('dt', '', words.say('running.' + name)), element('dd', tone, said));
  }

  function tone(bytes, limit) {
    if (limit.critical_bytes !== null && bytes >= limit.critical_bytes) return 'live-bad';
    return limit.warning_bytes !== null && bytes >= limit.warning_bytes ? 'tone-up' : '';
  }

  function facts({ memory, limit, process }) {
    const found = [
      fact(memory.is_pss ? 'pss' : 'rss', format.bytes(memory.resident_bytes), tone(memory.resident_bytes, limit)),
      fact('resident_peak', format.bytes(memory.resident_peak_bytes)),
      fact('heap', format.bytes(memory.heap_bytes)),
      fact('heap_peak', format.bytes(memory.heap_peak_bytes)),
    ];
    if (limit.warning_bytes !== null) found.push(fact('warning', format.bytes(limit.warning_bytes)));
    if (limit.critical_bytes !== null) found.push(fact('critical', format.bytes(limit.critical_bytes)));
    if (limit.limit_bytes !== null) {
      found.push(fact('left', format.bytes(limit.left_bytes)));
      if (limit.growth_bytes_a_second !== null) found.push(fact('lasts', limit.left_s === null ? words.say('running.not_growing') : format.seconds(limit.left_s)));
    }
    if (process.processes > 1) found.push(fact('processes', format.count(process.processes)));
    place('facts').replaceChildren(...found);
  }

  function verdict({ process }) {
    const name = process.verdict ?? (process.is_running ? 'running' : 'unknown');
    const shown = VERDICTS.includes(name) || name === 'running' ? name : 'unknown';
    place('verdict').className = 'verdict verdict-' + shown;
    text('verdict', words.say('running.is_' + shown.replace('-', '_')));
  }

  function where(live) {
    const open = live.phases.filter((phase) => phase.is_span);
    if (open.length > 0) {
      const path = open.map((phase) => phase.name).join(' › ');
      return words.say('running.in', { path, grown_bytes: open.at(-1).grown_bytes });
    }
    const since = live.phases.at(-1);
    return since === undefined ? '' : words.say('running.since', { label: since.name, grown_bytes: since.grown_bytes });
  }

  function headline(live) {
    if (live.memory.heap_bytes === null) return words.say('running.no_heap');
    const grown = live.lines.reduce((sum, line) => sum + line.minute_bytes, live.others.minute_bytes);
    const key = grown > 0 ? 'running.headline_more' : grown < 0 ? 'running.headline_less' : 'running.headline';
    return words.say(key, { heap_bytes: live.memory.heap_bytes, grown_bytes: Math.abs(grown), minute_s: live.minute_s });
  }

  function lag(live, now) {
    if (live.process.verdict !== null) return words.say('running.as_of', { elapsed_s: live.elapsed_s });
    const late = (live.lag.seconds ?? 0) + Math.max(0, now - live.epoch_s);
    const said = words.say('running.behind', { late_s: late });
    place('lag').classList.toggle('tone-up', late > LATE_S);
    return live.lag.bytes ? said + words.say('running.behind_bytes', { behind_bytes: live.lag.bytes }) : said;
  }

  function frozen({ frozen: report }) {
    place('freeze').disabled = report.is_busy;
    place('report').hidden = !report.is_made;
    place('report').href = 'report';
    if (report.has_failed) return words.say('running.not_frozen');
    return report.is_busy ? words.say('running.freezing') : '';
  }

  function note() {
    if (isLost) return words.say('running.lost');
    if (answer === null) return '';
    return answer.problem ?? (frozen(answer) || (answer.live === null ? words.say('running.not_yet') : ''));
  }

  function show() {
    text('note', note());
    text('resident-name', words.say(answer?.live?.memory.is_pss ? 'running.pss' : 'running.rss'));
    text('pause', words.say(isPaused ? 'running.go_on' : 'running.pause'));
    const live = answer?.live ?? null;
    document.documentElement.dataset.ready = 'yes';
    if (live === null) return;
    if (live.process.name !== '') text('program', live.process.name);
    verdict(live);
    text('elapsed', format.seconds(live.elapsed_s));
    text('headline', headline(live));
    text('place', where(live));
    facts(live);
    text('lag', lag(live, answer.now_s));
    const high = memdeep.liveCurve.draw(place('curve'), live, 1000 * live.elapsed_s);
    place('curve').setAttribute('aria-label', words.say('running.curve_is', { high_bytes: high, elapsed_s: live.elapsed_s }));
    text('scale-start', '0');
    text('scale-top', words.say('running.scale', { high_bytes: high }));
    text('scale-end', format.seconds(live.elapsed_s));
    lines.show(live);
  }

  async function ask() {
    if (!isPaused && !document.hidden) {
      try {
        const found = await fetch('live.json', { cache: 'no-store', signal: AbortSignal.timeout(MOST_MS) });
        if (!found.ok) throw new Error(String(found.status));
        answer = await found.json();
        isLost = false;
      } catch {
        isLost = true;
      }
      show();
    }
    setTimeout(ask, EVERY_MS);
  }

  place('pause').addEventListener('click', () => {
    isPaused = !isPaused;
    place('pause').setAttribute('aria-pressed', String(isPaused));
    show();
  });
  place('freeze').addEventListener('click', async () => {
    place('freeze').disabled = true;
    try {
      await fetch('freeze', { method: 'POST' });
    } catch {
      isLost = true;
    }
  });
  words.onChange(show);
  words.start(() => {});
  memdeep.theme.wire(document.querySelectorAll('[data-set-theme]'), () => {}, () => {});
  ask();
})(globalThis.memdeep = globalThis.memdeep || {});
