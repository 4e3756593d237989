// Fields: which one is meant, how it is filled, and what stands in it. Needs reach.js.
const fieldsOwn = (field) => viewOf(documentOf(field))[{ input: 'HTMLInputElement', textarea: 'HTMLTextAreaElement' }[nameIs(field)]].prototype;
const valueOf = (field) => getterOf(fieldsOwn(field), 'value')(field);
const nodeIsThere = getterOf(nodes, 'isConnected');
const focusOn = methodOf(HTMLElement.prototype, 'focus');
const partsOfHtml = (element, name) => {
  try {
    return getterOf(HTMLElement.prototype, name)(element);
  } catch (error) {
    return undefined;
  }
};
// The innermost element that has the keyboard.
const focused = () => {
  let at = getterOf(pages, 'activeElement')(TOP);
  for (let inner = at; inner;) {
    at = inner;
    const inside = insideOf(at);
    const root = shadowOf(at);
    inner = inside ? getterOf(pages, 'activeElement')(inside) : root && getterOf(ShadowRoot.prototype, 'activeElement')(root);
  }
  return at;
};
// The whole of what a person writes in, around a part of it.
const writtenAround = (element) => {
  let whole = null;
  for (let at = element; at && partsOfHtml(at, 'isContentEditable'); at = holderOf(at)) whole = at;
  return whole;
};
// What an element is as a field, or a label of one.
const fieldOf = (element) => {
  if (!element) return null;
  if (matches(element, 'input, textarea, select')) return element;
  const label = closestIn(element, 'label');
  return writtenAround(element) || (label && label.control) || null;
};
// Fields that show their value in a form of their own, how one is written, and what else to say of that.
const FORMS = {
  date: [/^\d{4,6}-\d\d-\d\d$/, 'YYYY-MM-DD'],
  month: [/^\d{4,6}-\d\d$/, 'YYYY-MM'],
  week: [/^\d{4,6}-W\d\d$/, 'YYYY-Www'],
  time: [/^\d\d:\d\d(:\d\d(\.\d+)?)?$/, 'HH:MM'],
  'datetime-local': [/^\d{4,6}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?$/, 'YYYY-MM-DDTHH:MM'],
  color: [/^#[0-9a-f]{6}$/i, '#rrggbb'],
  range: [/^-?\d+(\.\d+)?$/, 'a number'],
};
const TAKES_KEYS = /^(text|search|tel|url|email|password|number)$/;
// What a field is for that takes no text.
const OTHERS = { checkbox: 'is clicked', radio: 'is clicked', file: 'is what `upload` is for' };
// The field that is filled is kept from question to question: what a click moves is the same field.
const MEANT = Symbol.for('vigorl.field');
const keep = (field) => { Object.defineProperty(window, MEANT, { value: field, configurable: true }); };
const meant = () => (window[MEANT] && nodeIsThere(window[MEANT]) ? window[MEANT] : null);
// How a field is filled (`keys`, `script`), or why it cannot be.
const howOf = (field) => {
  const kind = nameIs(field);
  if (kind === 'select') return { reason: 'it is a list: `select` chooses an option' };
  if (kind === 'input' && !FORMS[field.type] && !TAKES_KEYS.test(field.type)) {
    return { reason: `a field of type ${field.type} takes no text: it ${OTHERS[field.type] || 'is pressed'}` };
  }
  if (isDisabled(field)) return { reason: 'the field is disabled' };
  const isText = kind === 'input' || kind === 'textarea';
  if ((isText && field.readOnly) || attributeOf(field, 'aria-readonly') === 'true') return { reason: 'the field is read-only', ...standsIn(field) };
  const how = kind === 'input' && FORMS[field.type] ? 'script' : 'keys';
  keep(field);
  return { how, type: kind === 'input' ? field.type : kind, is_one_line: kind === 'input' };
};
// What stands in a field: of text with a form of its own, its lines.
const standsIn = (field) => {
  const isText = matches(field, 'input, textarea');
  const stands = isText ? valueOf(field) : partsOfHtml(field, 'innerText');
  const most = isText && field.maxLength > 0 ? field.maxLength : null;
  return { stands, is_secret: matches(field, 'input[type=password]'), is_rich: !isText, most };
};
// What is no field, and does something when it is clicked.
const PRESSED = 'a[href], button, summary, [role=button], [role=link], [role=tab], [role=menuitem], [role=option], [role=switch]';
// The field at a point; without one, a click may lead to one.
const fieldAt = (x, y) => {
  lookAfresh();
  keep(null);
  const { element } = deepest(x, y);
  const field = fieldOf(element);
  if (field) return howOf(field);
  const acting = element && closestOf(element, PRESSED);
  return acting ? { reason: `there is a <${nameIs(acting)}> at this point, and no field` } : { how: 'unknown' };
};
// The field that has the keyboard behind a click at a point: the one that is meant, or one that the click was handed on to.
const fieldBehindClick = (x, y) => {
  lookAfresh();
  const field = meant();
  if (field) {
    const hasIt = () => { const now = focused(); return now === field || writtenAround(now) === field; };
    if (!hasIt()) focusOn(field);
    return hasIt() ? howOf(field) : { reason: 'the field does not take the keyboard' };
  }
  const led = fieldOf(focused());
  const { element } = deepest(x, y);
  const box = led && inTop(led, boxOf(led));
  const isThereToo = box && x >= box.left && x < box.right && y >= box.top && y < box.bottom;
  return isThereToo || (led && element && isWithin(led, element)) ? howOf(led) : { reason: 'there is no field at this point' };
};
// What stands in the field now; a page may have put another one in its place.
const standsNow = (x, y) => {
  lookAfresh();
  const field = meant() || fieldOf(deepest(x, y).element) || fieldOf(focused());
  return field ? standsIn(field) : { reason: 'the field is gone' };
};
// Sets the value of a field with a form of its own, and tells the page; what the field would make something else of, it
// does not get.
const setAs = (field, text) => {
  const own = Object.getOwnPropertyDescriptor(fieldsOwn(field), 'value');
  const before = own.get.call(field);
  own.set.call(field, text);
  const stands = own.get.call(field);
  const isTaken = { color: stands === text.toLowerCase(), range: Number(stands) === Number(text) }[field.type] ?? (stands === '') === (text === '');
  if (!isTaken) {
    own.set.call(field, before);
    return false;
  }
  for (const kind of ['input', 'change']) field.dispatchEvent(new Event(kind, { bubbles: true, composed: true }));
  return true;
};
// As `setAs`, in the field that is kept; why not otherwise.
const setIn = (text) => {
  const field = meant();
  if (!field) return 'the field is gone';
  const [pattern, words] = FORMS[field.type];
  const limits = [['from', field.min], ['to', field.max], ['in steps of', field.step]].filter(([, limit]) => limit);
  const how = [`a field of type ${field.type} takes ${words}`, ...limits.flat()].join(' ');
  const isNeverEmpty = /^(color|range)$/.test(field.type);
  if (text === '' && isNeverEmpty) return `${how}, and is never empty`;
  if (text !== '' && !pattern.test(text)) return how;
  focusOn(field);
  return setAs(field, text) || `${how}: ${text} is none`;
};
