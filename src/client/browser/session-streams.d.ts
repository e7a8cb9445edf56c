/** The interface of `session-streams.js`. Times are in seconds. */

import type { FetchInit, Session } from './session.js';

export interface StreamEvent {
  /** Default: `message`. */
  type: string;
  data: string;
  lastEventId: string;
}

export interface EventsInit extends FetchInit {
  /** The id of the last event that the page has, from an earlier stream. Default: none. */
  lastEventId?: string;
  /** The pause before the stream is opened again, until the server names one. Default: 1, the least. */
  retry?: number;
}

/**
 * The server-sent events at `path`, with the session's token of that moment each time the stream is
 * opened. It is opened again when it ends or fails, with `Last-Event-ID`, after the server's `retry` but
 * not before 1 s; after failures in a row, and streams that lived less than 5 s, up to 60 s.
 *
 * Ends with the session, on 204, and when `signal` aborts. Throws for a response that is no stream of
 * events, other than 429 and 5xx. The request is background, unless `activity` says otherwise.
 *
 * ```js
 * for await (const { type, data } of events(session, '/events')) show(type, data);
 * ```
 */
export function events(
  session: Session,
  path: string | URL,
  init?: EventsInit,
): AsyncGenerator<StreamEvent, void, void>;

export interface UrlOptions extends Omit<FetchInit, 'body' | 'headers' | 'method'> {
  /** Address of the route that issues tickets: a `POST` of `{"path"}`. Default: `ticket`. */
  ticket?: string | URL;
  /** What is `/` to the server, where a proxy strips a prefix; ends with a slash. Default: `/`. */
  root?: string | URL;
  /** The method of the request that the ticket is for. Default: `GET`. */
  method?: string;
}

/**
 * The address of `path` with a ticket, for one request within 30 s: a download, `<video>`, `EventSource`.
 * Throws if the server issues none.
 */
export function url(session: Session, path: string | URL, options?: UrlOptions): Promise<URL>;

/**
 * A WebSocket with the session's token, which is offered as the subprotocol after `bearer`. An expired
 * token is refreshed first. In cookie mode the browser sends the cookie.
 *
 * When the server closes it with 3000, or the handshake fails, the session is checked: if it has ended,
 * the session says why. A WebSocket is not opened again by itself.
 */
export function socket(
  session: Session,
  path: string | URL,
  protocols?: string | string[],
): Promise<WebSocket>;
