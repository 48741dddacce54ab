// Names checkpoints and phases in the language of the reader, as memdeep/report/sentences.py does.
(function (memdeep) {
  'use strict';

  const say = (key, values) => memdeep.words.say(key, values);

  function checkpoint({ checkpoints }, place) {
    if (place === 0) return say('checkpoint.run_start');
    if (place === checkpoints.label.length - 1) return say('checkpoint.run_end');
    const { [place]: label } = checkpoints.label;
    const { [place]: kind } = checkpoints.kind;
    return kind === 'point' ? label : say('checkpoint.' + kind, { label });
  }

  function stretch(core, from, to) {
    return say('checkpoint.stretch', { start: checkpoint(core, from), end: checkpoint(core, to) });
  }

  function phase(core, place) {
    const { phases } = core;
    if (phases.kind[place] === 'span') return phases.name[place];
    return stretch(core, phases.stretches[place][0], phases.stretches[place][1]);
  }

  memdeep.names = { checkpoint, stretch, phase };
})(globalThis.memdeep = globalThis.memdeep || {});
