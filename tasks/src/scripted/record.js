// Tells what a person does in this page, as lines on the console: one JSON object for each act, behind `prefix`. Only
// trusted events count. What is typed into a password field is never told, only that something was.
if (!window.vigorlTells) {
  window.vigorlTells = true;
  const write = console.debug.bind(console);
  const tell = (deed) => write(prefix + JSON.stringify(deed));
  const selectorOf = (element) => {
    const only = (selector) => all(selector).length === 1;
    const steps = [];
    for (let at = element; at && at.nodeType === 1; at = at.parentElement) {
      if (at.id && only(`#${CSS.escape(at.id)}`)) return [`#${CSS.escape(at.id)}`, ...steps].join(' > ');
      // Also in a shadow root, which is no element.
      const same = [...childrenOf(parentNodeOf(at))].filter((e) => isElement(e) && nameIs(e) === nameIs(at));
      steps.unshift(same.length > 1 ? `${at.localName}:nth-of-type(${same.indexOf(at) + 1})` : at.localName);
      if (only(steps.join(' > '))) break;
    }
    return steps.join(' > ');
  };
  const WORKED = 'a, button, input, select, textarea, summary, label, option, [role], [onclick], [contenteditable], [tabindex]';
  const targetOf = (event) => {
    const inner = event.composedPath()[0];
    const element = (inner.closest && inner.closest(WORKED)) || inner;
    const [name, role] = [even(nameOf(element)).slice(0, 80), roleOf(element)];
    const kind = role && role !== 'generic' ? role : element.localName || 'page';
    const what = name ? `the ${kind} "${name}"` : `the ${kind}`;
    // A name is worth more than a path, if it leads here.
    const found = name && role && name === nameOf(element) && locate({ name, role });
    const box = found && inTop(element, boxOf(element));
    const here = found && !found.reason && Math.abs(found.left - Math.max(0, box.left)) < 2
      && Math.abs(found.top - Math.max(0, box.top)) < 2;
    return here ? { what, name, role } : { what, selector: selectorOf(element) };
  };
  const trusted = (work) => (event) => { if (event.isTrusted) work(event); };
  const listen = (kind, work) => addEventListener(kind, trusted(work), { capture: true, passive: true });
  let pressed = null;
  listen('pointerdown', (event) => { pressed = { x: event.clientX, y: event.clientY, target: targetOf(event) }; });
  listen('click', (event) => {
    // Enter on a button clicks it as well, and a label clicks its field: both were told already.
    if (event.detail > 0 && pressed) {
      tell({ type: 'click', at: pressed.target, button: 'left', count: event.detail });
      if (event.target.closest && event.target.closest('label')) pressed = null;
    }
  });
  listen('contextmenu', (event) => { if (pressed && event.button === 2) tell({ type: 'click', at: targetOf(event), button: 'right', count: 1 }); });
  listen('drop', (event) => { if (pressed) tell({ type: 'drag', from: pressed.target, to: targetOf(event) }); });
  listen('change', (event) => {
    const field = event.target;
    if (field.localName === 'select') tell({ type: 'select', at: targetOf(event), option: even(field.selectedOptions[0] && field.selectedOptions[0].label) });
    if (field.type === 'file') tell({ type: 'upload', at: targetOf(event), files: [...field.files].map((file) => file.name) });
  });
  listen('paste', (event) => {
    if (event.target.type === 'password') tell({ secret: 1 });
    else tell({ type: 'type', text: event.clipboardData.getData('text/plain') });
  });
  const NAMES = { ' ': 'Space', ArrowLeft: 'Left', ArrowRight: 'Right', ArrowUp: 'Up', ArrowDown: 'Down' };
  listen('keydown', (event) => {
    if (event.isComposing || ['Control', 'Shift', 'Alt', 'Meta', 'AltGraph', 'Dead', 'Process', 'Unidentified'].includes(event.key)) return;
    const isText = [...event.key].length === 1;
    const held = event.ctrlKey || event.metaKey || event.altKey;
    const isSecret = event.target.type === 'password';
    if (isText && (!held || event.getModifierState('AltGraph'))) {
      return tell(isSecret ? { secret: 1 } : { type: 'type', text: event.key });
    }
    // What is pasted is told by its own event, in full.
    if (held && event.key.toLowerCase() === 'v' && !event.altKey) return;
    if (isSecret && event.key === 'Backspace') return;
    const modifiers = [['Control', event.ctrlKey], ['Alt', event.altKey], ['Shift', event.shiftKey], ['Meta', event.metaKey]];
    const chord = modifiers.filter(([, down]) => down).map(([name]) => name);
    tell({ type: 'press', chord: [...chord, NAMES[event.key] || event.key].join('+') });
  });
  let wheel = null;
  listen('wheel', (event) => {
    // Tells a scroll when it is over.
    if (wheel) clearTimeout(wheel.timer);
    else wheel = { target: targetOf(event), by: 0 };
    wheel.by += event.deltaY * devicePixelRatio;
    const told = wheel;
    wheel.timer = setTimeout(() => { wheel = null; if (told.by) tell({ type: 'scroll', at: told.target, dx_px: 0, dy_px: Math.round(told.by) }); }, 300);
  });
}
