// Builds a random page around one button, from a seed: nested boxes that are turned, clipped, scrolled, covered, in shadow roots
// and in frames. `hits` counts the trusted presses that came to the button.
const random = (seed) => () => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
};
const build = (seed) => {
  const next = random(seed);
  const chance = (share) => next() < share;
  const of = (...all) => all[Math.floor(next() * all.length)];
  const styleOf = () => [
    chance(0.25) && `transform:${of('scale(.6)', 'scale(1.4)', 'rotate(15deg)', 'rotate(-40deg) scale(.8)', 'translate(30px, 20px)', 'scale(0)')}`,
    chance(0.3) && `overflow:${of('hidden', 'auto', 'scroll', 'clip', 'hidden auto')}`,
    chance(0.25) && `height:${of(0, 40, 80, 150, 300)}px`,
    chance(0.25) && `width:${of(30, 80, 150, 300)}px`,
    chance(0.25) && `position:${of('relative', 'absolute', 'fixed')};left:${of(-400, -20, 0, 0, 10, 60, 100, 200)}px;top:${of(-50, 0, 10, 60, 400)}px`,
    chance(0.06) && `opacity:${of(0, 0.01, 0.5)}`,
    chance(0.05) && `visibility:${of('hidden', 'visible')}`,
    chance(0.12) && `pointer-events:${of('none', 'auto')}`,
    chance(0.08) && `clip-path:${of('inset(20%)', 'inset(0 0 80% 0)', 'circle(0)')}`,
    chance(0.1) && `display:${of('none', 'contents', 'flex', 'inline-block')}`,
    chance(0.3) && `padding:${of(3, 10, 30)}px`,
    chance(0.2) && 'border:3px solid',
  ].filter((part) => part).join(';');
  const windows = [];
  let target = null;
  const make = (page, parent, name) => {
    const element = page.createElement(name);
    element.style.cssText = styleOf();
    parent.append(element);
    return element;
  };
  const fill = (page, parent, depth, hasTarget) => {
    const n = 1 + Math.floor(next() * 3);
    const at = hasTarget ? Math.floor(next() * n) : -1;
    for (let nth = 0; nth < n; nth += 1) {
      const isWay = nth === at;
      const kind = next();
      if (depth === 0) {
        const leaf = make(page, parent, isWay ? 'button' : 'p');
        leaf.textContent = isWay ? 'Target' : 'filler';
        if (isWay) {
          target = leaf;
          leaf.id = 'target';
          leaf.disabled = chance(0.08);
          if (chance(0.5)) leaf.style.cssText = '';
        }
      } else if (kind < 0.15) {
        fill(page, make(page, parent, 'div').attachShadow({ mode: 'open' }), depth - 1, isWay);
      } else if (kind < 0.3) {
        const inside = make(page, parent, 'iframe').contentDocument;
        if (!inside) continue;
        windows.push(inside.defaultView);
        fill(inside, inside.body, depth - 1, isWay);
      } else {
        const box = make(page, parent, kind < 0.36 ? 'fieldset' : 'div');
        if (box.localName === 'fieldset') box.disabled = chance(0.5);
        fill(page, box, depth - 1, isWay);
      }
    }
    if (chance(0.15)) {
      const over = page.createElement('div');
      const px = (least, most) => `${Math.floor(least + next() * (most - least))}px`;
      over.style.cssText = `position:absolute;left:${px(-10, 200)};top:${px(-10, 200)};width:${px(20, 300)};height:${px(20, 200)};background:#8888`;
      parent.append(over);
    }
  };
  document.body.replaceChildren();
  document.body.style.margin = '0';
  scrollTo(0, 0);
  fill(document, document.body, 1 + Math.floor(next() * 4), true);
  window.hits = 0;
  const press = (event) => { if (event.isTrusted && event.composedPath().includes(target)) window.hits += 1; };
  if (window.pressed) removeEventListener('pointerdown', window.pressed, true);
  window.pressed = press;
  for (const view of [window, ...windows]) view.addEventListener('pointerdown', press, true);
  return target !== null;
};
