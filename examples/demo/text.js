/** Times and reasons in words. */

const UNITS = [['d', 86400], ['h', 3600], ['min', 60], ['s', 1]];

/** `72` as `1 min 12 s`. */
export function phrase(seconds) {
  let rest = Math.max(0, Math.round(seconds));
  const parts = [];
  for (const [unit, size] of UNITS) {
    if (rest >= size) parts.push(`${Math.floor(rest / size)} ${unit}`);
    rest %= size;
  }
  return parts.slice(0, 2).join(' ') || '0 s';
}

/** `72` as `1:12`. */
export function digits(seconds) {
  const s = Math.max(0, Math.ceil(seconds));
  const [days, hours] = [Math.floor(s / 86400), Math.floor(s / 3600) % 24];
  const [mm, ss] = [Math.floor(s / 60) % 60, s % 60].map((n) => String(n).padStart(2, '0'));
  const hms = days || hours ? `${hours}:${mm}:${ss}` : `${Number(mm)}:${ss}`;
  return days ? `${days} d ${hms}` : hms;
}

export const count = (n, word) => `${n} ${word}${n === 1 ? '' : 's'}`;

/** What a policy says, in one line. */
export function policyLine(policy) {
  const { idle_timeout: idle, absolute_timeout: absolute, token_lifetime: lifetime } = policy;
  const share = renewShare(policy);
  const renewal = share === 0 ? 'never renewed' : share === 1 ? 'renewed by every request that counts'
    : `renewed in its last ${Math.round(share * 100)} %`;
  return `${phrase(idle)} idle, ${phrase(absolute)} at most, a token of ${phrase(lifetime)} ${renewal}`;
}

/** The share of a token's lifetime, at its end, in which it is due for renewal. */
export function renewShare({ renew, renew_threshold: threshold }) {
  if (!renew) return 0;
  return threshold === 'always' ? 1 : threshold;
}

/** Why a session has ended: a heading and a sentence. `policy` may be unknown. */
export function reasonText(reason, policy) {
  const idle = policy ? phrase(policy.idle_timeout) : 'a time';
  const most = policy ? phrase(policy.absolute_timeout) : 'a fixed time';
  return {
    signed_out: ['You signed out', 'The server has ended the session and rejects its tokens from now on.'],
    session_expired_idle: ['Signed out for inactivity', `The session expired after ${idle} without activity. Background requests do not count.`],
    session_expired_absolute: ['The session reached its maximum lifetime', `A session lasts at most ${most} from sign-in, however active its user is.`],
    session_revoked: ['The session was revoked', 'You signed out elsewhere, or an administrator ended the session.'],
    token_expired: ['The token expired', 'No request renewed it in time.'],
    invalid_token: ['The token is no longer valid', 'The server rejects it, for example because a restart has changed its key.'],
    invalid_refresh_token: ['The session has ended', 'The server does not accept the refresh token any more.'],
    refresh_token_reused: ['A refresh token was used twice', 'Somebody may have copied it, so the server ended the session.'],
  }[reason] ?? ['You need to sign in again', 'The server gave no reason.'];
}
