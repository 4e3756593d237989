// What solves each task, as input: of a name, the goal and the round, the acts of that round, in CSS pixels.
// Invariant: the page is only read, and nothing of the core that judges: what happens to it comes through the driver.
// `wanted` stands before this text: {task, goal, round}.
const one = (selector) => document.querySelector(selector);
const all = (selector) => [...document.querySelectorAll(selector)];
const text = (element) => element.textContent.replace(/\s+/g, ' ').trim();
const {goal, round} = wanted;
const quoted = [...goal.matchAll(/"([^"]*)"/g)].map((match) => match[1]);
const numbers = (goal.match(/-?\d+/g) ?? []).map(Number);
const ORDER = ['1st', '2nd', '3rd'];
const nth = ORDER.findIndex((word) => goal.includes(word));
const isShown = (element) => element && element.getClientRects().length > 0;

// A point of an element that nothing covers: its middle, or another one.
const at = (element) => {
  for (const box of element.getClientRects()) {
    for (const [x, y] of [[0.5, 0.5], [0.2, 0.5], [0.8, 0.5], [0.5, 0.2], [0.5, 0.8], [0.1, 0.1], [0.9, 0.9], [0.1, 0.9], [0.9, 0.1]]) {
      const point = [box.left + box.width * x, box.top + box.height * y];
      const hit = document.elementFromPoint(...point);
      if (hit && (element.contains(hit) || hit.contains(element))) return point;
    }
  }
  const box = element.getBoundingClientRect();
  return [box.left + box.width / 2, box.top + box.height / 2];
};
const click = (element) => ['click', ...at(element)];
const type = (words) => ['type', String(words)];
const into = (selector, words) => [click(one(selector)), type(words)];
// A field of several parts is typed into from its first part on.
const first = (selector) => {
  const box = one(selector).getBoundingClientRect();
  return ['click', box.left + 6, box.top + box.height / 2];
};
const press = (chord) => ['press', chord];
const drag = (from, to) => ['drag', ...from, ...to];
const submit = () => click(one('#subbtn, #submit'));
const named = (selector, words) => all(selector).find((element) => text(element) === words);

const boxes = (words) => [...words.map((word) => click(named('#boxes label', word).querySelector('input'))), submit()];
const listed = () => goal.replace(/^Select (words similar to )?| and click Submit\.?$/g, '').split(', ').filter((word) => word !== 'nothing');

// Links that are in a panel of a tab or an accordion: the panel is opened in one round, the link clicked in the next.
const inPanel = (headerOf) => {
  const links = all('.alink').filter((link) => text(link) === quoted[0]);
  const shown = links.find(isShown);
  // An easier form of the task takes the second tab for the link in it.
  return [click(shown ?? (links.length ? headerOf(links[0]) : one('a[href="#tabs-2"]')))];
};
const accordion = () => inPanel((link) => link.closest('.ui-accordion-content').previousElementSibling);
const tabs = () => inPanel((link) => one(`a[href="#${link.closest('.ui-tabs-panel').id}"]`));

// The handle is dragged: a click on the bar beneath it would not reach the bar.
const slider = (element, value, min, max) => {
  const [box, handle] = [element.getBoundingClientRect(), element.querySelector('.ui-slider-handle').getBoundingClientRect()];
  const from = [handle.left + handle.width / 2, handle.top + handle.height / 2];
  const to = [box.left + (box.width * (value - min)) / (max - min), from[1]];
  return Math.abs(to[0] - from[0]) < 1 ? [] : [drag(from, to)];
};

// Clicks on a drawing, in its own numbers.
const onDrawing = (x, y) => {
  const box = one('#svg-grid').getBoundingClientRect();
  return ['click', x, box.top + y];
};
const isOnDrawing = ([x, y]) => x > 5 && x < 145 && y > 5 && y < 120;
const circle = (element) => [Number(element.getAttribute('cx')), Number(element.getAttribute('cy'))];
const byDirection = (element) => {
  const from = at(element);
  const by = {left: [-12, 0], right: [12, 0], up: [0, -12], down: [0, 12]}[/ (left|right|up|down) /.exec(goal)[1]];
  return [drag(from, [from[0] + by[0], from[1] + by[1]]), submit()];
};
const highlight = (element) => {
  const range = document.createRange();
  range.selectNodeContents(element);
  const rects = [...range.getClientRects()].filter((rect) => rect.width > 0);
  const [first, last] = [rects[0], rects[rects.length - 1]];
  return [drag([first.left, first.top + 4], [last.right + 3, last.bottom - 3]), submit()];
};
const movie = () => {
  const [, genre, name, year] = /Search for (.*) movies directed by (.*) from year (\d+)/.exec(goal);
  const of = {genre, director: name, 'director name': name, year, 'movie genre': genre, 'released date': year};
  const fields = all('#area input').flatMap((field) => {
    const label = text(field.closest('tr, p, .row, .field, .ui-entry')).toLowerCase().replace(':', '');
    return [click(field), type(of[label])];
  });
  return [...fields, click(one('#area button, #area .final, #area .ui-submit'))];
};
const mail = (icon) => [click(all('.email-thread').find((thread) => text(thread.querySelector('.email-sender')) === /email by (.*?) and/.exec(goal)[1]).querySelector(icon))];
const login = () => {
  if (isShown(one('#popup-cancel'))) return [click(one('#popup-cancel'))];
  const [user, password] = quoted;
  if (one('#username').value !== user) return [click(one('#username')), ...(round > 0 ? [press('Control+a')] : []), type(user)];
  if (one('#password').value !== password) return [click(one('#password')), ...(round > 0 ? [press('Control+a')] : []), type(password)];
  return [submit()];
};
const table = () => Object.fromEntries(all('#tab tr').map((row) => [...row.children].map(text)));
const lastWord = () => one('#text-area').value.trim().split(/\s+/).pop().replace('.', '');

const oracles = {
  'ascending-numbers': () => (round ? all('svg rect').map(click) : [click(one('svg text'))]),
  'bisect-angle': () => {
    const vertex = circle(one('.init-blue'));
    const arms = all('.init-black').map(circle).map(([x, y]) => {
      const length = Math.hypot(x - vertex[0], y - vertex[1]);
      return [(x - vertex[0]) / length, (y - vertex[1]) / length];
    });
    const sum = [arms[0][0] + arms[1][0], arms[0][1] + arms[1][1]];
    const length = Math.hypot(...sum);
    const along = (by) => [vertex[0] + (by * sum[0]) / length, vertex[1] + (by * sum[1]) / length];
    return [onDrawing(...([110, 90, 70, 50, 30].map(along).find(isOnDrawing) ?? along(10))), submit()];
  },
  'choose-list': () => {
    const list = one('#options');
    return [['select', ...at(list), /Select (.*) from the list/.exec(goal)[1]], click(one('#area button'))];
  },
  'circle-center': () => [onDrawing(...circle(one('.black-circle'))), submit()],
  'click-button': () => [click(named('button', quoted[0]))],
  'click-button-sequence': () => [click(one(round ? '#subbtn2' : '#subbtn'))],
  'click-checkboxes': () => boxes(listed()),
  'click-checkboxes-transfer': () => boxes(listed()),
  'click-collapsible': () => [click(isShown(one('.ui-accordion-content')) ? one('#subbtn') : one('h3'))],
  'click-collapsible-nodelay': () => [click(isShown(one('.ui-accordion-content')) ? one('#subbtn') : one('h3'))],
  'click-collapsible-2': accordion,
  'click-collapsible-2-nodelay': accordion,
  'click-color': () => [click(one(`[data-color="${/the (.*) colored/.exec(goal)[1]}"]`))],
  'click-dialog': () => [click(one('button.ui-button'))],
  'click-dialog-2': () => [click(quoted[0] === 'x' ? one('.ui-dialog-titlebar button') : named('.ui-dialog-buttonset button', quoted[0]))],
  'click-link': () => [click(named('.alink', quoted[0]))],
  'click-option': () => boxes(listed()),
  'click-shades': () => [...all(`[data-color="${/shades of (\w+)/.exec(goal)[1]}"]`).map(click), submit()],
  'click-tab': () => [click(one(`a[href="#tabs-${numbers[0]}"]`))],
  'click-tab-2': tabs,
  'click-tab-2-easy': tabs,
  'click-tab-2-medium': tabs,
  'click-tab-2-hard': tabs,
  'click-test': () => [submit()],
  'click-test-2': () => [click(one('#subbtn'))],
  'click-test-transfer': () => [click(one('#subbtn'))],
  'click-widget': () => [click(one(`[data-type="${quoted[0]}"]`))],
  'copy-paste': () => [...into('#answer-input', one('#to-copy').value), submit()],
  'copy-paste-2': () => [...into('#answer-input', one(`#text-${nth + 1}`).value), submit()],
  'drag-box': () => {
    const large = one('#draggableLarge').getBoundingClientRect();
    const middle = [large.left + large.width / 2, large.top + large.height / 2];
    return [drag(at(one('#draggableSmall')), middle), submit()];
  },
  'drag-circle': () => byDirection(one('svg circle')),
  'drag-single-shape': () => byDirection(one('.black-shape')),
  'email-inbox-delete': () => mail('.trash'),
  'email-inbox-important': () => mail('.star'),
  'enter-date': () => [first('#tt'), type(/(\d\d)\/(\d\d)\/(\d{4})/.exec(goal).slice(1).join('')), submit()],
  'enter-password': () => [...into('#password', quoted[0]), ...into('#verify', quoted[0]), submit()],
  'enter-text': () => [...into('#tt', quoted[0]), submit()],
  'enter-text-2': () => [...into('#tt', goal.includes('upper') ? quoted[0].toUpperCase() : quoted[0].toLowerCase()), submit()],
  'enter-text-dynamic': () => [...into('#tt', quoted[0]), submit()],
  'enter-time': () => {
    const [, hour, minute, half] = /(\d+):(\d\d)\s*([AP]M)/.exec(goal);
    return [first('#tt'), type(hour.padStart(2, '0') + minute + half), submit()];
  },
  'find-greatest': () => {
    const values = all('.card').map((card) => Number(text(card)));
    return [click(all('.card')[values.indexOf(Math.max(...values))]), submit()];
  },
  'find-midpoint': () => {
    const [a, b] = all('.black-circle').map(circle);
    return [onDrawing((a[0] + b[0]) / 2, (a[1] + b[1]) / 2), submit()];
  },
  'find-word': () => [...into('#answer-input', text(one('#area p')).split(' ')[numbers[0] - 1].replace(/[^a-zA-Z]/g, '')), submit()],
  'focus-text': () => [click(one('#tt'))],
  'focus-text-2': () => [click(one(`#tt${nth + 1}`))],
  'form-sequence': () => [...slider(one('#slider'), numbers[0], -10, 10), click(one(`#checkbox-${nth + 1}`)), submit()],
  'form-sequence-2': () => {
    const [radio, field] = goal.match(/1st|2nd|3rd/g).map((word) => ORDER.indexOf(word) + 1);
    return [click(one(`input[type=radio][value="${radio}"]`)), ...into(`#input-${field}`, quoted[0]), submit()];
  },
  'generate-number': () => {
    const shown = text(one('#display-number'));
    const value = Number(shown);
    const isOdd = value % 2 === 1;
    const fits = goal.includes('less') ? value < numbers[0] : goal.includes('greater') ? value > numbers[0] : isOdd === goal.includes('odd');
    return [shown !== '-' && fits ? click(one('#submit')) : click(one('#generate'))];
  },
  'grid-coordinate': () => [click(document.getElementById(/\(-?\d,-?\d\)/.exec(goal)[0]))],
  'highlight-text': () => highlight(one('#randomText')),
  'highlight-text-2': () => highlight(all('#randomText p')[nth]),
  'identify-shape': () => {
    const shape = one('#area_svg').lastElementChild;
    const kinds = {rect: 'rectangle', circle: 'circle', polygon: 'triangle'};
    const kind = kinds[shape.tagName] ?? (/\d/.test(shape.textContent) ? 'digit' : 'letter');
    return [click(one(`button[data-type="${kind}"]`))];
  },
  'login-user': () => [...into('#username', quoted[0]), ...into('#password', quoted[1]), submit()],
  'login-user-popup': login,
  'multi-layouts': movie,
  'multi-orderings': movie,
  'navigate-tree': () => {
    const target = all('#tree span').find((span) => text(span) === quoted[0]);
    if (isShown(target)) return [click(target)];
    const hidden = [];
    for (let item = target.closest('li'); item; item = item.parentElement.closest('li')) hidden.unshift(item);
    return [click(hidden.filter((item) => isShown(item.querySelector('span'))).pop().querySelector('span'))];
  },
  'odd-or-even': () => [
    ...all('.row').map((row) => click(row.querySelector(Number(text(row.querySelector('.display-number'))) % 2 ? '.odd' : '.even'))),
    submit(),
  ],
  'phone-book': () => {
    const [, name, property] = /Find (.*) in the contact book and click on their (\w+)/.exec(goal);
    return [click(text(one('#contact .name')) === name ? one(`#contact .${property}`) : named('#pagination a', '>'))];
  },
  'read-table': () => [...into('#tt', table()[/value of (.*) into/.exec(goal)[1]]), submit()],
  'read-table-2': () => [
    ...[1, 2].flatMap((field) => into(`#tt${field}`, table()[text(one(`#ll${field}`)).replace(':', '')])),
    submit(),
  ],
  'resize-textarea': () => {
    const corner = one('.ui-resizable-se').getBoundingClientRect();
    const from = [corner.left + corner.width / 2, corner.top + corner.height / 2];
    const by = (goal.includes('larger') ? 1 : -1) * 14;
    return [drag(from, goal.includes('width') ? [from[0] + by, from[1]] : [from[0], from[1] + by]), submit()];
  },
  'right-angle': () => {
    const [black, blue] = [circle(one('#init-black')), circle(one('#init-blue'))];
    const turned = [blue[1] - black[1], black[0] - blue[0]];
    const length = Math.hypot(...turned);
    const ways = [25, -25].map((by) => [blue[0] + (turned[0] / length) * by, blue[1] + (turned[1] / length) * by]);
    const [x, y] = ways.find(isOnDrawing) ?? ways[0];
    return [onDrawing(x, y), submit()];
  },
  'scroll-text': () => [...into('#answer-input', lastWord()), submit()],
  'scroll-text-2': () => [['scroll', ...at(one('#text-area')), 0, goal.includes('bottom') ? 4000 : -4000], submit()],
  'search-engine': () => {
    if (round === 0) return [...into('#search-text', quoted[0]), click(one('#search'))];
    const place = numbers[0] - 1;
    const page = Math.floor(place / 3) + 1;
    if (round === 1 && page > 1) return [click(named('#pagination a', String(page)))];
    return [click(all('#page-content a')[place % 3])];
  },
  'sign-agreement': () => {
    if (goal.startsWith('Click')) return [click(one('#cancel'))];
    if (round === 0) return [['scroll', ...at(one('#text-area')), 0, 4000]];
    return [...into('#name', quoted[0]), click(one(quoted[1] === 'Agree' ? '#agree' : '#cancel'))];
  },
  'simple-algebra': () => {
    const [, left, sign, right, sum] = /(x|\d+) ([-+]) (x|\d+) = (-?\d+)/.exec(text(one('#math-problem')));
    const [digit, total] = [Number(left === 'x' ? right : left), Number(sum)];
    const x = sign === '+' ? total - digit : left === 'x' ? total + digit : digit - total;
    return [...into('#math-answer', x), submit()];
  },
  'simple-arithmetic': () => {
    const [, left, sign, right] = /(\d+) ([-+x]) (\d+)/.exec(text(one('#math-problem')));
    const [a, b] = [Number(left), Number(right)];
    return [...into('#math-answer', {'+': a + b, '-': a - b, x: a * b}[sign]), submit()];
  },
  'terminal': () => {
    if (round === 0) return [click(one('#terminal')), type('ls\n')];
    const files = text(all('.output').pop()).split(' ');
    const wanted = /extension ([\w.]+)/.exec(goal)?.[1];
    const file = files.find((name) => (wanted ? name.endsWith(wanted.replace(/\.$/, '')) : !name.includes('.')));
    return [type(`rm ${file}\n`)];
  },
  'text-transform': () => [...into('#tt', text(one('#captcha'))), submit()],
  'unicode-test': () => [click(named('button', quoted[0]))],
  'use-autocomplete': () => complete(),
  'use-autocomplete-nodelay': () => complete(),
  'use-slider-2': () => [...numbers.flatMap((value, idx) => slider(one(`#slider-${idx + 1}`), value, 0, 20)), submit()],
  'use-spinner': () => {
    const left = numbers[0] - Number(one('#spinner').value || 0);
    return left ? [[...click(one(left > 0 ? '.ui-spinner-up' : '.ui-spinner-down')), Math.abs(left)]] : [submit()];
  },
  'visual-addition': () => [...into('#math-answer', all('.addition-block').length), submit()],
};
// A list that opens while the beginning is typed; the entry is clicked when it is there.
const complete = () => {
  const value = one('#tags').value;
  if (!value) return into('#tags', quoted[0]);
  const entry = all('.ui-menu-item').find((item) => isShown(item) && text(item).endsWith(quoted[1] ?? ''));
  if (entry) return [click(entry)];
  return value.length > quoted[0].length ? [submit()] : [];
};
return wanted.task ? (oracles[wanted.task]?.() ?? null) : Object.keys(oracles);
