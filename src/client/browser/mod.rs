//! The browser's side of a session: three ES modules without dependencies.
//!
//! [`SlidingSessions::router`](crate::SlidingSessions::router) serves them (feature `axum-router`) as
//! `session.js`, `session-streams.js` and `session-warning.js`. Other servers send [`SESSION`],
//! [`SESSION_STREAMS`] and [`SESSION_WARNING`] as `text/javascript`. Their interface is in
//! [`SESSION_TYPES`], [`SESSION_STREAMS_TYPES`] and [`SESSION_WARNING_TYPES`], for the TypeScript compiler. [`guide::browser`](crate::guide::browser) says what they do.
//!
//! ```html
//! <script type="module">
//!   import { Session } from '/auth/session.js';
//!   import '/auth/session-warning.js';
//!
//!   const session = new Session({ signIn: '/sign-in' });
//!   document.querySelector('session-warning').session = session;
//!   const response = await session.fetch('/documents');
//! </script>
//! <session-warning></session-warning>
//! ```

/// The module `session.js`: keeps the user signed in, and says why a session has ended.
pub const SESSION: &str = include_str!("session.js");

/// The declarations of [`SESSION`]: `session.d.ts`.
pub const SESSION_TYPES: &str = include_str!("session.d.ts");

/// The module `session-streams.js`: server-sent events, addresses with a ticket, and `WebSocket`s.
pub const SESSION_STREAMS: &str = include_str!("session-streams.js");

/// The declarations of [`SESSION_STREAMS`]: `session-streams.d.ts`.
pub const SESSION_STREAMS_TYPES: &str = include_str!("session-streams.d.ts");

/// The module `session-warning.js`: the element `<session-warning>`, a dialog that warns before a
/// session ends.
pub const SESSION_WARNING: &str = include_str!("session-warning.js");

/// The declarations of [`SESSION_WARNING`]: `session-warning.d.ts`.
pub const SESSION_WARNING_TYPES: &str = include_str!("session-warning.d.ts");
