//! Named policies, for sessions of different kinds.

use std::{borrow::Cow, num::NonZeroU16, sync::Arc, time::Duration};

use super::{Policy, TimeoutOverrides};

/// The policies of a service by name: `normal`, and others such as `remember_me` or `guest`.
///
/// A session keeps the name of its profile as a signed claim. If no profile has that name any more,
/// the session is judged *and renewed* under `normal`: removing `remember_me` ends the long sessions
/// that it started, and a session of a profile that exists keeps its timeouts through every renewal
/// (P19).
///
/// ```
/// use std::time::Duration;
/// use tower_sliding_session::{Policy, Profiles};
///
/// let week = Duration::from_secs(7 * 86_400);
/// let remember_me = Policy::builder()
///     .idle_timeout(week)
///     .token_lifetime(week)
///     .absolute_timeout(4 * week)
///     .build()?;
/// let profiles = Profiles::new(Policy::builder().build()?).with("remember_me", remember_me);
/// assert_eq!(profiles.get(Some("remember_me")).token_lifetime(), week);
/// assert_eq!(profiles.get(Some("abolished")), profiles.normal());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Profiles {
    normal: Policy,
    named: Vec<(String, Policy)>,
    /// Whether the overrides of an account may lengthen the timeouts of `normal`.
    lengthened_by_overrides: bool,
}

impl Profiles {
    /// The name of the policy that applies to a session without a profile.
    pub const NORMAL: &str = "normal";

    /// Creates profiles with `normal` alone.
    #[must_use]
    pub fn new(normal: Policy) -> Self {
        Self { normal, named: Vec::new(), lengthened_by_overrides: false }
    }

    /// Adds a profile; replaces the profile with the same name, also `normal`.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, policy: Policy) -> Self {
        let name = name.into();
        if name == Self::NORMAL {
            self.normal = policy;
        } else if let Some((_, listed)) = self.named.iter_mut().find(|(listed, _)| *listed == name)
        {
            *listed = policy;
        } else {
            self.named.push((name, policy));
        }
        self
    }

    /// Returns the policy with that name; `normal` for no name and for an unknown one.
    ///
    /// Does not allocate. Compares the names one by one, because there are few.
    #[inline]
    #[must_use]
    pub fn get(&self, name: Option<&str>) -> &Policy {
        name.and_then(|name| self.listed(name)).unwrap_or(&self.normal)
    }

    /// Lets the overrides of an account lengthen the timeouts of `normal`.
    pub(crate) fn lengthened_by_overrides(mut self) -> Self {
        self.lengthened_by_overrides = true;
        self
    }

    /// The policy with that name, as it applies to a session of an account with `overrides`: they
    /// shorten its timeouts, and lengthen those of `normal` alone where that was allowed. An override
    /// that was stored under a longer policy lengthens nothing.
    #[inline(always)]
    #[must_use]
    pub(crate) fn effective(
        &self,
        name: Option<&str>,
        overrides: Option<TimeoutOverrides>,
    ) -> Cow<'_, Policy> {
        let policy = self.get(name);
        let Some(overrides) = overrides else { return Cow::Borrowed(policy) };
        let lengthened =
            self.lengthened_by_overrides && std::ptr::eq(policy, &raw const self.normal);
        Cow::Owned(if lengthened {
            policy.overridden(overrides)
        } else {
            policy.shortened(overrides)
        })
    }

    /// Whether a profile has that name; always true for `normal`.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        name == Self::NORMAL || self.listed(name).is_some()
    }

    /// The policy `normal`.
    #[must_use]
    pub fn normal(&self) -> &Policy {
        &self.normal
    }

    /// Iterates over all profiles: `normal`, then the others in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Policy)> {
        let named = self.named.iter().map(|(name, policy)| (name.as_str(), policy));
        std::iter::once((Self::NORMAL, &self.normal)).chain(named)
    }

    /// The longest absolute timeout of any profile: the longest life of a session whose profile is not
    /// known.
    #[must_use]
    pub fn longest_absolute_timeout(&self) -> Duration {
        self.named
            .iter()
            .map(|(_, policy)| policy.absolute_timeout())
            .fold(self.normal.absolute_timeout(), Duration::max)
    }

    /// The longest token lifetime of any profile.
    pub(crate) fn longest_token_lifetime(&self) -> Duration {
        self.iter().map(|(_, policy)| policy.token_lifetime()).max().unwrap_or_default()
    }

    /// The largest `max_clock_skew` of any profile.
    #[must_use]
    pub fn widest_clock_skew(&self) -> Duration {
        self.iter().map(|(_, policy)| policy.max_clock_skew()).max().unwrap_or_default()
    }

    /// The number of the profile with that name, for [`name_of`](Self::name_of); `None` for `normal`
    /// and for an unknown name.
    pub(crate) fn number_of(&self, name: Option<&str>) -> Option<NonZeroU16> {
        let number = self.iter().position(|(listed, _)| Some(listed) == name)?;
        NonZeroU16::new(u16::try_from(number).ok()?)
    }

    pub(crate) fn name_of(&self, number: NonZeroU16) -> Option<&str> {
        self.iter().nth(number.get().into()).map(|(name, _)| name)
    }

    fn listed(&self, name: &str) -> Option<&Policy> {
        self.named.iter().find(|(listed, _)| listed == name).map(|(_, policy)| policy)
    }
}

/// A single profile, `normal`.
impl From<Policy> for Profiles {
    fn from(normal: Policy) -> Self {
        Self::new(normal)
    }
}

/// A single profile, `normal`, as the layers share it.
impl From<Policy> for Arc<Profiles> {
    fn from(normal: Policy) -> Self {
        Self::new(normal.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn lasting(absolute: Duration) -> Policy {
        Policy::builder().absolute_timeout(absolute).build().unwrap()
    }

    fn three() -> Profiles {
        Profiles::new(lasting(12 * HOUR))
            .with("remember_me", lasting(720 * HOUR))
            .with("guest", lasting(2 * HOUR))
    }

    #[test]
    fn a_profile_is_found_by_name() {
        let profiles = three();
        assert_eq!(profiles.get(Some("remember_me")), &lasting(720 * HOUR));
        assert_eq!(profiles.get(Some("guest")), &lasting(2 * HOUR));
        assert_eq!(profiles.get(Some("normal")), profiles.normal());
        assert_eq!(profiles.get(None), profiles.normal());
        assert!(profiles.contains("guest") && profiles.contains("normal"));
    }

    #[test]
    fn a_number_stands_for_the_name_of_a_profile() {
        let profiles = three();
        for name in ["remember_me", "guest"] {
            let number = profiles.number_of(Some(name)).expect("a profile");
            assert_eq!(profiles.name_of(number), Some(name));
        }
        for name in [None, Some("normal"), Some("abolished")] {
            assert_eq!(profiles.number_of(name), None);
        }
    }

    #[test]
    fn p19_an_unknown_profile_is_normal() {
        let profiles = Profiles::new(lasting(12 * HOUR));
        assert!(!profiles.contains("remember_me"));
        assert_eq!(profiles.get(Some("remember_me")), profiles.normal());
        assert_eq!(profiles.get(Some("")), profiles.normal());
    }

    #[test]
    fn a_later_profile_replaces_one_with_the_same_name() {
        let profiles = three().with("guest", lasting(3 * HOUR)).with("normal", lasting(24 * HOUR));
        let names: Vec<&str> = profiles.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["normal", "remember_me", "guest"]);
        assert_eq!(profiles.get(Some("guest")), &lasting(3 * HOUR));
        assert_eq!(profiles.normal(), &lasting(24 * HOUR));
    }

    #[test]
    fn p20_an_override_stored_under_a_longer_policy_lengthens_nothing() {
        let overrides = TimeoutOverrides::new().absolute(24 * HOUR);
        let timeout = |profiles: &Profiles, name| {
            profiles.effective(Some(name), Some(overrides)).absolute_timeout()
        };
        let allowed = three().lengthened_by_overrides();
        for (profiles, name, expected) in [
            (&three(), "normal", 12 * HOUR),
            (&three(), "guest", 2 * HOUR),
            (&three(), "remember_me", 24 * HOUR),
            (&allowed, "normal", 24 * HOUR),
            (&allowed, "guest", 2 * HOUR),
            (&allowed, "remember_me", 24 * HOUR),
        ] {
            assert_eq!(timeout(profiles, name), expected, "{name}");
        }
    }

    #[test]
    fn the_longest_absolute_timeout_is_the_largest_of_any_profile() {
        assert_eq!(three().longest_absolute_timeout(), 720 * HOUR);
        let shorter = Profiles::new(lasting(12 * HOUR)).with("guest", lasting(2 * HOUR));
        assert_eq!(shorter.longest_absolute_timeout(), 12 * HOUR);
    }

    #[test]
    fn the_widest_clock_skew_is_the_largest_of_any_profile() {
        let long_lived = Policy::builder().max_clock_skew(Duration::ZERO).build().unwrap();
        let profiles = Profiles::new(long_lived).with("guest", lasting(2 * HOUR));
        assert_eq!(profiles.widest_clock_skew(), Duration::from_secs(5));
    }
}
