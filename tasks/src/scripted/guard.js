// Keeps a press from the page that would arrive at anything else than the element that is meant: a page may move as the pointer
// comes, or by itself. Before the press `guard` is asked; behind it, what it leaves in the document ends it. This stands in front of
// target.js and of what that needs, so nothing of theirs is used before it is asked.
const GUARD = () => Symbol.for('vigorl.guard');
const DOWN = ['pointerdown', 'mousedown'];
const OF_A_PRESS = [...DOWN, 'pointerup', 'mouseup', 'click', 'dblclick', 'auxclick', 'contextmenu', 'selectstart', 'dragstart'];
// Nobody is kept from a page for longer, whatever becomes of whoever presses.
const GUARD_MS = 5000;
const guard = (wanted, holdMs) => {
  if (document[GUARD()]) document[GUARD()]();
  const { element, n } = pick(wanted);
  // What was taken as its own when it was aimed at is so still.
  const part = element && reachOf(element, '');
  const taken = part && !part.reason && takerOf(element, deepest(...clicked(part)).element);
  const isAllowed = (inner) => {
    if (!isElement(inner)) return false;
    lookAfresh();
    const one = element && element.isConnected ? element : pick(wanted).element;
    if (!one || !comesTo(one, inner)) return false;
    const taker = takerOf(one, inner);
    return !taker || taker === taken;
  };
  let missed = null;
  const listen = (event) => {
    if (!event.isTrusted) return;
    if (missed === null) {
      if (!DOWN.includes(event.type)) return;
      const [inner] = event.composedPath();
      if (isAllowed(inner)) {
        end();
        return;
      }
      missed = isElement(inner) ? `a <${nameIs(inner)}>${calledOf(inner) ? ` \`${calledOf(inner).slice(0, 80)}\`` : ''}` : 'the page';
    }
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  const views = roots().filter((root) => typeIn(root) === 9).map(viewOf).filter(Boolean);
  const each = (method, types) => views.forEach((view) => types.forEach((type) => methodOf(EventTarget.prototype, method)(view, type, listen, true)));
  const timer = setTimeout(() => end(), GUARD_MS + holdMs);
  const end = () => {
    clearTimeout(timer);
    each('removeEventListener', OF_A_PRESS);
    delete document[GUARD()];
  };
  each('addEventListener', OF_A_PRESS);
  document[GUARD()] = () => { end(); return missed; };
  return { n };
};
