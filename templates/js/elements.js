// Makes elements of the page.
(function (memdeep) {
  'use strict';

  // `content` are texts and elements.
  function element(name, className = '', ...content) {
    const made = document.createElement(name);
    if (className) made.className = className;
    made.append(...content);
    return made;
  }

  memdeep.elements = { element };
})(globalThis.memdeep = globalThis.memdeep || {});
