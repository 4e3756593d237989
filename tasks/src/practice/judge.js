// Judges the first real click on a practice page. The page's body names the target.
// Invariant: only events the browser itself made count; the first one that counts decides.
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
  };
  document.addEventListener('click', judge, true);
  document.addEventListener('auxclick', judge, true);
  document.addEventListener('contextmenu', (event) => event.preventDefault(), true);
  window.practice = practice;
})();
