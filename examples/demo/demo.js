/** The page of the demo: loads what it needs, signs in, sends requests and shows what they do. */

import { Clocks } from './clocks.js';
import { Explorer } from './explorer.js';
import { Feeds } from './feeds.js';
import { Live } from './live.js';
import { count, phrase, policyLine, reasonText } from './text.js';
import { Timeline } from './timeline.js';

const $ = (id) => document.getElementById(id);
const make = (tag, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
};

const CHOICES = { short: 'One minute, to watch', normal: 'Normal', remember_me: 'Remember me' };
const POLL = 'GET /poll';
const READ = 'GET /items';
const WRITES = ['POST', 'PUT', 'PATCH', 'DELETE'];

let policies;
let session;
let live = null;
let polling = 0;
const clocks = new Clocks($('clocks'));
const timeline = new Timeline($('timeline'), 'Timeline of this session');

$('loading').hidden = true;

/* ---- what the page needs ---- */

/** Loads `path`, or says why it cannot be loaded. */
async function need(path, load) {
  try {
    return await load();
  } catch {
    const status = await fetch(path).then(({ status: it }) => `status ${it}`, () => 'no response');
    $('trouble-text').append(`${path} could not be loaded: ${status}. `);
    $('trouble').hidden = false;
    return null;
  }
}

async function json(path) {
  const response = await fetch(path, { cache: 'no-store' });
  if (!response.ok) throw new Error(path);
  return response.json();
}

async function start() {
  const [listed, module, streams, warning] = await Promise.all([
    need('policies', () => json('policies')),
    need('auth/session.js', () => import('./auth/session.js')),
    need('auth/session-streams.js', () => import('./auth/session-streams.js')),
    need('auth/session-warning.js', () => import('./auth/session-warning.js')),
  ]);
  if (listed) {
    policies = listed;
    $('explorer').hidden = false;
    new Explorer(listed);
    if (listed.reads_are_background) $('background').prepend(callButton(READ));
    else $('counted').prepend(callButton(READ, 'vh'));
  }
  if (!listed || !module) return;
  session = new module.Session({
    name: `demo ${new URL('.', location.href).pathname}`,
    base: './',
    renewedHeader: listed.renewed_token_header,
    activity: listed.activity,
    // A session of one minute has no room for the usual 20 s.
    warn: { atLeast: 5 },
  });
  listen();
  if (streams) new Feeds($('feeds'), streams, session, (name, text, look) => log(name, '', text, look));
  if (warning) $('warning').session = session;
  offer();
  await session.ready;
  if (session.signedIn) return;
  if (session.reason) showEnd(session.reason);
  $('stage').hidden = false;
}

const profile = (name) => policies.profiles.find((policy) => policy.name === name);
const policyOfSession = () => profile(session.claims?.session_profile ?? 'normal') ?? policies.profiles[0];

/* ---- sign-in ---- */

function offer() {
  const same = (a, b) => JSON.stringify({ ...a, name: '' }) === JSON.stringify({ ...b, name: '' });
  const offered = policies.profiles.filter(({ name }) => name in CHOICES)
    .filter((policy) => policy.name !== 'normal' || !same(policy, profile('short')));
  $('choices').replaceChildren(...offered.map((policy, index) => make('label', { className: 'choice' },
    make('input', { type: 'radio', name: 'profile', value: policy.name, checked: index === 0 }),
    make('span', {}, make('b', { textContent: CHOICES[policy.name] }), make('span', { className: 'small soft', textContent: policyLine(policy) })))));
  const { idle_timeout: idle, absolute_timeout: absolute } = profile('guest');
  $('guest-policy').textContent = `A guest: ${phrase(idle)} idle, ${phrase(absolute)} at most.`;
}

async function signIn(button, path, body) {
  $('login-error').textContent = '';
  await busy(button, async () => {
    try {
      const headers = { 'content-type': 'application/json' };
      const response = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
      const text = await response.text();
      if (!response.ok) throw new Error(problem(text) || `the server answered ${response.status}`);
      await session.start(JSON.parse(text));
    } catch (error) {
      const why = error instanceof TypeError ? 'The server could not be reached.' : `${error.message}`;
      $('login-error').textContent = `Could not sign in. ${why}`;
    }
  });
}

function problem(text) {
  try {
    return JSON.parse(text).title;
  } catch {
    return text.length < 200 ? text : null;
  }
}

/** A busy button keeps the focus and does nothing more until `work` is done. */
async function busy(button, work) {
  if (button.getAttribute('aria-disabled') === 'true') return;
  button.setAttribute('aria-disabled', 'true');
  try {
    await work();
  } finally {
    button.removeAttribute('aria-disabled');
  }
}

$('login').addEventListener('submit', (event) => {
  event.preventDefault();
  const chosen = document.querySelector('[name=profile]:checked').value;
  signIn(event.target.querySelector('.primary'), 'login', { user: $('user').value.trim(), profile: chosen });
});
$('guest').addEventListener('click', () => signIn($('guest'), 'guest', {}));
$('retry').addEventListener('click', () => location.reload());

/* ---- the session ---- */

function listen() {
  session.addEventListener('signedin', begin);
  session.addEventListener('activity', ({ detail }) => {
    live?.activity(detail.at);
    clocks.flash('idle');
  });
  session.addEventListener('renewed', () => {
    live?.renewal();
    clocks.flash('token');
  });
  session.addEventListener('ended', ({ detail }) => {
    live?.ended(detail.reason);
    showEnd(detail.reason);
    $('ended-title').focus();
  });
}

function begin() {
  const policy = policyOfSession();
  live = new Live(session, policy);
  const isGuest = policy.name === 'guest';
  $('room-title').textContent = isGuest ? 'Signed in as a guest' : `Signed in as ${session.claims.sub}`;
  $('policy').textContent = `${policyLine(policy)}.`;
  $('auto-text').textContent = `every ${phrase(pollEvery(policy))}`;
  $('last').textContent = 'Send a request, and see what it does to the three clocks.';
  $('door').hidden = $('timeline-empty').hidden = true;
  $('room').hidden = $('stage').hidden = $('timeline').hidden = false;
  log('Sign-in', '', `The session expires after ${phrase(policy.idle_timeout)} without activity, at the latest in ${phrase(Math.ceil(session.left('absolute')))}.`);
  draw();
  $('room-title').focus();
}

function showEnd(reason) {
  const [heading, why] = reasonText(reason, live?.policy);
  $('ended-title').textContent = heading;
  $('ended-why').textContent = live
    ? `${why} ${count(live.requests, 'request')} and ${count(live.renewals, 'new token')} in ${phrase(live.age)}.` : why;
  $('door-title').textContent = 'Sign in again';
  $('auto').checked = false;
  clearInterval(polling);
  $('room').hidden = true;
  $('door').hidden = $('ended').hidden = $('stage').hidden = false;
  if (live) {
    log('Session', '', `${heading}.`, 'bad');
    timeline.draw(live.model());
  }
  live = null;
}

function draw() {
  if (!live || !session.signedIn) return;
  const policy = policyOfSession();
  const left = Object.fromEntries(['idle', 'absolute', 'token'].map((kind) => [kind, session.left(kind)]));
  const { iat, exp } = session.claims;
  const full = { idle: policy.idle_timeout, absolute: policy.absolute_timeout, token: exp - iat };
  clocks.draw({ left, full, first: session.binding, policy });
  drawRole(session.claims.role ?? 'none');
  timeline.draw(live.model());
  warn(session.warning, left);
}

const otherRole = () => (session.claims?.role === 'editor' ? 'reader' : 'editor');

function drawRole(role) {
  if ($('role').textContent === role) return;
  $('role').textContent = role;
  $('change-role').textContent = `Change to ${otherRole()}`;
}

function warn(limit, left) {
  const isNear = limit !== null;
  const hadFocus = document.activeElement === $('near-action');
  $('near').hidden = !isNear;
  if (!isNear) {
    if (hadFocus) $('room-title').focus();
    return;
  }
  const seconds = phrase(Math.ceil(left[limit]));
  $('near-text').textContent = limit === 'idle' ? `The session ends in ${seconds} without activity.`
    : `The session reaches its maximum lifetime in ${seconds}.`;
  $('near-action').textContent = limit === 'idle' ? 'Stay signed in' : 'Sign in again';
}

$('near-action').addEventListener('click', () => busy($('near-action'), async () => {
  if (session.warning === 'absolute') await session.signOut();
  else if (!await session.stay()) tell('The server did not answer. You are still signed in.');
}));
$('warning').addEventListener('signin', (event) => {
  event.preventDefault();
  session.signOut();
});
$('leave').addEventListener('click', () => busy($('leave'), async () => {
  if (!await session.signOut()) tell('Signed out here. The server could not be reached.');
}));

/* ---- requests ---- */

const pollEvery = ({ idle_timeout: idle }) => Math.max(1, Math.min(5, Math.round(idle / 10)));

async function call(name, isUnasked = false, options = {}) {
  const [method, path] = name.split(' ');
  const isBackground = name === POLL || (policies.reads_are_background && method === 'GET');
  const before = session.claims?.jti;
  let response;
  try {
    const activity = isBackground ? 'background' : undefined;
    response = await session.fetch(path.slice(1), { method, activity, cache: 'no-store', ...options });
  } catch {
    log(name, '', 'The server could not be reached. You are still signed in.', 'bad');
    return;
  }
  const { status, headers } = response;
  if (!live) {
    log(name, status, 'The session has ended.', 'bad');
    return;
  }
  if (isBackground) live.background();
  else if (status >= 400) live.failure();
  const isRenewed = headers.has(policies.renewed_token_header);
  const isRefreshed = !isRenewed && session.claims?.jti !== before;
  const [text, look] = effect(status, { isBackground, isRenewed, isRefreshed });
  if (isUnasked && !look) logAgain(name, status, text);
  else log(name, status, text, look);
  draw();
}

function effect(status, { isBackground, isRenewed, isRefreshed }) {
  if (status === 503) return ['The store is unavailable. You are still signed in; try again shortly.', 'bad'];
  if (status === 429) return ['Too many requests. You are still signed in.', 'bad'];
  const { iat, exp } = session.claims ?? {};
  const full = Math.min(policyOfSession().idle_timeout, Math.ceil(session.left('absolute') ?? 0));
  const idle = isBackground ? 'Idle timeout not reset' : `Idle timeout reset to ${phrase(full)}`;
  if (isRenewed) return [`Renewed: a token for ${phrase(exp - iat)}. ${idle}.`, 'renewed'];
  if (isRefreshed) return [`The token had expired: the refresh token was exchanged for a new one. ${idle}.`, 'renewed'];
  if (isBackground) return [`${idle}, no renewal.`, ''];
  return [`${idle}. ${status >= 400 ? 'A failed request renews nothing.' : 'The token was not due.'}`, status >= 400 ? 'bad' : ''];
}

const tell = (text) => { $('last').textContent = text; };

function log(name, status, text, look = '') {
  $('log').hidden = false;
  $('log-empty').hidden = true;
  tell(`${name} ${status}: ${text}`.replace(' :', ':'));
  const item = make('li', { className: look },
    make('time', { textContent: new Date().toLocaleTimeString([], { hourCycle: 'h23' }) }),
    make('code', { textContent: name }), make('span', { className: 'status', textContent: status }), make('p', { textContent: text }));
  Object.assign(item.dataset, { key: `${name} ${status} ${text}`, times: 1 });
  $('log').prepend(item);
  if ($('log').children.length > 100) $('log').lastElementChild.remove();
}

/** Equal responses to polls are counted in one line, and not read aloud. */
function logAgain(name, status, text) {
  const top = $('log').firstElementChild;
  if (top?.dataset.key !== `${name} ${status} ${text}`) {
    log(name, status, text);
    return;
  }
  top.dataset.times = Number(top.dataset.times) + 1;
  top.querySelector('p').textContent = `${text} (${top.dataset.times} times)`;
}

function callButton(name, pathClass = '') {
  const [method, path] = name.split(' ');
  const button = make('button', { type: 'button' }, make('b', { textContent: method }), ' ', make('code', { textContent: path, className: pathClass }));
  button.addEventListener('click', () => busy(button, () => call(name)));
  return button;
}

$('counted').append(...WRITES.map((method) => callButton(`${method} /items`, 'vh')));
$('change-role').addEventListener('click', () => busy($('change-role'), async () => {
  const headers = { 'content-type': 'application/json' };
  await call('POST /role', false, { headers, body: JSON.stringify({ role: otherRole() }) });
  // The next request has the new role, and brings the token that says so.
  await call('GET /me');
}));
$('failing').append(callButton('POST /fail'));
$('background').prepend(callButton(POLL));
$('auto').addEventListener('change', () => {
  clearInterval(polling);
  if ($('auto').checked) polling = setInterval(() => call(POLL, true), pollEvery(policyOfSession()) * 1000);
});
setInterval(draw, 250);
start();
