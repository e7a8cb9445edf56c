//! Choosing timeouts.
//!
//! # The settings
//!
//! | setting | default | bounds | too short | too long |
//! |---|---|---|---|---|
//! | `idle_timeout` | 20 min | 1 s to `absolute_timeout` | signs out people who read | an unattended screen stays open |
//! | `absolute_timeout` | 12 h | at least 1 s; cannot be left out | signs out people at work | a stolen token is renewed for longer |
//! | `token_lifetime` | 1 h | 1 s to `absolute_timeout` | expires in a pause shorter than the idle timeout | services that check `exp` only accept it for longer |
//! | `renew_threshold` | 0.5 | over 0, at most 1 | tokens expire before a request renews them | more renewals |
//! | `renew_min_interval` | 60 s | 0 to `token_lifetime` x `renew_threshold` | parallel requests each renew | tokens expire while they wait (an error) |
//! | `leeway` | 0 s | at most 120 s | | an expired token is accepted for so long |
//! | `max_clock_skew` | 5 s | at most 120 s | nodes reject each other's tokens, or answer 503 since their clock is not that of Postgres | sessions may last longer by that much |
//!
//! The first three are whole seconds, as tokens contain them.
//!
//! Start from the answer to two questions. How long may an unattended device stay signed in? That
//! is the idle timeout. After how long must a user prove again who they are? That is the absolute
//! timeout. OWASP ASVS 5.0 requirement 7.1.1 asks that both are documented. Then set the token
//! lifetime: twice the idle timeout with the default threshold, so that a token never expires in a
//! pause that the idle timeout allows.
//!
//! With `MemoryStore` a restart forgets last activities. A session is then active if it may have
//! been, so nobody is signed out; one that is idle is noticed up to half a token lifetime late, once.
//! A durable store remembers.
//!
//! # Presets
//!
//! | preset | idle | absolute | token | source |
//! |---|---|---|---|---|
//! | [`Policy::nist_aal2`](crate::Policy::nist_aal2) | 1 h | 24 h | 2 h | NIST SP 800-63B-4 section 2.2.3 |
//! | [`Policy::nist_aal3`](crate::Policy::nist_aal3) | 15 min | 12 h | 30 min | NIST SP 800-63B-4 section 2.3.3 |
//! | [`Policy::pci_dss`](crate::Policy::pci_dss) | 15 min | 12 h | 30 min | PCI DSS v4.0.1 requirement 8.2.8 (idle only) |
//! | [`Policy::long_lived`](crate::Policy::long_lived) | 3 d | 14 d | 15 min | for apps with refresh tokens |
//!
//! [`Policy::sliding`](crate::Policy::sliding) stores no activity: the token lifetime is the idle
//! timeout, and a request before renewal is due leaves no trace. With the default threshold an idle
//! session ends between half a lifetime and a whole one after the last request. It cannot be
//! combined with refresh tokens.
//!
//! # Errors and warnings
//!
//! A contradiction is an error, and the error lists all of them with what to change:
//!
//! ```
//! use std::time::Duration;
//! use tower_sliding_session::Policy;
//!
//! let error = Policy::builder()
//!     .idle_timeout(Duration::from_secs(24 * 3600))
//!     .leeway(Duration::from_secs(300))
//!     .build()
//!     .expect_err("idle is longer than absolute, leeway is over two minutes");
//! assert_eq!(error.problems().len(), 2);
//! ```
//!
//! What is legal but may sign out an active user is a warning: it is in
//! [`warnings`](crate::Policy::warnings), in [`describe`](crate::Policy::describe), and is logged
//! when the sessions are built.
//!
//! ```
//! use std::time::Duration;
//! use tower_sliding_session::Policy;
//!
//! // In a pause of 15 minutes a token of 10 minutes expires.
//! let policy = Policy::builder().token_lifetime(Duration::from_secs(600)).build()?;
//! assert_eq!(policy.warnings().len(), 1);
//! // A refresh token makes up for that.
//! assert!(policy.warnings_with_refresh_tokens().is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `describe()` is a paragraph for an auditor (OWASP ASVS 5.0 requirement 7.1.1); its wording may
//! change with any version. [`SlidingSessions::describe`](crate::SlidingSessions::describe) has one for
//! each profile, and the warnings of other settings:
//!
//! ```
//! # use tower_sliding_session::Policy;
//! let text = Policy::nist_aal2().describe();
//! assert!(text.contains("AAL2"));
//! ```
//!
//! # From configuration
//!
//! [`Policy::from_env`](crate::Policy::from_env) reads environment variables; `Policy` also
//! deserializes, with durations as text or seconds. A number without a unit is refused in a
//! variable, an unknown name in a file.
//!
//! ```
//! # use std::time::Duration;
//! # use tower_sliding_session::Policy;
//! let policy: Policy = serde_json::from_str(
//!     r#"{"idle_timeout": "30m", "absolute_timeout": "8h", "token_lifetime": 3600}"#,
//! )?;
//! assert_eq!(policy.idle_timeout(), Duration::from_secs(1800));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Profiles
//!
//! A profile is a named policy, chosen at sign-in and kept in the signed claim `session_profile`.
//! A session of a profile that is no longer listed has the timeouts of `normal`.
//!
//! ```
//! use std::time::Duration;
//! use tower_sliding_session::{JwtKeys, Policy, SlidingSessions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let week = Duration::from_secs(7 * 86_400);
//! let remember_me = Policy::builder()
//!     .idle_timeout(week)
//!     .token_lifetime(2 * week)
//!     .absolute_timeout(4 * week)
//!     .build()?;
//! let sessions = SlidingSessions::builder(JwtKeys::hs256([7; 32])?, Policy::nist_aal2())
//!     .profile("remember_me", remember_me)
//!     .build()?;
//! let grant = sessions.start("ada").profile("remember_me").await?;
//! assert_eq!(grant.expires_in(), 2 * week);
//! # Ok(()) }
//! ```
//!
//! # Changing a policy, and accounts with their own
//!
//! Timeouts are copied into the token at sign-in. An active session has the smaller of that copy and
//! today's policy: a shorter policy reaches it at its next request, a longer one applies to new
//! sessions. The same holds for what an account's owner chooses with
//! [`change_account_policy`](crate::SlidingSessions::change_account_policy), within the bounds of
//! [`override_bounds`](crate::sessions::SlidingSessionsBuilder::override_bounds). An account can
//! shorten the timeouts of the policy; it can lengthen them only where
//! [`dangerous_longer_than_policy`](crate::policy::OverrideBounds::dangerous_longer_than_policy)
//! allows it, and those of a preset never.
