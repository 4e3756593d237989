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
// What is written in an element, with what pictures and named parts in it are called.
const WITHOUT_TEXT = '[alt], [aria-label], svg';
const writtenAndNamedIn = (element) => {
  if (!allIn(element, WITHOUT_TEXT).length) return drawnText(element) || slottedIn(element);
  const told = (node) => {
    if (typeIn(node) === 3) return textIn(node);
    if (!isElement(node) || attributeOf(node, 'aria-hidden') === 'true' || !isRendered(node)) return '';
    const own = attributeOf(node, 'aria-label') || attributeOf(node, 'alt');
    const title = own === null && nameIs(node) === 'svg' ? [...childrenOf(node)].find((child) => isElement(child) && nameIs(child) === 'title') : null;
    const said = own || (title ? textIn(title) : [...childrenOf(node)].map(told).join(''));
    return cssOf(node).display === 'inline' ? said : ` ${said} `;
  };
  return [...childrenOf(element)].map(told).join('') || drawnText(element) || slottedIn(element);
};
const calledOf = (element) => {
  const isButton = matches(element, 'input[type=submit], input[type=button], input[type=reset]');
  const sources = [
    () => labelledBy(element).map(textIn).join(' '), () => attributeOf(element, 'aria-label'),
    () => labelsOf(element).map(drawnText).join(' '), () => (isButton ? element.value : ''), () => attributeOf(element, 'alt'),
    () => (matches(element, FIELDS) ? '' : writtenAndNamedIn(element)), () => attributeOf(element, 'title'), () => attributeOf(element, 'placeholder'),
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
// The browser needs a while for a name, so it is only asked for those of what may have it, and of so many at most: the others
// are called as the usual sources say.
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
// A text as a pattern: it is no part of a longer word or number, and any white space parts its words.
const EDGES = { letter: /\p{L}/u, number: /\p{N}/u };
const edgeOf = (letter) => (EDGES.letter.test(letter) ? '\\p{L}' : EDGES.number.test(letter) ? '\\p{N}' : '');
const escapedOf = (text) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&').replace(/\\-/g, '[-]');
const phraseOf = (text) => {
  const words = even(text);
  const [before, after] = [edgeOf([...words][0]), edgeOf([...words].at(-1))];
  const source = words.split(' ').map(escapedOf).join('\\s+');
  return new RegExp(`${before && `(?<!${before})`}${source}${after && `(?!${after})`}`, 'iu');
};
const wordsOf = (name) => even(name).split(' ').filter((word) => word).map(phraseOf);
// What style sheets write in capitals has either name.
const isName = (element, said, name) => said === name || (said.toLowerCase() === name.toLowerCase() && even(textIn(element)) === name);
// Roles of plain elements, besides those of KINDS, for whoever asks for one.
const KINDS_BESIDES = {
  row: 'tr', cell: 'td', gridcell: 'td', columnheader: 'th:not([scope=row])', rowheader: 'th[scope=row]', table: 'table', list: 'ul, ol, menu',
  option: 'option', listbox: 'select[multiple], select[size]', group: 'fieldset, details, optgroup', dialog: 'dialog', form: 'form',
  textbox: 'input[type=tel], [contenteditable=""], [contenteditable=true]', article: 'article', region: 'section', navigation: 'nav', main: 'main', complementary: 'aside', search: 'search', paragraph: 'p', progressbar: 'progress',
};
const isOfKind = (element, role) => roleNamed(kindOf(element)) === roleNamed(role)
  || (!attributeOf(element, 'role') && role in KINDS_BESIDES && matches(element, KINDS_BESIDES[role]));
const isOfRole = (element, role) => !role || isOfKind(element, role)
  || (typeof element.computedRole === 'string' && roleNamed(element.computedRole) === roleNamed(role));
const isPlain = (element) => !matches(element, 'html, head, head *, body, script, style');
// All elements of a role, as the page itself writes it: the browser takes a while for each. Without one, what people click and
// type into.
const ofRole = (role) => (role ? all('*').filter((element) => isPlain(element) && isOfKind(element, role)) : all(`${ACTS}, ${TYPED}`));
// Where a name is found twice, inside each other, the inner one carries it, and a label has the name of what it labels.
const carriersOf = (found) => {
  const isOther = (element) => found.some((other) => other !== element
    && (isWithin(other, element) || (nameIs(element) === 'label' && element.control === other) || labelsOf(other).some((label) => isWithin(element, label))));
  return found.filter((element) => !isOther(element));
};
// All elements of a name, and of a role if there is one.
const called = (name, role) => {
  const words = wordsOf(name);
  const everything = all('*').filter(isPlain);
  const may = everything.filter((element) => mayBeCalled(element, words));
  // First those that are of the role, or that people click and type into: cells and pictures around and in them have its words, too.
  const isLikely = (element) => (role ? isOfKind(element, role) : matches(element, `${ACTS}, ${TYPED}`));
  const asked = new Set([...may.filter(isLikely), ...may.filter((element) => !isLikely(element))].slice(0, MOST_ASKED));
  const told = may.filter((element) => {
    const said = asked.has(element) ? computedNameOf(element) : null;
    return isName(element, said === null ? calledOf(element) : said, name);
  }).filter((element) => isOfRole(element, role));
  const found = told.some(isSeen) ? told : [...told, ...everything.filter((element) => !told.includes(element)
    && (may.includes(element) || words.every((word) => word.test(textIn(element)))) && isOfRole(element, role) && isName(element, calledOf(element), name))];
  return carriersOf(found);
};
// The names of elements: as the browser says them if they are few, and by the usual sources otherwise.
const namesOf = (found) => found.map(found.length <= MOST_ASKED ? nameOf : calledOf);
// All elements whose name has these words, in the best way in which one that is seen has them: as its whole name, as that in
// other letter cases, or among other words.
const calledAbout = (name, role) => {
  const [words, phrase, lower] = [wordsOf(name), phraseOf(name), even(name).toLowerCase()];
  const may = ofRole(role).filter((element) => mayBeCalled(element, words));
  const names = namesOf(may);
  const fit = may.map((element, at) => [element, names[at]]).filter(([, said]) => phrase.test(said));
  const ways = [([element, said]) => isName(element, said, even(name)), ([, said]) => said.toLowerCase() === lower, () => true];
  const best = ways.map((way) => fit.filter(way)).find((some) => some.some(([element]) => isSeen(element)));
  return carriersOf((best || fit).map(([element]) => element));
};
// All elements that have one of these names.
const calledOneOf = (names, role) => {
  const found = ofRole(role);
  const told = namesOf(found);
  return carriersOf(found.filter((_, at) => names.includes(told[at])));
};
