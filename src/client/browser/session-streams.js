/**
 * What a session opens in the browser: server-sent events over `fetch`, addresses with a ticket, and
 * WebSockets. One module without dependencies; `session-streams.d.ts` describes what it exports.
 */

/** A stream that has lived so long was no failure: the next pause is short again. In ms. */
const LIVED = 5_000;
/** The shortest pause before a stream is opened again, whatever the server says. In seconds. */
const SHORTEST_PAUSE = 1;
/** The longest pause. In seconds. */
const LONGEST_PAUSE = 60;

/** The close code of a WebSocket whose session has ended. */
const SESSION_ENDED = 3000;

/** Resolves after a time, or when `signal` aborts. */
function pause(seconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(done, seconds * 1000);
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    }
    signal?.addEventListener('abort', done);
  });
}

/** The lines of a stream of text; they end with LF, CR or CRLF, which a chunk may cut in two. */
async function* linesOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let endsWithCr = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      // An unfinished line at the end is none.
      if (done) return;
      const text = endsWithCr && value.startsWith('\n') ? value.slice(1) : value;
      if (value) endsWithCr = value.endsWith('\r');
      const lines = (rest + text).split(/\r\n|\r|\n/);
      rest = lines.pop();
      yield* lines;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** The fields of one event, with the id and the pause that outlive it. */
class Message {
  type = '';
  data = [];

  /** Takes one line that is not empty. `stream` has the id and the pause. */
  take(line, stream) {
    const [, name, value] = /^([^:]*):? ?(.*)$/s.exec(line);
    if (name === 'data') this.data.push(value);
    else if (name === 'event') this.type = value;
    else if (name === 'id' && !value.includes('\0')) stream.nextId = value;
    else if (name === 'retry' && /^\d+$/.test(value)) stream.retry = value / 1000;
  }
}

/** The events of one response. */
async function* messagesOf(body, stream) {
  let message = new Message();
  for await (const line of linesOf(body)) {
    if (line) {
      message.take(line, stream);
      continue;
    }
    stream.lastEventId = stream.nextId;
    const { type, data } = message;
    message = new Message();
    if (data.length > 0 || type === 'session-ended') {
      yield { type: type || 'message', data: data.join('\n'), lastEventId: stream.lastEventId };
    }
  }
}

/** A header has bytes; an id may have any character. */
const asHeader = (text) => String.fromCharCode(...new TextEncoder().encode(text));

/** Opens the stream. Resolves to null if it does not go on, to undefined if it is worth another try. */
async function open(session, path, stream, init) {
  const headers = new Headers(init.headers);
  headers.set('Accept', 'text/event-stream');
  if (stream.lastEventId) headers.set('Last-Event-ID', asHeader(stream.lastEventId));
  let response;
  try {
    response = await session.fetch(path, {
      activity: 'background', cache: 'no-store', ...init, headers,
    });
  } catch {
    // The server is away, or the caller has aborted.
    return undefined;
  }
  const { status } = response;
  const isStream = response.headers.get('Content-Type')?.startsWith('text/event-stream');
  if (status === 200 && isStream) return response.body;
  await response.body?.cancel();
  if (status === 204 || (status === 401 && response.headers.has('Session-Error'))) return null;
  if (status >= 500 || status === 429) {
    stream.retryAfter = Number(response.headers.get('Retry-After')) || 0;
    return undefined;
  }
  throw new Error(`no event stream: ${status} ${response.url}`);
}

/** Whether the session of a stream that ended with `data` is not known to go on. */
function isFinal(data) {
  try {
    return JSON.parse(data).code !== 'store_unavailable';
  } catch {
    return true;
  }
}

export async function* events(session, path, init = {}) {
  const { lastEventId = '', retry = SHORTEST_PAUSE, ...request } = init;
  const { signal } = request;
  const stream = { lastEventId, nextId: lastEventId, retry, retryAfter: 0 };
  let failures = 0;
  while (!signal?.aborted) {
    stream.retryAfter = 0;
    const body = await open(session, path, stream, request);
    if (body === null) return;
    const opened = performance.now();
    try {
      if (body) {
        for await (const message of messagesOf(body, stream)) {
          if (message.type !== 'session-ended') {
            yield message;
          } else if (isFinal(message.data)) {
            // The session itself hears it from the server, with the reason.
            await session.check();
            return;
          }
        }
      }
    } catch {
      // The connection was lost, or the caller has aborted.
    }
    stream.nextId = stream.lastEventId;
    failures = body && performance.now() - opened > LIVED ? 0 : failures + 1;
    const shortest = Math.max(SHORTEST_PAUSE, stream.retry);
    const seconds = Math.min(LONGEST_PAUSE, shortest * 2 ** Math.max(0, failures - 1));
    if (!signal?.aborted) await pause(Math.max(seconds, stream.retryAfter), signal);
  }
}

export async function url(session, path, options = {}) {
  const { ticket = 'ticket', root = '/', method, ...request } = options;
  const [target, { pathname }] = [path, root].map((it) => new URL(it, document.baseURI));
  const response = await session.fetch(ticket, {
    ...request,
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ path: `/${target.pathname.slice(pathname.length)}`, method }),
  });
  if (!response.ok) throw new Error(`no ticket: ${response.status}`);
  const separator = target.search ? '&' : '?';
  target.search += `${separator}ticket=${(await response.json()).ticket}`;
  return target;
}

export async function socket(session, path, protocols = []) {
  await session.ready;
  const left = session.left('token');
  // An expired token is refreshed.
  if (left !== null && left <= 0) await session.check();
  const target = new URL(path, document.baseURI);
  const token = session.tokenFor(target);
  target.protocol = target.protocol.replace('http', 'ws');
  const opened = new WebSocket(target, [...(token ? ['bearer', token] : []), protocols].flat());
  let isOpen = false;
  opened.addEventListener('open', () => { isOpen = true; });
  // The status of a refused handshake is hidden from scripts.
  opened.addEventListener('close', ({ code }) => {
    if (!isOpen || code === SESSION_ENDED) session.check();
  });
  return opened;
}
