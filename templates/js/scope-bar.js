// The choice of what is looked at: a phase, or two checkpoints, and what to compare it with.
(function (memdeep) {
  'use strict';

  const { scope: scopes, names } = memdeep;
  const BETWEEN = 'between';
  const INDENT = '\u2003';
  const say = (key, values) => memdeep.words.say(key, values);

  function option(value, text) {
    const made = document.createElement('option');
    made.value = value;
    made.textContent = text;
    return made;
  }

  // `on` = { scope(scope), versus(scope or null) }.
  function create(root, core, on) {
    const one = (name) => root.querySelector('[data-' + name + ']');
    const part = {
      phase: one('phase-choice'), from: one('from'), to: one('to'),
      versus: one('versus'), versusFrom: one('versus-from'), versusTo: one('versus-to'), pair: one('versus-pair'), scopePair: one('scope-pair'),
    };

    const levels = memdeep.phaseRows.levelsOf(core.phases);

    function name(scope) {
      if (scopes.isWhole(core, scope)) return say('flame.whole_run');
      return scope.kind === 'phase' ? names.counted(core, scope.phase) : names.stretch(core, scope.from, scope.to);
    }

    function pairOf(from, to) {
      const [a, b] = [Number(from.value), Number(to.value)];
      return a === b ? null : { kind: 'between', from: Math.min(a, b), to: Math.max(a, b) };
    }

    function choose(select, from, to, tell) {
      if (select.value === '') tell(null);
      else if (select.value === BETWEEN) tell(pairOf(from, to) ?? { kind: 'between', from: 0, to: core.checkpoints.time.length - 1 });
      else tell({ kind: 'phase', phase: Number(select.value) });
    }

    function fill() {
      const phases = () => memdeep.phaseRows.inOrder(core.phases).map((place) => option(place, INDENT.repeat(levels[place]) + names.counted(core, place)));
      const points = () => core.checkpoints.label.map((_, place) => option(place, place + ' · ' + names.checkpoint(core, place)));
      part.phase.replaceChildren(...phases(), option(BETWEEN, say('flame.between')));
      part.versus.replaceChildren(option('', say('flame.versus_none')), ...phases(), option(BETWEEN, say('flame.between')));
      for (const select of [part.from, part.to, part.versusFrom, part.versusTo]) select.replaceChildren(...points());
    }

    function showOne(scope, select, from, to) {
      select.value = scope.kind === 'phase' ? String(scope.phase) : BETWEEN;
      const stretches = scopes.stretchesOf(core, scope);
      from.value = String(stretches[0]);
      to.value = String(stretches.at(-1));
    }

    part.phase.addEventListener('change', () => choose(part.phase, part.from, part.to, on.scope));
    part.versus.addEventListener('change', () => choose(part.versus, part.versusFrom, part.versusTo, on.versus));
    for (const [from, to, tell] of [[part.from, part.to, on.scope], [part.versusFrom, part.versusTo, on.versus]]) {
      for (const select of [from, to]) {
        select.addEventListener('change', () => {
          const pair = pairOf(from, to);
          if (pair !== null) tell(pair);
        });
      }
    }

    return {
      name,
      fill,
      show({ scope, versus }) {
        showOne(scope, part.phase, part.from, part.to);
        part.scopePair.hidden = scope.kind !== 'between';
        part.phase.title = name(scope);
        part.pair.hidden = versus?.kind !== 'between';
        if (versus === null) part.versus.value = '';
        else showOne(versus, part.versus, part.versusFrom, part.versusTo);
      },
    };
  }

  memdeep.scopeBar = { create };
})(globalThis.memdeep = globalThis.memdeep || {});
