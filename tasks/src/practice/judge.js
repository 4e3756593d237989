// Judges the first real click on a practice page. The page's body names the target.
// Invariant: only events the browser itself made count; the first one that counts decides; nothing is drawn
// before it.
(() => {
  const widgets = () => [...document.querySelectorAll('[data-widget]')];
  const target = Number(document.body.dataset.target);
  const boxOf = (element) => {
    const box = element.getBoundingClientRect();
    return [box.left, box.top, box.right, box.bottom];
  };
  const holds = ([left, top, right, bottom], x, y) => left <= x && x < right && top <= y && y < bottom;
  const practice = {
    reward: 0,
    done: false,
    reason: 'undecided',
    clicked: null,
    events: [],
    boxes: () => widgets().map(boxOf),
  };
  // Shows the verdict on what was hit, or around the place where nothing was. Only drawn after judging, and
  // no widget: it takes no clicks and no part in boxes.
  const show = ([left, top, right, bottom]) => {
    const mark = document.createElement('div');
    const color = practice.reason === 'hit' ? '#0a8f3c' : '#d01414';
    mark.style.cssText = `position:absolute;left:${left}px;top:${top}px;width:${right - left}px;` +
      `height:${bottom - top}px;box-sizing:border-box;border:3px solid ${color};outline:1px solid #fff;` +
      'pointer-events:none';
    mark.dataset.verdict = practice.reason;
    document.body.append(mark);
  };
  const judge = (event) => {
    event.preventDefault();
    const {type, clientX: x, clientY: y, button, isTrusted: trusted} = event;
    practice.events.push({type, x, y, button, trusted});
    if (practice.done || !trusted) return;
    const index = practice.boxes().findIndex((box) => holds(box, x, y));
    practice.clicked = index < 0 ? null : index;
    practice.done = true;
    if (button !== 0) {
      practice.reason = 'wrong_button';
    } else if (index === target) {
      practice.reason = 'hit';
      practice.reward = 1;
    } else {
      practice.reason = 'miss';
    }
    show(index < 0 ? [x - 6, y - 6, x + 7, y + 7] : practice.boxes()[index]);
  };
  document.addEventListener('click', judge, true);
  document.addEventListener('auxclick', judge, true);
  document.addEventListener('contextmenu', (event) => event.preventDefault(), true);
  window.practice = practice;
})();
