// The whole run, and what it never freed, in one click beside the choice of a phase.
(function (memdeep) {
  'use strict';

  const { scope: scopes } = memdeep;
  const { element } = memdeep.elements;
  const say = (key) => memdeep.words.say(key);

  // Of the whole run the stacks at its peak; where they are not known, all that was allocated.
  function metricOfRun(core) {
    const whole = scopes.wholeOf(core);
    const offered = scopes.metricsOf(core, whole);
    const isKnown = (metric) => offered.includes(metric) && scopes.whyUnknown(core, whole, metric) === null;
    return ['peak', 'allocated'].find(isKnown) ?? 'growth';
  }

  // `before` is the element they stand in front of; `on` = { choose(scope, metric) }.
  function create(before, core, on) {
    const metrics = { whole_run: metricOfRun(core), never_freed: 'retained' };
    const buttons = Object.entries(metrics).map(([name, metric]) => {
      const made = element('button');
      made.type = 'button';
      made.dataset.shortcut = name;
      made.addEventListener('click', () => on.choose(scopes.wholeOf(core), metric));
      return made;
    });
    const group = element('div', 'tabs', ...buttons);
    group.setAttribute('role', 'group');
    before.before(group);

    return {
      show({ scope, metric }) {
        const isWhole = scopes.isWhole(core, scope);
        for (const button of buttons) {
          const isNever = button.dataset.shortcut === 'never_freed';
          button.setAttribute('aria-pressed', String(isWhole && isNever === (metric === 'retained')));
        }
      },
      speak() {
        group.setAttribute('aria-label', say('flame.shortcuts'));
        for (const button of buttons) {
          button.textContent = say('flame.' + button.dataset.shortcut);
          button.title = say(`flame.${button.dataset.shortcut}_meaning`);
        }
      },
    };
  }

  memdeep.scopeShortcuts = { create, metricOfRun };
})(globalThis.memdeep = globalThis.memdeep || {});
