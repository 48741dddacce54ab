// What is said of a phase in words: the parts of its RSS Δ, and whose its figures are too.
(function (memdeep) {
  'use strict';

  const { format, phaseRows } = memdeep;
  const WORTH_NAMING = 1 << 20; // bytes of a part below which its name says nothing
  const MAX_GROUPS = 3; // of workers that are told
  const say = (key, values) => memdeep.words.say(key, values);

  // The largest part beyond the heap; or what the heap has that is in no RSS, where that is more.
  function mainPart(phases, phase) {
    const size = (part) => Math.abs(part.bytes);
    const [largest = { bytes: 0 }] = phaseRows.partsOf(phases, phase)
      .filter(({ name }) => name !== 'heap' && name !== 'resident')
      .sort((one, other) => size(other) - size(one));
    const untouched = -(phases.parts.untouched[phase] ?? 0);
    if (Math.max(size(largest), untouched) < WORTH_NAMING) return null;
    return untouched > size(largest) ? say('phases.part_untouched', { size_bytes: untouched }) : say('phases.part_' + largest.name);
  }

  // RSS Δ and its parts as one line; '' where they are not known.
  function partsText(phases, phase) {
    const parts = phaseRows.partsOf(phases, phase);
    if (parts.length === 0) return '';
    const text = parts.map(({ name: part, bytes }, place) => {
      const size = say('phases.part_' + part) + ' ' + format.bytes(Math.abs(bytes));
      return (place === 0 ? (bytes < 0 ? '− ' : '') : bytes < 0 ? ' − ' : ' + ') + size;
    });
    return say('phases.parts_sum', { bytes: format.signedBytes(phases.rss[phase]), parts: text.join('') });
  }

  // What it moved in the program and in each group of workers; '' where there were none.
  function workersText({ phases, processes, strings }, phase) {
    const groups = phases.workersBy?.[phase].filter(([, , bytes]) => bytes !== 0) ?? [];
    if (groups.length === 0 || !processes) return '';
    const isOfHeap = phases.workersOfHeap[phase];
    const isOfOne = groups.length === 1 && phases.workersIn[phase] > 0; // the PSS is that of all processes
    const parts = groups.slice(0, MAX_GROUPS).map(([group, n, bytes]) => {
      const place = processes.group.indexOf(group);
      const size = format.signedBytes(isOfOne ? phases.workers[phase] : bytes);
      const line = strings[processes.line[place]];
      return line || n > 1 ? say('workers.in_group', { n, size, line: line || '–' }) : say('workers.in_process', { size, name: processes.how[place] });
    });
    const key = 'workers.' + (isOfHeap ? 'heap_of_' : 'of_') + (isOfOne ? 'one' : 'several');
    return say(key, {
      subject: phases.members[phase] > 1 ? say('workers.phases', { n: phases.members[phase] }) : say('workers.phase'),
      own: format.signedBytes(phases.rss[phase]), size: format.signedBytes(phases.workers[phase]), workers: parts.join(say('workers.and')),
    });
  }

  // All that is said of a phase beside its figures, a sentence each.
  function all(core, phase) {
    const { phases } = core;
    const untouched = -(phases.parts.untouched[phase] ?? 0);
    return [
      workersText(core, phase),
      partsText(phases, phase),
      untouched >= WORTH_NAMING ? say('phases.parts_untouched', { size_bytes: untouched }) : '',
      phases.sharesRss[phase] ? say('phases.shares_rss_meaning') : '',
      phases.overlaps[phase] ? say('phases.overlaps_meaning') : '',
    ].filter((text) => text !== '');
  }

  memdeep.phaseNotes = { mainPart, partsText, all };
})(globalThis.memdeep = globalThis.memdeep || {});
