// Names checkpoints and phases in the language of the reader, as memdeep/report/sentences.py does.
(function (memdeep) {
  'use strict';

  const say = (key, values) => memdeep.words.say(key, values);

  // A label of blanks only would be seen nowhere.
  const visible = (label) => (label.trim() === '' ? say('checkpoint.blank') : label);

  function checkpoint({ checkpoints }, place) {
    if (place === 0) return say('checkpoint.run_start');
    if (place === checkpoints.label.length - 1) return say('checkpoint.run_end');
    const { [place]: label } = checkpoints.label;
    const { [place]: kind } = checkpoints.kind;
    return kind === 'point' ? visible(label) : say('checkpoint.' + kind, { label: visible(label) });
  }

  function stretch(core, from, to) {
    return say('checkpoint.stretch', { start: checkpoint(core, from), end: checkpoint(core, to) });
  }

  // Names that differ in their numbers only, with * for those that differ (memdeep/analysis/alike.py).
  const NUMBER = /[\d〇零一二三四五六七八九十百千万]+(?:[.,:]\d+)*/g;
  function shared(names) {
    const numbers = names.map((name) => name.match(NUMBER) ?? []);
    let column = -1;
    return names[0].replace(NUMBER, (number) => {
      column += 1;
      return numbers.every((row) => row[column] === number) ? number : '*';
    });
  }

  // Segments of one pattern: their ends differ in numbers only.
  const named = new WeakMap(); // by run, then by language and pattern: there may be thousands of ends
  function segments(core, place) {
    if (!named.has(core)) named.set(core, new Map());
    const key = memdeep.words.language() + ' ' + place;
    if (!named.get(core).has(key)) named.get(core).set(key, joined(core, core.phases.stretches[place]));
    return named.get(core).get(key);
  }

  function joined(core, edges) {
    const [starts, ends] = [0, 1].map((end) => shared(edges.filter((_, i) => i % 2 === end).map((edge) => checkpoint(core, edge))));
    return starts === ends ? say('phases.segments', { name: ends }) : say('checkpoint.stretch', { start: starts, end: ends });
  }

  // A pattern of phases is one, too.
  function phase(core, place) {
    const { phases } = core;
    if (phases.kind[place] === 'span') return visible(phases.name[place]);
    if (phases.members[place] > 0) return segments(core, place);
    return stretch(core, phases.stretches[place][0], phases.stretches[place][1]);
  }

  // With how often its members ran, for a pattern.
  function counted(core, place) {
    const { [place]: members } = core.phases.members;
    return phase(core, place) + (members > 0 ? ' × ' + memdeep.format.count(members) : '');
  }

  memdeep.names = { checkpoint, stretch, phase, counted };
})(globalThis.memdeep = globalThis.memdeep || {});
