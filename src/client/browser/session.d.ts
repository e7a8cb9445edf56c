/** The interface of `session.js`. Times are in seconds, unless a name says otherwise. */

/** A rejection that ends a session; the codes are those of the server. */
export type Code =
  | 'token_expired'
  | 'session_expired_idle'
  | 'session_expired_absolute'
  | 'session_revoked'
  | 'invalid_token'
  | 'invalid_refresh_token'
  | 'refresh_token_reused';

/** Why a session has ended. */
export type Reason = Code | 'signed_out';

export type Limit = 'idle' | 'absolute';

/** The answer to a sign-in or a refresh. In cookie mode it has no tokens. Other members are ignored. */
export interface Grant {
  access_token?: string;
  refresh_token?: string;
  session_id?: string;
  expires_in?: number;
  idle_expires_in?: number;
  absolute_expires_in?: number;
}

export interface Options {
  /** The key in storages, and the name of channel and locks. Default: `session`. */
  name?: string;
  /** The token is sent to addresses below this one and to no others. Default: `/`. */
  base?: string | URL;
  /**
   * Where the token is kept. `memory`: a reload keeps the session only while another tab has it.
   * `local`: in `localStorage`. `cookie`: in a cookie that scripts cannot read. Default: `memory`.
   */
  storage?: 'memory' | 'local' | 'cookie';
  /** Whether tabs share one session. Default: true. */
  shareTabs?: boolean;
  /** Address of the check route, relative to `base`. Default: `auth/session`. */
  check?: string;
  /** Address of the refresh route, relative to `base`. Default: `auth/refresh`. */
  refresh?: string;
  /** Address of the sign-out route, relative to `base`: a `POST`. Default: `logout`. */
  logout?: string;
  /**
   * A visible page asks the server whether the session goes on if it has heard nothing for this
   * time: so it notices that the session was revoked. Default: 0, never.
   */
  checkEvery?: number;
  /** Signs a guest in, whenever a call finds no session. Default: no guests. */
  guest?: (() => Promise<Grant>) | null;
  /** The page to go to when the session has ended, with `?reason=` and `&next=`. Default: none. */
  signIn?: string | null;
  /**
   * `default`: a request is activity of the user, unless it says otherwise. `declared`: it is
   * background to the server, unless the user has used the page within `activeWithin`.
   */
  activity?: 'default' | 'declared';
  /** Default: 60. */
  activeWithin?: number;
  /** The response header with a renewed token. Default: `x-refreshed-token`. */
  renewedHeader?: string;
  /**
   * How long before a deadline the user is warned: `before`, or for shorter sessions `share` of the
   * timeout, but `atLeast` 20 s (WCAG 2.2.1), as far as that is no more than two thirds of it.
   * Default: 300, 20, 0.25.
   */
  warn?: { before?: number; atLeast?: number; share?: number };
  /**
   * How long a tab waits for the refresh of another one. It must be shorter than the server's
   * `reuse_grace`, which is 10 by default. Default: 5.
   */
  lockTimeout?: number;
  /** How often clocks and storage are looked at. Default: 5. */
  pollStorage?: number;
}

export interface FetchInit extends RequestInit {
  /** Whether the user has caused this request. Default: see `Options.activity`. */
  activity?: 'user' | 'background';
  /** Sends the request without the session. Default: false. */
  anonymous?: boolean;
}

export interface StepUp {
  /** How recent the sign-in must be; null if the server does not say. */
  maxAge: number | null;
  /** Sends the request again. */
  retry: () => Promise<Response>;
  /** Answers the call with this instead of the 401. */
  respondWith: (response: Promise<Response>) => void;
}

export interface Events {
  signedin: CustomEvent<{ sid: string }>;
  renewed: CustomEvent<{ expiresIn: number }>;
  /** `at`: when the request was sent, in milliseconds since 1970. */
  activity: CustomEvent<{ at: number }>;
  warning: CustomEvent<{ limit: Limit; left: number }>;
  warningend: CustomEvent<null>;
  /** A deadline has passed by the clocks of this page; the server is asked. */
  overdue: CustomEvent<{ limit: Limit }>;
  /** `preventDefault()` keeps the page: no sign-in page is opened. */
  ended: CustomEvent<{ reason: Reason }>;
  stepup: CustomEvent<StepUp>;
}

/** The session of this browser. A page makes one, and uses its `fetch` instead of the global one. */
export class Session extends EventTarget {
  constructor(options?: Options);

  /** Resolves to `signedIn` once the storage, the other tabs or the server have been asked. */
  readonly ready: Promise<boolean>;
  readonly signedIn: boolean;
  /** The id of the session. */
  readonly id: string | null;
  /** The claims of the token, unverified; null in cookie mode. */
  readonly claims: Readonly<Record<string, unknown>> | null;
  /** The limit that comes first. */
  readonly binding: Limit | null;
  /** The limit that the user is being warned of. */
  readonly warning: Limit | null;
  /** Why the last session of this tab has ended; null while signed in. It outlives a reload. */
  readonly reason: Reason | null;
  /** In milliseconds since 1970. */
  readonly lastActivity: number | null;
  /** In milliseconds since 1970. */
  readonly lastRenewal: number | null;

  /** Time until the limit; negative once it has passed, null where it is unknown. */
  left(limit: Limit | 'token'): number | null;

  /** The token that a request for `url` would carry; null for an address that is not below `base`. */
  tokenFor(url: string | URL): string | null;

  /** Takes over the answer to a sign-in. Without one, in cookie mode, the server is asked. */
  start(grant?: Grant): Promise<void>;

  /**
   * As the global `fetch`, with the session. An expired token is refreshed, once for all calls of all
   * tabs, and the request sent again. Responses with 5xx and 429 and network errors end no session.
   */
  fetch(input: RequestInfo | URL, init?: FetchInit): Promise<Response>;

  /** Asks the server whether the session goes on; is no activity. Resolves to `signedIn`. */
  check(): Promise<boolean>;

  /** Asks the server to go on: activity. Resolves to false if the server did not say that it does. */
  stay(): Promise<boolean>;

  /** Signs out here, also if the server is away; resolves to whether it answered. */
  signOut(): Promise<boolean>;

  /** Goes to the page `signIn`, if there is one. */
  openSignIn(reason?: Reason | null): void;

  /** Stops listening. */
  destroy(): void;

  addEventListener<K extends keyof Events>(
    type: K,
    listener: (this: Session, event: Events[K]) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

/** The claims of a token, unverified; null if it is none. */
export function claimsOf(token: string | null | undefined): Record<string, unknown> | null;

/** The value of the response header `Session-Expires`. */
export function parseExpires(value: string | null | undefined): {
  idle?: number;
  absolute?: number;
  renewable?: boolean;
};

/** The reason in the address of a sign-in page: null unless it is a known one. */
export function reasonFrom(url?: string | URL): Reason | null;
