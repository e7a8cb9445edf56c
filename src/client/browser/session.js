/**
 * A sliding session in the browser: keeps its user signed in, warns before the end, and says why the
 * session has ended. One module without dependencies; `session.d.ts` describes what it exports.
 */

/** The rejections that end a session. */
const ENDINGS = [
  'token_expired', 'session_expired_idle', 'session_expired_absolute', 'session_revoked',
  'invalid_token', 'invalid_refresh_token', 'refresh_token_reused',
];
const STEP_UP = 'recent_authentication_required';
const ACTIVITY = 'Session-Activity';

/** Responses may arrive in another order than their requests were sent, within this time. In ms. */
const OUT_OF_ORDER = 60_000;
/** The clocks of a page that has not slept differ by less. In ms. */
const CLOCK_JUMP = 5_000;
/** How long a new tab waits for another tab to hand its session over. In ms. */
const HAND_OVER = 300;
/** How long a tab keeps a lock after its work, so that its message reaches those that wait. In ms. */
const LINGER = 1_000;
/** How long a request of the module itself may take. In ms. */
const OWN_REQUEST = 10_000;
/** How long before a warning the server is asked whether the deadline has moved. In seconds. */
const CONFIRM = 3;
/** The longest pause between two questions to a server that does not answer. In seconds. */
const LONGEST_PAUSE = 60;

const DEFAULTS = {
  name: 'session', base: '/', storage: 'memory', shareTabs: true,
  check: 'auth/session', refresh: 'auth/refresh', logout: 'logout', checkEvery: 0,
  activity: 'default', activeWithin: 60,
  renewedHeader: 'x-refreshed-token', lockTimeout: 5, pollStorage: 5,
};
const WARN = { before: 300, atLeast: 20, share: 0.25 };

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/**
 * An instant on both clocks. The wall clock can be changed; the other one stands still while the
 * machine sleeps. Each only ever makes too little of the time that has passed.
 */
const instant = (wall = Date.now()) =>
  ({ wall, mono: performance.now() - Math.max(0, Date.now() - wall) });

const secondsSince = ({ wall, mono }) =>
  Math.max(Date.now() - wall, performance.now() - mono) / 1000;

/** The claims of a token, unverified; null if it is none. */
export function claimsOf(token) {
  try {
    const payload = token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/');
    const bytes = Uint8Array.from(atob(payload), (char) => char.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return null;
  }
}

/** The value of `Session-Expires`: `idle=1140, absolute=42000, renewable`. */
export function parseExpires(value) {
  const found = {};
  for (const [, name, seconds] of (value ?? '').matchAll(/\b(?:(idle|absolute)=(\d+)|renewable)\b/g)) {
    found[name ?? 'renewable'] = name ? Number(seconds) : true;
  }
  return found;
}

/** Why the session has ended, from the address of a sign-in page. Only known codes. */
export function reasonFrom(url = location.href) {
  const reason = new URL(url, document.baseURI).searchParams.get('reason');
  return [...ENDINGS, 'signed_out'].includes(reason) ? reason : null;
}

/**
 * Whether the token of `next` was minted after that of `state`. Of two of the same second the newer one
 * has the claims of a later change, or lives longer, or was in the response to a request with the other.
 */
function isNewer(next, state) {
  const [a, b] = [claimsOf(next.token), claimsOf(state.token)];
  if (!a || !b) return a !== null;
  for (const claim of ['iat', 'claims_at', 'exp']) {
    const difference = (a[claim] ?? 0) - (b[claim] ?? 0);
    if (difference) return difference > 0;
  }
  return a.jti !== b.jti && next.follows === b.jti;
}

/** Which exchange a refresh token is for: each is good for one. The first has no number. */
const generation = (refreshToken) => claimsOf(refreshToken)?.refresh_gen ?? 0;

/** When the session began; in cookie mode, when the server last told of it. In ms. */
function beginning({ token, limits }) {
  const claims = claimsOf(token);
  return claims ? claims.epoch ?? claims.auth_time * 1000 : limits.wall;
}

/** Whether a request of one session may be repeated in the other. */
function isSameUser(a, b) {
  return (a.guest && b.guest) || claimsOf(a.token)?.sub === claimsOf(b.token)?.sub;
}

/**
 * What is known of a session, from the answer to a sign-in, a refresh or a check whose request was
 * sent at `sent`: both limits are counted from then, so they are never too late.
 */
function stateOf(grant, sent) {
  const { access_token: token, refresh_token: refresh } = grant;
  return {
    sid: grant.session_id ?? claimsOf(token)?.sid,
    token,
    refresh,
    guest: grant.guest,
    life: { ...sent, token: grant.expires_in },
    limits: { ...sent, idle: grant.idle_expires_in, absolute: grant.absolute_expires_in },
  };
}

/** The same, as another tab has told or stored it: its second clock has another origin. */
function received(state) {
  const { life, limits } = state;
  // Another script may use the same key.
  return life && limits && {
    ...state,
    life: { ...life, ...instant(life.wall) },
    limits: { ...limits, ...instant(limits.wall) },
  };
}

/** The longest time that the server has given until each limit: warnings are measured by it. */
function longest({ limits, full }, known) {
  const of = (limit) => Math.max(...[limits, full, known].map((times) => times?.[limit] ?? 0));
  return { idle: of('idle'), absolute: of('absolute') };
}

/** The other tabs: messages to them, and work that one of them does for all. */
class Tabs {
  #name;
  #timeout;
  #receive;
  #channel;
  /** What waits for another tab. */
  #waiting = new Set();

  constructor(name, timeout, receive) {
    this.#name = name;
    this.#timeout = timeout;
    this.#receive = receive;
  }

  open() {
    this.close();
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }) => this.#receive(data);
  }

  /** A message to a page in the back/forward cache would evict it. */
  close() {
    this.#channel?.close();
    this.#channel = undefined;
  }

  post(message) {
    this.#channel?.postMessage(message);
  }

  /** Whoever waits for another tab looks again whether that tab has done it. */
  recheck() {
    for (const check of this.#waiting) check();
  }

  /**
   * Does `work` in one tab, unless `isDone`. Goes on without the lock after the timeout: a frozen tab
   * may hold it. Without Web Locks (http) each tab works for itself: a server answers a repeated
   * refresh with the same successor for some seconds.
   */
  async once(id, isDone, work) {
    const run = async () => (isDone() ? null : work());
    if (!this.#channel || !navigator.locks) return run();
    const waiting = new AbortController();
    const check = () => isDone() && waiting.abort();
    const expiry = setTimeout(() => waiting.abort(), this.#timeout * 1000);
    this.#waiting.add(check);
    try {
      return await new Promise((resolve, reject) => {
        const perform = () => run().then(resolve, reject);
        const name = `${this.#name}.${id}`;
        navigator.locks.request(name, { signal: waiting.signal }, async () => {
          await perform();
          // The message that it is done may arrive later than the lock.
          if (isDone()) await pause(LINGER);
        }).catch(perform);
      });
    } finally {
      clearTimeout(expiry);
      this.#waiting.delete(check);
    }
  }
}

/** One value in a storage, which may be refused, full, or emptied by hand. */
class Saved {
  #storage;
  #key;
  #raw = null;

  constructor(storage, key) {
    this.#key = key;
    if (!storage) return;
    try {
      this.#storage = globalThis[storage];
    } catch { /* Refused: the page goes on from memory. */ }
  }

  /** The value if it has changed since the last call: undefined if not, null if it was removed. */
  changed() {
    const raw = this.#read();
    if (raw === this.#raw) return undefined;
    this.#raw = raw;
    try {
      return JSON.parse(raw);
    } catch {
      return null;
    }
  }

  write(value) {
    const raw = value && JSON.stringify(value);
    try {
      if (raw) this.#storage.setItem(this.#key, raw);
      else this.#storage.removeItem(this.#key);
    } catch { /* Refused or full. */ }
    this.#raw = this.#read();
  }

  #read() {
    try {
      return this.#storage?.getItem(this.#key) ?? null;
    } catch {
      return null;
    }
  }
}

export class Session extends EventTarget {
  /** Resolves once it is known whether another tab, the storage or a cookie has a session. */
  ready;

  #options;
  #base;
  #tabs;
  #saved;
  /** Of this tab: it outlives a reload. */
  #savedReason;
  #reason;
  #state = null;
  /** The ids of ended sessions: none of them comes back with a late response. */
  #ended = new Set();
  #asking;
  #refreshing;
  #signingIn;
  #sharing;
  #timer;
  #warning = null;
  #isConfirmed = false;
  #isOverdue = false;
  /** Whether this tab may have slept through the messages of others. */
  #mayBeBehind = false;
  #lastInput = -Infinity;
  #drift = Date.now() - performance.now();
  #pause = 1;
  #nextQuestion = 0;
  #listening = new AbortController();

  constructor(options = {}) {
    super();
    this.#options = { ...DEFAULTS, ...options, warn: { ...WARN, ...options.warn } };
    const { name, base, storage, lockTimeout } = this.#options;
    this.#base = new URL(base, document.baseURI);
    if (!this.#base.pathname.endsWith('/')) this.#base.pathname += '/';
    this.#tabs = new Tabs(name, lockTimeout, (message) => this.#receive(message));
    this.#saved = new Saved(storage !== 'memory' && 'localStorage', name);
    this.#savedReason = new Saved('sessionStorage', `${name}.reason`);
    this.#reason = this.#savedReason.changed() ?? null;
    this.ready = this.#begin();
  }

  get signedIn() { return this.#state !== null; }
  get id() { return this.#state?.sid ?? null; }
  get claims() { return claimsOf(this.#state?.token); }
  get lastActivity() { return this.#state?.lastActivity ?? null; }
  get lastRenewal() { return this.#state?.lastRenewal ?? null; }
  get warning() { return this.#warning; }
  get reason() { return this.#reason; }

  /** The limit that comes first. */
  get binding() {
    const [idle, absolute] = [this.left('idle'), this.left('absolute')];
    if (absolute !== null && absolute <= (idle ?? absolute)) return 'absolute';
    return idle === null ? null : 'idle';
  }

  left(limit) {
    const told = limit === 'token' ? this.#state?.life : this.#state?.limits;
    return told?.[limit] === undefined ? null : told[limit] - secondsSince(told);
  }

  /** The token for `url`; null where it does not go. */
  tokenFor(url) {
    return this.#covers(url) ? this.#state?.token ?? null : null;
  }

  /** Takes over the answer to a sign-in. */
  async start(grant = {}) {
    if (!grant.access_token && !grant.session_id) {
      await this.check();
      return;
    }
    this.#pull();
    this.#learn(stateOf(grant, instant()), true);
  }

  /** As `fetch`, with the session. `activity`: `user` or `background`; `anonymous`: without it. */
  async fetch(input, init = {}) {
    await this.ready;
    return init.anonymous || !this.#covers(input.url ?? input) ? fetch(input, init) : this.#request(input, init);
  }

  /** Asks whether the session goes on; counts as no activity. */
  async check() {
    await this.#ask();
    return this.signedIn;
  }

  /** The user stays: counts as activity. Resolves to false if the server did not say so. */
  async stay() {
    await this.ready;
    return this.#question('user');
  }

  /** Signs out here in any case; resolves to whether the server did, too. */
  async signOut() {
    const held = this.#state;
    if (!held) return true;
    const isDone = await this.#tellSignOut(held);
    if (this.#state?.sid === held.sid) this.#end('signed_out');
    return isDone;
  }

  /** Goes to the sign-in page, if there is one. It comes back to `next`, a path of this site. */
  openSignIn(reason = null) {
    const { signIn } = this.#options;
    if (!signIn) return;
    const url = new URL(signIn, document.baseURI);
    if (url.origin === location.origin && url.pathname === location.pathname) return;
    if (reason) url.searchParams.set('reason', reason);
    url.searchParams.set('next', location.pathname + location.search + location.hash);
    location.assign(url);
  }

  destroy() {
    this.#listening.abort();
    clearTimeout(this.#timer);
    clearTimeout(this.#sharing);
    this.#tabs.close();
  }

  get #isCookie() { return this.#options.storage === 'cookie'; }
  get #credentials() { return this.#isCookie ? { credentials: 'include' } : {}; }

  async #begin() {
    // The page adds its listeners first.
    await null;
    this.#listen();
    if (this.#options.shareTabs) this.#tabs.open();
    this.#pull();
    if (this.#isCookie) {
      await this.#ask();
    } else if (!this.#state && this.#options.shareTabs) {
      this.#tabs.post({ ask: true });
      await new Promise((resolve) => {
        this.addEventListener('signedin', resolve, { once: true });
        setTimeout(resolve, HAND_OVER);
      });
    }
    this.#tick();
    return this.signedIn;
  }

  #listen() {
    const { signal } = this.#listening;
    const on = (types, listener, capture) => {
      for (const type of types.split(' ')) addEventListener(type, listener, { signal, capture });
    };
    const onInput = ({ isTrusted }) => {
      if (isTrusted) this.#lastInput = performance.now();
    };
    // Captured: the page may stop an event on its way up.
    on('pointerdown keydown wheel touchstart', onInput, true);
    // Captured: `resume` does not bubble.
    on('visibilitychange resume focus online', () => this.#wake(), true);
    on('pagehide', () => this.#tabs.close());
    on('pageshow', ({ persisted }) => persisted && this.#comeBack());
    on('storage', () => this.#pull());
  }

  /** Time may have passed, and the server may answer again. */
  #wake() {
    this.#mayBeBehind = true;
    this.#pause = 1;
    this.#nextQuestion = 0;
    this.#tick();
  }

  /** From the back/forward cache, where the page has heard nothing. */
  #comeBack() {
    if (this.#options.shareTabs) this.#tabs.open();
    this.#tabs.post({ ask: true });
    this.#wake();
    this.#ask();
  }

  #receive({ ask, state, ended, reason }) {
    if (ask && this.#state) this.#tabs.post({ state: this.#state });
    if (state) this.#adopt(received(state));
    if (ended) this.#endedElsewhere(ended, reason);
  }

  /** Takes over what another tab has written, and a removal by hand. */
  #pull() {
    const value = this.#saved.changed();
    if (value?.ended) this.#endedElsewhere(value.ended, value.reason);
    else if (value) this.#adopt(received(value));
    else if (value === null && this.#state && !this.#isCookie) this.#end('signed_out');
  }

  #endedElsewhere(sid, reason) {
    if (this.#state?.sid === sid) this.#end(reason, true);
    else this.#ended.add(sid);
  }

  /** Takes over what this tab has learned, and tells the others: of a token at once. */
  #learn(next, isSignIn) {
    const before = this.#state;
    if (!this.#adopt(next, isSignIn)) return;
    if (before?.sid !== next.sid || before.token !== this.#state.token) this.#share();
    else this.#sharing ??= setTimeout(() => this.#share(), 200);
  }

  #share() {
    clearTimeout(this.#sharing);
    this.#sharing = undefined;
    this.#pull();
    if (!this.#state) return;
    if (!this.#isCookie) this.#saved.write(this.#state);
    this.#tabs.post({ state: this.#state });
  }

  /** Takes over what is newer in `next`; returns whether anything is. */
  #adopt(next, isSignIn = false) {
    const state = this.#state;
    if (!next?.sid || this.#ended.has(next.sid)) return false;
    if (state?.sid !== next.sid) {
      const isLater = !state || beginning(next) > beginning(state);
      if (!isSignIn && !(isLater && (next.token || this.#isCookie))) return false;
      this.#setReason(null);
      this.#change({ ...next, full: longest(next) });
      this.#emit('signedin', { sid: next.sid });
      return true;
    }
    const changes = {};
    if (isNewer(next, state)) {
      changes.token = next.token;
      changes.follows = next.follows;
    }
    if (next.life && (changes.token || !state.token)) changes.life = next.life;
    if (next.refresh && generation(next.refresh) >= generation(state.refresh)) {
      changes.refresh = next.refresh;
    }
    if (this.#isLaterWord(next.limits)) {
      changes.limits = next.limits;
      changes.full = longest(next, state.full);
    }
    for (const time of ['lastActivity', 'lastRenewal']) {
      if (next[time] > (state[time] ?? 0)) changes[time] = next[time];
    }
    if (Object.keys(changes).length === 0) return false;
    this.#change({ ...state, ...changes });
    if (changes.token) this.#emit('renewed', { expiresIn: next.life.token });
    if (changes.lastActivity) this.#emit('activity', { at: next.lastActivity });
    return true;
  }

  #change(state) {
    this.#state = state;
    this.#tabs.recheck();
    this.#tick();
  }

  /** The last word is that of the request which was sent last; not after the clock was set back. */
  #isLaterWord(limits) {
    if ((limits?.idle ?? limits?.absolute) === undefined) return false;
    const earlier = this.#state.limits.wall - limits.wall;
    return !(earlier > 0 && earlier < OUT_OF_ORDER);
  }

  #setReason(reason) {
    this.#reason = reason;
    this.#savedReason.write(reason);
  }

  #emit(type, detail = null, cancelable = false) {
    return this.dispatchEvent(new CustomEvent(type, { detail, cancelable }));
  }

  /** Ends the session of this page. A guest's is followed by another one, without a word. */
  #end(reason, isTold = false) {
    const { sid, guest } = this.#state;
    this.#ended.add(sid);
    this.#setWarning(null);
    this.#change(null);
    this.#saved.write({ ended: sid, reason });
    if (!isTold) this.#tabs.post({ ended: sid, reason });
    if (guest && this.#options.guest) return;
    this.#setReason(reason);
    if (this.#emit('ended', { reason }, true)) this.openSignIn(reason);
  }

  async #tellSignOut({ token }) {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    try {
      return (await this.#post('logout', { headers, keepalive: true })).ok;
    } catch {
      return false;
    }
  }

  /** A request of the module itself, which is not repeated. */
  #post(route, init) {
    return fetch(this.#route(route), {
      method: 'POST',
      ...this.#credentials,
      cache: 'no-store',
      signal: AbortSignal.timeout(OWN_REQUEST),
      ...init,
    });
  }

  #route(name) { return new URL(this.#options[name], this.#base); }

  /** The token goes below the base and nowhere else. */
  #covers(url) {
    const { origin, pathname } = new URL(url, document.baseURI);
    return origin === this.#base.origin && pathname.startsWith(this.#base.pathname);
  }

  /** What `Session-Activity` says; null: nothing. */
  #activity({ activity, keepalive }) {
    if (activity || keepalive) return activity ?? 'background';
    if (this.#options.activity !== 'declared') return null;
    const idle = performance.now() - this.#lastInput;
    return idle < this.#options.activeWithin * 1000 ? 'user' : null;
  }

  async #request(input, init) {
    const activity = this.#activity(init);
    const isReplayable = !(init.body instanceof ReadableStream);
    for (let left = 2; ; left -= 1) {
      if (!this.#state && this.#options.guest && !init.isProbe) await this.#signInGuest();
      const { response, recovered } = await this.#attempt(input, init, activity);
      if (recovered instanceof Response) return recovered;
      if (!recovered || !isReplayable || left === 0) return response;
    }
  }

  async #attempt(input, init, activity) {
    const before = this.#state;
    const failed = await this.#refreshIfExpired(activity);
    if (failed) return { response: failed, recovered: this.#isGuestAgain(before) };
    const held = this.#state;
    const sent = instant();
    const response = await fetch(this.#withToken(input, init, activity));
    const code = held && this.#take(response, held, sent, activity);
    if (code === STEP_UP) {
      return { recovered: await this.#stepUp(response, () => this.fetch(input, init)) };
    }
    return { response, recovered: code && await this.#recover(code, held, activity, init.isProbe) };
  }

  #withToken(input, init, activity) {
    // Each attempt consumes its body: a request keeps its own for the next one.
    const source = input instanceof Request ? input.clone() : input;
    const request = new Request(source, { ...this.#credentials, ...init });
    if (activity) request.headers.set(ACTIVITY, activity);
    const token = this.#state?.token;
    if (token) request.headers.set('Authorization', `Bearer ${token}`);
    return request;
  }

  /** Takes over what a response says of the session; returns the code of its rejection. */
  #take(response, held, sent, activity) {
    if (response.redirected && !this.#covers(response.url)) return null;
    const token = response.headers.get(this.#options.renewedHeader);
    const claims = claimsOf(token);
    const next = {
      sid: held.sid,
      follows: claimsOf(held.token)?.jti,
      limits: { ...sent, ...parseExpires(response.headers.get('Session-Expires')) },
    };
    if (claims) {
      const life = { ...sent, token: claims.exp - claims.iat };
      Object.assign(next, { sid: claims.sid, token, life, lastRenewal: Date.now() });
    }
    const counts = activity === 'user' || (!activity && this.#options.activity === 'default');
    if (counts && ![401, 503].includes(response.status)) next.lastActivity = sent.wall;
    this.#learn(next);
    const code = response.status === 401 ? response.headers.get('Session-Error') : null;
    if (code === 'missing_token' && this.#isCookie) return this.#reasonOfLostCookie();
    return code === STEP_UP || ENDINGS.includes(code) ? code : null;
  }

  /** The browser deletes a cookie at its end, and the user may delete it at any time. */
  #reasonOfLostCookie() {
    const limit = this.binding;
    return limit && this.left(limit) <= 0 ? `session_expired_${limit}` : 'signed_out';
  }

  /** The app asks for the password, and may answer the call itself: with `retry()`, as a rule. */
  #stepUp(response, retry) {
    const [, maxAge] = /max_age=(\d+)/.exec(response.headers.get('WWW-Authenticate')) ?? [];
    let answer = response;
    this.#emit('stepup', {
      maxAge: maxAge ? Number(maxAge) : null,
      retry,
      respondWith: (promise) => { answer = promise; },
    });
    return answer;
  }

  /**
   * After a rejection of the token of `held`: true if the request may be sent again, false if its
   * response stands, or the response that takes its place.
   */
  async #recover(code, held, activity, isProbe) {
    const state = this.#state;
    if (state && (state.sid !== held.sid || state.token !== held.token)) {
      return isSameUser(state, held);
    }
    if (state?.refresh && code === 'token_expired') {
      const failed = await this.#refresh(activity);
      if (this.#state) return failed ?? true;
    } else if (state && this.#isCookie && !isProbe) {
      // Another response may have set a newer cookie meanwhile.
      return this.#ask();
    } else if (state) {
      this.#end(code);
    }
    return this.#isGuestAgain(held);
  }

  /** Whether the session of a guest has ended, who gets another one. */
  #isGuestAgain(held) {
    return !this.#state && held.guest && this.#options.guest;
  }

  async #refreshIfExpired(activity) {
    const isExpired = this.#state?.refresh && (this.left('token') ?? 1) <= 0;
    return isExpired ? this.#refresh(activity) : null;
  }

  /** One refresh for all calls of all tabs. Resolves to null, or to the response of a failed one. */
  async #refresh(activity) {
    this.#refreshing ??= this.#refreshOnce(activity).finally(() => { this.#refreshing = null; });
    return (await this.#refreshing)?.clone() ?? null;
  }

  #refreshOnce(activity) {
    const { sid, token, refresh } = this.#state;
    const isDone = () => this.#state?.token !== token;
    return this.#tabs.once(claimsOf(refresh)?.jti ?? sid, isDone, async () => {
      if (this.#mayBeBehind && this.#options.storage === 'memory') {
        this.#tabs.post({ ask: true });
        await pause(100);
      }
      this.#mayBeBehind = false;
      // An old refresh token would end the session: it is read at the last moment.
      this.#pull();
      return isDone() ? null : this.#exchange(activity);
    });
  }

  async #exchange(activity) {
    const { refresh } = this.#state;
    const headers = { 'Content-Type': 'application/json' };
    if (activity) headers[ACTIVITY] = activity;
    const sent = instant();
    const body = JSON.stringify({ refresh_token: refresh });
    const response = await this.#post('refresh', { headers, body });
    if (response.ok) {
      this.#learn({ ...stateOf(await response.json(), sent), lastRenewal: Date.now() });
      return null;
    }
    const code = response.headers.get('Session-Error');
    const isHeld = this.#state?.refresh === refresh;
    if (response.status === 401 && ENDINGS.includes(code) && isHeld) this.#end(code);
    return response;
  }

  #signInGuest() {
    this.#signingIn ??= this.#tabs.once('guest', () => this.signedIn, async () => {
      const sent = instant();
      this.#learn({ ...stateOf(await this.#options.guest(), sent), guest: true }, true);
    }).finally(() => { this.#signingIn = null; });
    return this.#signingIn;
  }

  /** Whether the server says that the session goes on. One question at a time. */
  #ask() {
    this.#asking ??= this.#question('background').finally(() => {
      this.#asking = null;
      this.#nextQuestion = performance.now() + this.#pause * 1000;
      this.#tick();
    });
    return this.#asking;
  }

  async #question(activity) {
    // The caller notes first that it has asked.
    await null;
    if (!this.#state && !this.#isCookie) return false;
    const sent = instant();
    try {
      const response = await this.#request(this.#route('check'), {
        activity, cache: 'no-store', isProbe: true, signal: AbortSignal.timeout(OWN_REQUEST),
      });
      if (response.ok) return await this.#answered(await response.json(), sent);
      if (response.status === 404) console.warn('no check route:', response.url);
      // A stale cookie, before anything was known of its session.
      const code = response.headers.get('Session-Error');
      if (!this.#state && ENDINGS.includes(code)) this.#setReason(code);
    } catch { /* The server is away, which says nothing of the session. */ }
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
    return false;
  }

  async #answered(answer, sent) {
    this.#pause = 1;
    if (this.#ended.has(answer.session_id)) {
      // Signed out here while the server was away: the cookie is still there.
      await this.#tellSignOut({});
      return false;
    }
    this.#learn(stateOf(answer, sent));
    return true;
  }

  /** Looks at the clocks and the storage. No timer ends a session: it asks. */
  #tick() {
    clearTimeout(this.#timer);
    if (this.#listening.signal.aborted) return;
    const drift = this.#drift;
    this.#drift = Date.now() - performance.now();
    this.#pull();
    if (this.#state && Math.abs(drift - this.#drift) > CLOCK_JUMP) this.#ask();
    const next = this.#state ? this.#watchLimits() : Infinity;
    const seconds = Math.min(next, this.#options.pollStorage);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tick(), seconds * 1000 + 10);
  }

  /** Warns and asks where it is time; returns when it is time for the next step, in seconds. */
  #watchLimits() {
    const limit = this.binding;
    const left = this.left(limit) ?? Infinity;
    const lead = limit ? this.#lead(limit) : 0;
    const isOverdue = left <= 0;
    const { checkEvery } = this.#options;
    const isCheckDue = checkEvery > 0 && !document.hidden
      && secondsSince(this.#state.limits) >= checkEvery;
    // Another tab or device may have moved the deadline.
    const isNear = left <= lead + CONFIRM;
    const isUnconfirmed = isNear && !this.#isConfirmed;
    const mayAsk = performance.now() >= this.#nextQuestion;
    this.#isConfirmed = isNear;
    if (isUnconfirmed || ((isOverdue || isCheckDue) && mayAsk)) this.#ask();
    this.#setWarning(left <= lead ? limit : null);
    if (isOverdue && !this.#isOverdue) this.#emit('overdue', { limit });
    this.#isOverdue = isOverdue;
    return [left - lead - CONFIRM, left - lead, left, 1].find((step) => step > 0);
  }

  /** How long before the end the user is warned: WCAG 2.2.1 wants 20 s, if the session is so long. */
  #lead(limit) {
    const { before, atLeast, share } = this.#options.warn;
    const full = this.#state.full[limit];
    return Math.min(before, Math.max(atLeast, share * full), full * 2 / 3);
  }

  #setWarning(limit) {
    if (limit === this.#warning) return;
    this.#warning = limit;
    if (limit) this.#emit('warning', { limit, left: Math.max(0, this.left(limit)) });
    else this.#emit('warningend');
  }
}
