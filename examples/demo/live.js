/** What has happened to the session of this page so far, for its timeline. */

import { count } from './text.js';

const ENDS = {
  signed_out: 'signed out', session_expired_idle: 'idle timeout',
  session_expired_absolute: 'maximum lifetime', session_revoked: 'revoked',
};

export class Live {
  #session;
  #policy;
  /** The sign-in, by the wall clock, in ms. */
  #origin;
  #marks = [];
  #idle = [];
  #tokens = [];
  #end = null;

  constructor(session, policy) {
    this.#session = session;
    this.#policy = policy;
    const { absolute_timeout: absolute } = policy;
    const elapsed = Math.max(0, absolute - (session.left('absolute') ?? absolute));
    // The server rounds to whole seconds.
    this.#origin = Date.now() - (elapsed < 1.5 ? 0 : elapsed) * 1000;
    const [at, idle] = [this.now, policy.idle_timeout];
    this.#idle.push({ at, until: at + idle, full: idle });
    this.#pushToken();
  }

  get policy() { return this.#policy; }

  get now() { return (Date.now() - this.#origin) / 1000; }
  get renewals() { return this.#tokens.length - 1; }
  get requests() { return this.#marks.filter(({ isOwn }) => !isOwn).length; }
  /** How long the session has lasted, in seconds. */
  get age() { return this.#end?.at ?? this.now; }

  /** Activity in any tab; `at` by the wall clock, in ms. */
  activity(at) {
    const since = (at - this.#origin) / 1000;
    const idle = this.#policy.idle_timeout;
    this.#marks.push({ at: since, kind: 'user' });
    this.#idle.push({ at: since, until: since + idle, full: idle });
  }

  /** A new token, by renewal or refresh. */
  renewal() {
    const { now } = this;
    this.#pushToken();
    // The activity that renewed the token is told right after the renewal.
    queueMicrotask(() => {
      const mark = this.#marks.findLast(({ at, kind }) => kind === 'user' && now - at < 2);
      if (mark) mark.renewed = true;
      // The session itself asked the server.
      else this.#marks.push({ at: now, kind: 'background', renewed: true, isOwn: true });
    });
  }

  #pushToken() {
    const { now } = this;
    const left = this.#session.left('token') ?? 0;
    this.#tokens.push({ at: now, until: now + left, full: this.#policy.token_lifetime });
  }

  background() {
    this.#marks.push({ at: this.now, kind: 'background' });
  }

  /** The last activity failed. */
  failure() {
    const mark = this.#marks.findLast(({ kind }) => kind === 'user');
    if (mark) mark.kind = 'failed';
  }

  ended(reason) {
    const due = {
      session_expired_idle: this.#idle.at(-1).until,
      session_expired_absolute: this.#policy.absolute_timeout,
    }[reason] ?? Infinity;
    this.#end = { at: Math.min(this.now, due), text: ENDS[reason] ?? 'ended' };
  }

  /** The model of the timeline. A long session is shown in part. */
  model() {
    const { now } = this;
    const { absolute_timeout: absolute, idle_timeout: idle, token_lifetime: fixed } = this.#policy;
    const step = this.#idle.at(-1);
    const left = this.#session.left('idle');
    if (!this.#end && left !== null) step.until = now + left;
    const span = Math.min(absolute * 1.04, Math.max(120, idle * 2));
    const shown = this.#end?.at ?? now;
    const from = Math.max(0, Math.min(shown - span / 2, absolute * 1.04 - span));
    const told = this.#end ? `The session ended: ${this.#end.text}.` : '';
    const summary = `${count(this.requests, 'request')}, ${count(this.renewals, 'new token')}. ${told}`;
    return {
      from, to: from + span, now: this.#end ? null : now, marks: this.#marks, idle: this.#idle,
      tokens: this.#tokens, absolute, fixed, end: this.#end, summary,
      threshold: this.#policy.renew ? Number(this.#policy.renew_threshold) || 1 : 0,
    };
  }
}
