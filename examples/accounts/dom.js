/** Elements, times and messages. */

export const $ = (id) => document.getElementById(id);

export function el(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

export const count = (n, word) => `${n} ${word}${n === 1 ? '' : 's'}`;

/** A busy button keeps the focus and does nothing more until `work` is done. */
export async function busy(button, work) {
  if (button.getAttribute('aria-disabled') === 'true') return;
  button.setAttribute('aria-disabled', 'true');
  try {
    await work();
  } finally {
    button.removeAttribute('aria-disabled');
  }
}

let fading;

/** Says something for some seconds. */
export function say(text) {
  clearTimeout(fading);
  $('status').textContent = text;
  if (text) fading = setTimeout(() => say(''), 6000);
}

/* ---- times ---- */

const full = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23' });
const clock = new Intl.DateTimeFormat('en', { timeStyle: 'medium', hourCycle: 'h23' });
const day = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'short' });
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });

function distance(date) {
  const seconds = (date - Date.now()) / 1000;
  const size = Math.abs(seconds);
  if (size < 10) return seconds < 0 ? 'just now' : 'in a moment';
  const [unit, per] = size < 60 ? ['second', 1] : size < 3600 ? ['minute', 60] : size < 86400 ? ['hour', 3600] : ['day', 86400];
  return relative.format(Math.round(seconds / per), unit);
}

/** `2 minutes ago`; stays true while the page is open. */
export function ago(instant) {
  const date = new Date(instant);
  return el('time', { dateTime: instant, title: full.format(date), className: 'relative' }, distance(date));
}

/** `14:03:22`, with the day if it is another one. */
export function at(instant) {
  const date = new Date(instant);
  const isToday = date.toDateString() === new Date().toDateString();
  return el('time', { dateTime: instant, title: full.format(date) }, isToday ? clock.format(date) : `${day.format(date)}, ${clock.format(date)}`);
}

/** Moves the relative times on. Texts that stay the same are not touched: a reader may be on them. */
export function moveTimes() {
  for (const node of document.querySelectorAll('time.relative')) {
    const text = distance(new Date(node.dateTime));
    if (node.textContent !== text) node.textContent = text;
  }
}

/* ---- questions ---- */

let agreed = null;

/** Asks before something that cannot be undone. */
export function confirm(title, text, yes, then) {
  $('confirm-title').textContent = title;
  $('confirm-text').textContent = text;
  $('yes').textContent = yes;
  agreed = then;
  $('confirm').showModal();
}

export function closeConfirm() {
  if ($('confirm').open) $('confirm').close();
}

$('no').addEventListener('click', closeConfirm);
$('yes').addEventListener('click', () => busy($('yes'), async () => {
  await agreed();
  closeConfirm();
}));
