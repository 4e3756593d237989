// Native lists: which one is meant, how a person comes to an option of it, and what became of that. Needs reach.js.
const evenWords = (text) => text.replace(/\s+/g, ' ').trim();
const isInPage = getterOf(nodes, 'isConnected');
const [hearOn, deafTo] = ['addEventListener', 'removeEventListener'].map((name) => methodOf(EventTarget.prototype, name));
// The list that is meant is kept from question to question: what a press moves is the same list.
const LIST = Symbol.for('vigorl.list');
const keepList = (kept) => { Object.defineProperty(window, LIST, { value: kept, configurable: true }); };
const keptList = () => window[LIST] || null;
// Whether a list that is pressed opens in a window that keys of ours reach: that of macOS is the system's own.
const opensForUs = () => CSS.supports('selector(:open)') && !/^Mac/.test(navigator.platform);
const isOpen = (list) => opensForUs() && matches(list, ':open');
// The list around what is at a point, or the one that a label there belongs to.
const listAt = (x, y) => {
  const { element } = deepest(x, y);
  const label = element && closestIn(element, 'label');
  const around = element && closestIn(element, 'select');
  return { around, list: around || (label && isElement(label.control) && closestIn(label.control, 'select')) || null };
};
const isListed = (option, list) => {
  for (let at = option; at && at !== list; at = holderOf(at)) if (cssOf(at).display === 'none') return false;
  return true;
};
// An option of these words and where it stands among those that keys stop at, or why it cannot be chosen. Keys pass over
// what the browser itself disables, and over nothing else.
const optionIn = (list, words) => {
  const listed = [...list.options].filter((option) => isListed(option, list));
  const stops = listed.filter((option) => !matches(option, ':disabled'));
  const choosable = listed.filter((option) => !isDisabled(option));
  const isWanted = (option) => evenWords(option.label) === evenWords(words);
  const [option, ...alike] = choosable.filter(isWanted);
  if (alike.some((other) => other.value !== option.value)) return { reason: `the list has ${alike.length + 1} options of these words` };
  if (!option && listed.some(isWanted)) return { reason: 'the option is disabled' };
  if (!option) return { reason: `the list has ${choosable.map((one) => evenWords(one.label)).slice(0, 20).join(', ')}` };
  return { option, idx: stops.indexOf(option), n: stops.length };
};
// Keeps a list and listens whether the browser chooses the option in it: a page may do anything with the list behind that.
const keepListening = (list, option) => {
  const kept = { list, option, heard: null };
  const listen = (event) => { if (event.isTrusted) kept.heard = kept.option.selected; };
  hearOn(list, 'change', listen, { capture: true });
  kept.forget = () => deafTo(list, 'change', listen, { capture: true });
  keepList(kept);
};
// How an option is chosen that stands on the page itself.
const pressed = (list, option) => {
  if (list.multiple && option.selected) return { how: 'chosen' };
  let part = reachOf(option, 'the option');
  if (part.cure === 'scroll' && scrollTo(option)) {
    lookAfresh();
    part = reachOf(option, 'the option');
  }
  return part.reason ? { reason: part.reason } : { how: 'press', at: clicked(part), adds: list.multiple };
};
// What is to be done first: `press` the option, `open` the list, only choose in it (`opened`), `script`, or nothing (`chosen`);
// and where, if not at the point itself.
const howToChoose = (x, y, words) => {
  lookAfresh();
  keepList(null);
  const { around, list } = listAt(x, y);
  if (!list) return { reason: 'there is no list at this point' };
  if (isDisabled(list)) return { reason: 'the list is disabled' };
  const { option, reason } = optionIn(list, words);
  if (reason) return { reason };
  keepListening(list, option);
  if (boxesOf(option).length) return pressed(list, option);
  if (!opensForUs()) return { how: 'script' };
  if (isOpen(list)) return { how: 'opened' };
  if (around) return { how: 'open' };
  const part = reachOf(list, 'the list');
  if (part.reason) return { reason: part.reason };
  const at = clicked(part);
  // Of a list that is hidden, its label is what a click reaches, and that opens nothing.
  const hit = deepest(...at).element;
  return hit && isWithin(hit, list) ? { how: 'open', at } : { reason: 'the list is hidden: only its label can be clicked' };
};
const STAYS_SHUT = 'a press of the mouse does not open the list: the page prevents it. Click what it shows instead';
// Where the option stands in the list that is open now.
const inOpenList = (words) => {
  lookAfresh();
  const kept = keptList();
  if (!kept || !isInPage(kept.list)) return { reason: 'the page takes the list away when it is pressed' };
  if (!isOpen(kept.list)) return { reason: STAYS_SHUT };
  const { option, idx, n, reason } = optionIn(kept.list, words);
  if (reason) return { reason, is_open: true };
  kept.option = option;
  return { idx, n };
};
// Whether the option was chosen, whether it stands in the list as chosen now, and whether the list is still open. Of another
// page than that of the list, nothing is known.
const whatWasChosen = () => {
  const kept = keptList();
  if (!kept) return { is_left: true };
  const { list, option, heard } = kept;
  const [is_chosen, is_open] = [heard ?? option.selected, isInPage(list) && isOpen(list)];
  if (is_chosen) kept.forget();
  return { is_chosen, is_open, is_there: isInPage(list) && option.selected };
};
// The same by events that no browser made, in the order in which it makes them.
const chooseByScript = () => {
  const { list, option } = keptList();
  const box = boxOf(list);
  const at = { clientX: (box.left + box.right) / 2, clientY: (box.top + box.bottom) / 2 };
  const tell = (name, Kind = MouseEvent, more = {}) => list.dispatchEvent(new Kind(name, { bubbles: true, cancelable: true, composed: true, ...at, ...more }));
  const down = { button: 0, buttons: 1 };
  const isPressed = tell('pointerdown', PointerEvent, { ...down, pointerType: 'mouse', isPrimary: true }) && tell('mousedown', MouseEvent, down);
  if (isPressed) methodOf(HTMLElement.prototype, 'focus')(list);
  tell('pointerup', PointerEvent, { pointerType: 'mouse', isPrimary: true });
  tell('mouseup');
  tell('click', PointerEvent, { detail: 1 });
  if (!isPressed) return { reason: STAYS_SHUT };
  if (!isInPage(list)) return { reason: 'the page takes the list away when it is pressed' };
  const isNew = !option.selected;
  list.selectedIndex = option.index;
  for (const name of isNew ? ['input', 'change'] : []) list.dispatchEvent(new Event(name, { bubbles: true, composed: name === 'input' }));
  return { is_there: isInPage(list) && option.selected };
};
