// Tells what a person does in this page, as lines on the console: one JSON object for each act, behind `prefix`. Only
// trusted events count. What is typed into a password field is never told, only that something was.
if (!window.vigorlTells) {
  window.vigorlTells = true;
  const write = console.debug.bind(console);
  const tell = (deed) => write(prefix + JSON.stringify(deed));
  const selectorOf = (element) => {
    const only = (selector) => all(selector).length === 1;
    const steps = [];
    for (let at = element; isElement(at); at = parentNodeOf(at)) {
      const id = attributeOf(at, 'id');
      if (id && only(`#${CSS.escape(id)}`)) return [`#${CSS.escape(id)}`, ...steps].join(' > ');
      // Also in a shadow root, which is no element.
      const same = [...childrenOf(parentNodeOf(at))].filter((e) => isElement(e) && nameIs(e) === nameIs(at));
      steps.unshift(same.length > 1 ? `${nameIs(at)}:nth-of-type(${same.indexOf(at) + 1})` : nameIs(at));
      if (only(steps.join(' > '))) break;
    }
    return steps.join(' > ');
  };
  // How a task names an element: by its name, with its row or its number where there are several, or else by a path. A way that
  // leads to another element is none.
  const placeOf = (element, name, role) => {
    const leadsHere = (place) => { const { element: found } = pick({ ...place, what: '' }); return found === element; };
    const numbered = (place) => {
      const { shown = [] } = fitting({ ...place, what: '' }, isShown);
      const at = shown.indexOf(element);
      return at < 0 ? place : { ...place, nth: at + 1 };
    };
    const named = name && role && name === nameOf(element) ? { name, role } : null;
    const row = named && rowOf(element);
    const path = { selector: selectorOf(element) };
    const ways = [
      () => named,
      () => row && { ...named, in: row },
      () => (path.selector.startsWith('#') ? path : null),
      () => named && numbered(named),
      () => path,
      () => numbered(path),
    ];
    for (const way of ways) {
      const place = way();
      if (place && leadsHere(place)) return place;
    }
    return null;
  };
  const remark = (words) => tell({ remark: words });
  const WORKED = 'a, button, input, select, textarea, summary, label, option, [role], [onclick], [contenteditable], [tabindex]';
  const aimedAt = (event) => {
    const [inner] = event.composedPath();
    if (!isElement(inner)) return rootElementOf(document);
    return closestIn(inner, WORKED) || inner;
  };
  const targetOf = (event) => targetAt(aimedAt(event));
  const targetAt = (element) => {
    const [name, role] = [even(nameOf(element)).slice(0, 80), roleOf(element)];
    const kind = role && role !== 'generic' ? role : nameIs(element) || 'page';
    const what = name ? `the ${kind} "${name}"` : `the ${kind}`;
    const place = placeOf(element, name, role);
    if (!place) remark(`nothing in the page tells ${what} from others: name it yourself`);
    return { what, ...(place || { selector: selectorOf(element) }) };
  };
  const trusted = (work) => (event) => { if (event.isTrusted) work(event); };
  const listen = (kind, work) => addEventListener(kind, trusted(work), { capture: true, passive: true });
  // What came on view while the pointer was over something, and nothing was pressed, is there only as long as the pointer is.
  const openers = new WeakMap();
  let [hovered, before, looking] = [null, null, null];
  const MOST_WATCHED = 2000;
  const onView = () => {
    const every = allIn(document, 'body *');
    const watched = every.length > MOST_WATCHED ? allIn(document, WORKED) : every;
    return new Set(watched.filter((element) => methodOf(elements, 'checkVisibility')(element, { opacityProperty: true, visibilityProperty: true })));
  };
  // A page may take a while to open something.
  const LOOKS_MS = [60, 150, 300, 500];
  const note = () => {
    if (!before) return;
    const now = onView();
    if (hovered) for (const element of now) if (!before.has(element) && !isWithin(hovered, element)) openers.set(element, hovered);
    before = now;
  };
  const lookAround = ([next, ...rest]) => {
    note();
    looking = next === undefined ? null : setTimeout(lookAround, next, rest);
  };
  const PRESS_MS = 250;
  let begins = null;
  const lookSoon = (ms) => {
    clearTimeout(begins);
    begins = setTimeout(() => { before = onView(); }, ms);
  };
  if (document.readyState === 'loading') addEventListener('DOMContentLoaded', () => lookSoon(0));
  else before = onView();
  const openerOf = (element) => {
    for (let at = element; at; at = holderOf(at)) if (openers.has(at)) return openers.get(at);
    return null;
  };
  const hoversBefore = (element) => {
    const chain = [];
    for (let at = openerOf(element); at && !chain.includes(at) && chain.length < 8; at = openerOf(at)) chain.unshift(at);
    return chain.filter((at) => at !== element && at.isConnected && isSeen(at));
  };
  listen('pointerover', (event) => {
    const [over] = event.composedPath();
    if (!isElement(over) || over === hovered) return;
    // What a style sheet shows of it is there already.
    hovered = over;
    note();
    clearTimeout(looking);
    looking = setTimeout(lookAround, LOOKS_MS[0], LOOKS_MS.slice(1));
  });
  let moved = 0;
  listen('pointermove', () => {
    if (performance.now() - moved < 50) return;
    moved = performance.now();
    note();
  });
  let pressed = null;
  const press = (event) => {
    clearTimeout(looking);
    note();
    const element = aimedAt(event);
    for (const opener of hoversBefore(element)) tell({ type: 'hover', at: targetAt(closestIn(opener, WORKED) || opener) });
    pressed = { x: event.clientX, y: event.clientY, element, target: targetAt(element), box: boxOf(element), over: null };
    // What a press brings is there without the pointer.
    [hovered, before] = [null, null];
    lookSoon(PRESS_MS);
  };
  listen('pointerdown', press);
  // Farther than a hand trembles.
  const MOVED_PX = 10;
  const isDragged = (event) => pressed && Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) > MOVED_PX;
  // What is dragged is often under the pointer itself when it is let go: then the last thing that it was dragged over counts.
  const passOver = (event) => {
    const element = aimedAt(event);
    if (pressed && !isWithin(element, pressed.element) && !isWithin(pressed.element, element)) pressed.over = targetAt(element);
  };
  listen('dragenter', passOver);
  listen('pointerover', (event) => { if (event.buttons === 1 && isDragged(event)) passOver(event); });
  listen('drop', (event) => {
    if (pressed) tell({ type: 'drag', from: pressed.target, to: pressed.over || targetOf(event) });
    pressed = null;
  });
  listen('pointerup', (event) => {
    if (!isDragged(event) || event.button !== 0 || !getSelection().isCollapsed) return;
    const isOnItself = isWithin(aimedAt(event), pressed.element);
    const box = pressed.box;
    // A handle goes where it is dragged to, along its track.
    const beside = { ...pressed.target, offset: [event.clientX - (box.left + box.right) / 2, event.clientY - (box.top + box.bottom) / 2].map(Math.round) };
    tell({ type: 'drag', from: pressed.target, to: pressed.over || (isOnItself ? beside : targetOf(event)) });
  });
  listen('click', (event) => {
    // Enter on a button clicks it as well, and a label clicks its field: both were told already.
    if (event.detail > 0 && pressed && !isDragged(event)) {
      tell({ type: 'click', at: pressed.target, button: 'left', count: event.detail });
      if (event.target.closest && event.target.closest('label')) pressed = null;
    }
  });
  listen('contextmenu', (event) => { if (pressed && event.button === 2) tell({ type: 'click', at: targetOf(event), button: 'right', count: 1 }); });
  listen('change', (event) => {
    const field = event.target;
    if (field.localName === 'select') tell({ type: 'select', at: targetOf(event), option: even(field.selectedOptions[0] && field.selectedOptions[0].label) });
    if (field.type === 'file') tell({ type: 'upload', at: targetOf(event), files: [...field.files].map((file) => file.name) });
  });
  // What the latest key wrote by itself.
  let keyed = null;
  // Keys that write one character together, and words that are chosen from a list as they are typed, come in the end.
  listen('compositionend', (event) => {
    if (!event.data || event.data === keyed) return;
    tell(event.target.type === 'password' ? { secret: 1 } : { type: 'type', text: event.data });
  });
  listen('paste', (event) => {
    if (event.target.type === 'password') tell({ secret: 1 });
    else tell({ type: 'type', text: event.clipboardData.getData('text/plain') });
  });
  const NAMES = { ' ': 'Space', ArrowLeft: 'Left', ArrowRight: 'Right', ArrowUp: 'Up', ArrowDown: 'Down' };
  listen('keydown', (event) => {
    keyed = null;
    if (event.isComposing || ['Control', 'Shift', 'Alt', 'Meta', 'AltGraph', 'Dead', 'Process', 'Unidentified'].includes(event.key)) return;
    const isText = [...event.key].length === 1;
    if (isText) keyed = event.key;
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
  // A dialog stops everything: what it was answered is told by whoever opened it.
  for (const kind of ['alert', 'confirm', 'prompt']) {
    const open = window[kind];
    window[kind] = function (...said) {
      const answer = Reflect.apply(open, window, said);
      const accept = kind === 'alert' || (kind === 'confirm' ? answer : answer !== null);
      tell({ type: 'answer_dialog', accept, text: kind === 'prompt' && accept ? answer : null });
      return answer;
    };
  }
  // A frame of another origin takes the focus, and tells nothing.
  listen('blur', () => setTimeout(() => {
    const at = getterOf(pages, 'activeElement')(document);
    if (isElement(at) && isForeign(at)) remark(`what is done in the frame of another origin at (${Math.round(boxOf(at).left)}, ${Math.round(boxOf(at).top)}) is not recorded: add it`);
  }));
}
