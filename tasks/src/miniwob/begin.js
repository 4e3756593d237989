// Begins an episode on a page of MiniWoB++ that was just loaded, and keeps its verdict.
// Invariants: the page's own code poses the task and judges it; the first end of an episode is the only one; what starts
// another episode is taken away, so that no input reaches it. `wanted` stands before this text.
if (typeof core !== 'object' || typeof genProblem !== 'function' || !core.cover_div) return null;

// No address of the kind `javascript:` runs here; what the pages do themselves is not concerned.
const policy = document.createElement('meta');
policy.httpEquiv = 'Content-Security-Policy';
policy.content = "script-src-elem 'self' file:";
document.head.append(policy);

// What the harness shows of itself: rewards, clicks and the cover. It is on the page only while the core writes into it.
const parts = [];
const hide = () => {
  core.clearTimer();
  for (const id of ['reward-display', 'click-canvas', 'sync-task-cover']) {
    const part = document.getElementById(id);
    if (!part) continue;
    parts.push(part);
    part.remove();
  }
};
const show = () => parts.splice(0).forEach((part) => document.body.append(part));

const verdict = {done: false, raw: 0, reward: 0, reason: null};
const end = core.endEpisode;
core.endEpisode = (...said) => {
  if (verdict.done) return;
  show();
  try {
    end.apply(core, said);
  } finally {
    hide();
  }
  if (!WOB_DONE_GLOBAL) return;
  const [raw, reward] = [WOB_RAW_REWARD_GLOBAL, WOB_REWARD_GLOBAL];
  Object.assign(verdict, {done: true, raw, reward, reason: String(WOB_REWARD_REASON ?? '')});
  Object.freeze(verdict);
};

Math.seedrandom(wanted.seed);
if (wanted.mode) core.setDataMode(wanted.mode);
if (wanted.limit) core.EPISODE_MAX_TIME = wanted.limit;
core.startEpisodeReal();
core.startEpisode = core.startEpisodeReal = () => {};
document.body.removeEventListener('click', core.canvasDrawClick);
const said = core.getUtterance();
hide();
if (wanted.hides_query) document.getElementById('query').replaceChildren();

const ask = (episode) => (episode === wanted.episode ? verdict : null);
Object.defineProperty(window, 'vigorl_miniwob', {value: ask});
return typeof said === 'object' ? said.utterance : said;
