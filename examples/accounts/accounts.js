/** The page of the accounts: signs in, keeps the session, and shows it among the others. */

import { $, ago, at, busy, closeConfirm, confirm, count, el, moveTimes, say } from './dom.js';
import { Timeouts } from './timeouts.js';

const PEOPLE = [['ada', 'Ada Lovelace', 'owner of acme'], ['bob', 'Bob Hopper', 'engineer at acme'], ['eve', 'Eve Sutherland', 'owner of globex']];
const ENDED = {
  signed_out: 'You signed out.',
  session_expired_idle: 'The session expired after a time without activity.',
  session_expired_absolute: 'The session reached its maximum lifetime. Sign in again.',
  session_revoked: 'The session was revoked: somebody signed it out on another device, or an owner of the account did.',
  token_expired: 'The access token expired and could not be refreshed.',
  refresh_token_reused: 'A refresh token of this session was used twice. Somebody may have copied it, so the server ended the session. If it happens again, clear the data of this site and look for programs that you do not know.',
  invalid_refresh_token: 'The session has ended.',
  invalid_token: 'The server rejects the token of this session, for example because its key has changed.',
};
/** How often the lists are read again while the page is visible. In ms. */
const REFRESH_LISTS = 5_000;

let session;
let me = null;
/** Said instead of why the session has ended. */
let farewell = null;

$('loading').hidden = true;

/* ---- what the page needs ---- */

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

async function start() {
  const [module, warning] = await Promise.all([
    need('auth/session.js', () => import('./auth/session.js')),
    need('auth/session-warning.js', () => import('./auth/session-warning.js')),
  ]);
  if (!module) return;
  // A separate window has a session of its own.
  const own = new URLSearchParams(location.search).get('window') ?? '';
  const { pathname } = new URL('.', location.href);
  session = new module.Session({
    name: `accounts ${pathname} ${own}`,
    base: './',
    // Keeps the session over a reload and a restart of the browser.
    storage: 'local',
    // Notices within this time that the session was ended elsewhere. In seconds.
    checkEvery: 5,
  });
  session.addEventListener('signedin', enter);
  session.addEventListener('ended', ({ detail }) => leave(detail.reason));
  if (warning) $('warning').session = session;
  await session.ready;
  if (!session.signedIn) leave(session.reason);
}

/** Sends a request; null once the session has ended, which the session tells by itself. */
async function send(method, path, body, activity) {
  const init = { method, activity, cache: 'no-store' };
  if (body !== undefined) {
    init.headers = { 'content-type': 'application/json' };
    init.body = JSON.stringify(body);
  }
  try {
    const response = await session.fetch(path, init);
    if (!session.signedIn) return null;
    const text = await response.text();
    const answer = { ok: response.ok, status: response.status, body: text ? JSON.parse(text) : null };
    if (!answer.ok && answer.status !== 422 && !activity) say(answer.body?.title ?? 'The request failed.');
    return answer;
  } catch {
    if (!activity) say('The server does not respond. You are still signed in.');
    return { ok: false, status: 0, body: null };
  }
}

/* ---- sign-in and the end ---- */

for (const [user, name, what] of PEOPLE) {
  const initials = name.split(' ').map(([first]) => first).join('');
  const face = el('span', { className: 'face', ariaHidden: 'true' }, initials);
  const button = el('button', { type: 'button' }, face, el('b', {}, name), el('span', { className: 'small soft' }, what));
  button.dataset.user = user;
  button.addEventListener('click', () => busy(button, () => signIn(user)));
  $('people').append(el('li', {}, button));
}

/** What the user recognises this session by. */
function device() {
  const { userAgent, userAgentData, platform } = navigator;
  const [, browser = 'Browser'] = /(Firefox|Edg|Chrome|Safari)\//.exec(userAgent) ?? [];
  return `${browser.replace('Edg', 'Edge')} on ${userAgentData?.platform || platform || 'an unknown device'}`;
}

async function signIn(user) {
  $('door-error').textContent = '';
  try {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch('login', { method: 'POST', headers, body: JSON.stringify({ user, label: { device: device() } }) });
    const answer = await response.json();
    if (response.ok) await session.start(answer);
    else $('door-error').textContent = answer.title ?? 'The sign-in failed.';
  } catch {
    $('door-error').textContent = 'The server does not respond.';
  }
}

async function enter() {
  const { id } = session;
  const answer = await send('GET', 'me');
  if (session.id !== id || !answer) return;
  if (!answer.ok) {
    $('trouble-text').textContent = `Your name could not be loaded: ${answer.body?.title ?? 'no response'}`;
    $('trouble').hidden = false;
    return;
  }
  me = answer.body;
  const isOwner = me.role === 'owner';
  $('who').textContent = `${me.name ?? me.sub}, ${me.role} ${isOwner ? 'of' : 'at'} ${me.tenant}`;
  $('owner').hidden = $('users').hidden = !isOwner;
  $('plain').hidden = isOwner;
  $('columns').classList.toggle('two', isOwner);
  await Promise.all([isOwner ? readAccount() : null, readSessions()]);
  if (session.id !== id) return;
  $('door').hidden = $('trouble').hidden = true;
  $('inside').hidden = false;
  document.title = 'Sessions and security';
  $('title').focus();
}

function leave(reason) {
  closeConfirm();
  say('');
  me = null;
  listed = [];
  $('inside').hidden = true;
  const banner = farewell ?? (reason && (ENDED[reason] ?? 'The session ended. Sign in again.'));
  farewell = null;
  $('banner').hidden = !banner;
  $('banner-text').textContent = banner ?? '';
  $('door-error').textContent = '';
  $('door').hidden = false;
  document.title = 'Sign in';
  $('door-title').focus();
}

$('retry').addEventListener('click', () => location.reload());
addEventListener('pageshow', async ({ persisted }) => {
  if (!persisted || !session) return;
  // From the back/forward cache: what the page shows may be of a session that has ended meanwhile.
  $('page').hidden = true;
  await session.check();
  $('page').hidden = false;
  if (!session.signedIn) $('door-title').focus();
});
$('other-window').href = `?window=${crypto.getRandomValues(new Uint16Array(1))[0]}`;
$('warning').addEventListener('signin', (event) => {
  event.preventDefault();
  session.signOut();
});
$('leave').addEventListener('click', () => busy($('leave'), async () => {
  if (!await session.signOut()) say('Signed out here. The server does not respond.');
}));

/* ---- the account, for its owner ---- */

const timeouts = new Timeouts(send);

async function readAccount(activity) {
  const answer = await send('GET', 'auth/security', undefined, activity);
  if (!answer?.ok || !me) return;
  timeouts.show(answer.body);
  if (!activity) timeouts.fill();
  const users = answer.body.active_users;
  $('user-rows').replaceChildren(...users.map(userRow));
  $('others').hidden = users.every((user) => user.user_id === me.sub);
}

function userRow(user) {
  const name = el('th', { scope: 'row' }, el('b', {}, user.name ?? user.user_id));
  if (user.user_id === me.sub) name.append(' (you)');
  if (user.email) name.append(el('br'), el('span', { className: 'small soft' }, user.email));
  const signedIn = el('td', { className: 'small soft' }, at(user.last_login_at), el('br'), ago(user.last_login_at));
  return el('tr', {}, name, signedIn);
}

/** Ends sessions; resolves to how many, or to null if nothing was done. */
async function revoke(scope) {
  const answer = await send('POST', 'auth/revoke-sessions', { scope });
  return answer?.ok ? answer.body.revoked_count : null;
}

const ended = (n) => `${count(n, 'session')} ${n === 1 ? 'was' : 'were'} ended.`;

$('all').addEventListener('click', () => confirm('Sign out everyone?', `Every session of ${me.tenant} is revoked at once, also yours. Unsaved work in other windows may be lost.`, 'Sign out everyone', async () => {
  const revoked = await revoke('all');
  if (revoked === null) return;
  farewell = `${ended(revoked)} Yours was one of them.`;
  await session.check();
}));
$('others').addEventListener('click', () => confirm('Sign out everyone but you?', `Every session of ${me.tenant} is revoked at once, except yours.`, 'Sign out the others', async () => {
  const revoked = await revoke('others');
  if (revoked === null) return;
  await readAccount('background');
  closeConfirm();
  if ($('others').hidden) $('users-title').focus();
  say(ended(revoked));
}));

/* ---- the user's own sessions ---- */

let listed = [];
let next = null;
/** Whether more than the first page of the list is shown. */
let isLong = false;

async function readSessions(activity) {
  const answer = await send('GET', 'auth/sessions', undefined, activity);
  if (!answer?.ok) return;
  isLong = false;
  show(answer.body);
}

function show({ sessions, next: cursor }) {
  // The current one first, the latest sign-in next.
  const sorted = sessions.toSorted((a, b) => b.current - a.current);
  next = cursor;
  // Rows that stay the same are not touched: a reader may be on them.
  if (JSON.stringify(sorted) === JSON.stringify(listed)) return;
  listed = sorted;
  draw();
}

function draw() {
  const focused = document.activeElement?.dataset?.session;
  $('mine').replaceChildren(...listed.map(sessionRow));
  if (focused) document.querySelector(`[data-session="${CSS.escape(focused)}"]`)?.focus();
  $('more').hidden = !next;
  $('my-others').hidden = listed.every(({ current }) => current) && !next;
  const current = listed.find((it) => it.current);
  if (current) {
    $('expires').replaceChildren('The session expires ', ago(current.idle_expires_at), ' without activity, and ', ago(current.absolute_expires_at), ' at the latest.');
  }
}

function sessionRow(it) {
  const title = el('p', {}, 'Signed in at ', at(it.signed_in_at), ' ', el('code', { className: 'soft' }, it.session_id.slice(-6)));
  if (it.current) title.append(el('span', { className: 'tag' }, 'this one'));
  const what = el('span', { className: 'vh' }, ' the session of ', it.label?.device ? `${it.label.device}, ` : '', at(it.signed_in_at));
  const button = el('button', { type: 'button', className: 'quiet' }, it.current ? 'Sign out' : 'Revoke', what);
  button.dataset.session = it.session_id;
  button.addEventListener('click', () => busy(button, () => end(it)));
  const times = el('p', { className: 'small soft' }, 'Active ', ago(it.last_seen_at), '; expires ', ago(it.idle_expires_at), ' without activity');
  const device = it.label?.device ? [el('p', { className: 'small' }, String(it.label.device))] : [];
  return el('li', {}, title, ...device, times, button);
}

async function end({ session_id: id, current }) {
  if (current) {
    await session.signOut();
    return;
  }
  const answer = await send('DELETE', `auth/sessions/${encodeURIComponent(id)}`);
  if (!answer) return;
  await readSessions('background');
  $('mine-title').focus();
  if (answer.ok) say('The session was revoked.');
}

$('more').addEventListener('click', () => busy($('more'), async () => {
  const answer = await send('GET', `auth/sessions?cursor=${encodeURIComponent(next)}`);
  if (!answer?.ok) return;
  isLong = true;
  show({ sessions: [...listed, ...answer.body.sessions], next: answer.body.next });
}));
$('my-others').addEventListener('click', () => busy($('my-others'), async () => {
  const revoked = await revoke('my_others');
  if (revoked === null) return;
  await readSessions('background');
  $('mine-title').focus();
  say(ended(revoked));
}));

setInterval(moveTimes, 1_000);
setInterval(() => {
  if (document.hidden || !me || $('confirm').open || document.querySelector('[aria-disabled]')) return;
  // Reading the first page again would hide the others.
  if (!isLong) readSessions('background');
  if (me.role === 'owner') readAccount('background');
}, REFRESH_LISTS);
start();
