// How elements are called, and what they are: as the browser says it, which tells assistive software the same. Needs reach.js.
// A browser that does not tell is replaced by the usual sources, and so it is for what has no name of its own, such as a text.
const even = (text) => (text || '').replace(/\s+/g, ' ').trim();
const drawnText = (element) => {
  try {
    return getterOf(HTMLElement.prototype, 'innerText')(element);
  } catch (error) {
    return textIn(element);
  }
};
const FIELDS = 'input, textarea, select';
// What is drawn in the slots of an element, which is no text of its own: the word on a button of a web component.
const slottedIn = (element) => allIn(element, 'slot').flatMap((slot) => slot.assignedNodes({ flatten: true })).map(textIn).join(' ');
const labelledBy = (element) => (attributeOf(element, 'aria-labelledby') || '').split(/\s+/)
  .map((id) => id && allIn(rootOf(element), `#${CSS.escape(id)}`)[0]).filter((label) => label);
const calledOf = (element) => {
  const isButton = matches(element, 'input[type=submit], input[type=button], input[type=reset]');
  const sources = [
    () => labelledBy(element).map(textIn).join(' '), () => attributeOf(element, 'aria-label'),
    () => labelsOf(element).map(drawnText).join(' '), () => (isButton ? element.value : ''), () => attributeOf(element, 'alt'),
    () => (matches(element, FIELDS) ? '' : drawnText(element) || slottedIn(element)), () => attributeOf(element, 'title'), () => attributeOf(element, 'placeholder'),
  ];
  for (const source of sources) {
    const name = even(source());
    if (name) return name;
  }
  return '';
};
// What the browser says; nothing if it does not tell. Of a field for files it says besides what is chosen.
const computedNameOf = (element) => {
  if (typeof element.computedName !== 'string') return null;
  return (matches(element, 'input[type=file]') && calledOf(element)) || even(element.computedName);
};
const nameOf = (element) => computedNameOf(element) || calledOf(element);
const KINDS = {
  button: 'button, summary, input[type=submit], input[type=button], input[type=reset]', link: 'a[href], area[href]',
  checkbox: 'input[type=checkbox]', radio: 'input[type=radio]', combobox: 'select', slider: 'input[type=range]',
  searchbox: 'input[type=search]', heading: 'h1, h2, h3, h4, h5, h6', img: 'img', listitem: 'li', spinbutton: 'input[type=number]',
  textbox: 'textarea, input:not([type]), input[type=text], input[type=email], input[type=password], input[type=url]',
};
const kindOf = (element) => attributeOf(element, 'role') || Object.keys(KINDS).find((role) => matches(element, KINDS[role])) || '';
// Two names of one role.
const SAME_ROLES = { image: 'img', none: 'presentation' };
const roleNamed = (role) => SAME_ROLES[role] || role;
const roleOf = (element) => roleNamed(typeof element.computedRole === 'string' && element.computedRole !== 'generic' ? element.computedRole || kindOf(element) : kindOf(element));
// The browser needs a while for a name, so it is only asked for those of what may have it, and of so many at most.
const MOST_ASKED = 20;
const BY_CONTENT = 'a, button, summary, option, label, legend, caption, td, th, dt, dd, li, tr, h1, h2, h3, h4, h5, h6, figure, [role], svg *, svg';
const mayBeCalled = (element, words) => {
  const attributes = ['aria-label', 'alt', 'title', 'placeholder', 'value', 'aria-description'].map((name) => attributeOf(element, name));
  const labels = [...labelledBy(element), ...labelsOf(element)];
  const isTold = matches(element, BY_CONTENT);
  const inside = isTold ? allIn(element, '[alt], [aria-label], [title], [value]').flatMap((inner) => ['alt', 'aria-label', 'title', 'value'].map((name) => attributeOf(inner, name))) : [];
  const first = matches(element, 'fieldset, table, figure') ? allIn(element, 'legend, caption, figcaption').slice(0, 3) : [];
  const shadow = shadowOf(element);
  const said = [...attributes, ...inside, ...[...labels, ...first].map(textIn), isTold ? `${textIn(element)} ${slottedIn(element)}` : '', isTold && shadow ? textIn(shadow) : '',
    matches(element, 'input') ? String(element.value) : ''].join(' ');
  return words.every((word) => word.test(said));
};
// The words of a name as patterns: none of them is a part of a longer word or number.
const wordsOf = (name) => even(name).split(' ').filter((word) => word).map((word) => {
  const edge = (letter) => (/\p{L}/u.test(letter) ? '\\p{L}' : /\p{N}/u.test(letter) ? '\\p{N}' : '');
  const [before, after] = [edge([...word][0]), edge([...word].at(-1))];
  const text = word.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&').replace(/\\-/g, '[-]');
  return new RegExp(`${before && `(?<!${before})`}${text}${after && `(?!${after})`}`, 'iu');
});
// What style sheets write in capitals has either name.
const isName = (element, said, name) => said === name || (said.toLowerCase() === name.toLowerCase() && even(textIn(element)) === name);
// All elements of a name, and of a role if there is one.
const called = (name, role) => {
  const isOfRole = (element) => !role || kindOf(element) === role || roleNamed(kindOf(element)) === roleNamed(role)
    || (typeof element.computedRole === 'string' && roleNamed(element.computedRole) === roleNamed(role));
  const words = wordsOf(name);
  const everything = all('*').filter((element) => !matches(element, 'html, head, head *, body, script, style'));
  const may = everything.filter((element) => mayBeCalled(element, words));
  const told = may.filter((element, at) => {
    const said = at < MOST_ASKED ? computedNameOf(element) : null;
    return isName(element, said === null ? calledOf(element) : said, name);
  }).filter(isOfRole);
  const found = told.some(isSeen) ? told : [...told, ...everything.filter((element) => !told.includes(element)
    && (may.includes(element) || words.every((word) => word.test(textIn(element)))) && isOfRole(element) && isName(element, calledOf(element), name))];
  // A label has the name of what it labels, and where a name is found twice, inside each other, the inner one carries it.
  const isOther = (element) => found.some((other) => other !== element
    && (isWithin(other, element) || (nameIs(element) === 'label' && element.control === other) || labelsOf(other).some((label) => isWithin(element, label))));
  return found.filter((element) => !isOther(element));
};
