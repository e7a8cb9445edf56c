// What a page in TypeScript writes: it compiles under `strict`, and a wrong option does not.

import { Session, claimsOf, parseExpires, reasonFrom } from '../../../src/client/browser/session.js';
import type { Grant, Reason } from '../../../src/client/browser/session.js';
import { events, socket, url } from '../../../src/client/browser/session-streams.js';
import { SessionWarning } from '../../../src/client/browser/session-warning.js';

const guest = async (): Promise<Grant> => (await fetch('/guest', { method: 'POST' })).json();
const session = new Session({ storage: 'local', warn: { before: 60 }, guest });

session.addEventListener('ended', (event) => {
  const reason: Reason = event.detail.reason;
  if (reason !== 'signed_out') event.preventDefault();
});
session.addEventListener('stepup', ({ detail }) => detail.respondWith(detail.retry()));
session.addEventListener('other', () => {});

const warning = document.querySelector('session-warning');
if (warning instanceof SessionWarning) warning.session = session;

const left: number | null = session.left('token');
const response: Promise<Response> = session.fetch('/poll', { activity: 'background' });
const reason: Reason | null = session.reason ?? reasonFrom();
const renewable: boolean | undefined = parseExpires('idle=60, renewable').renewable;
const subject: unknown = claimsOf(null)?.sub;
for await (const { type, data } of events(session, '/events', { lastEventId: '7' })) {
  const event: [string, string] = [type, data];
  void event;
}
const address: Promise<URL> = url(session, '/report.pdf', { ticket: 'auth/ticket' });
const opened: Promise<WebSocket> = socket(session, '/socket', ['v1.app']);
const token: string | null = session.tokenFor('/socket');
void [address, opened, token];

void [left, response, reason, renewable, subject];

// @ts-expect-error There is no such class of requests.
void session.fetch('/poll', { activity: 'none' });
// @ts-expect-error Nor such a limit.
session.left('refresh');
