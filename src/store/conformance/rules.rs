//! Runs the rules of a trait, each with a store of its own.

use std::{any::Any, collections::HashMap, future::Future, pin::Pin, sync::Arc};

use tokio::task::{Id, JoinError, JoinSet};

/// How many rules run at a time.
const AT_A_TIME: usize = 4;

type RuleFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A function that panics if a store breaks its rule.
pub(super) struct Rule<S>
where
    S: ?Sized,
{
    pub(super) name: &'static str,
    pub(super) test: fn(Arc<S>) -> RuleFuture,
}

/// Runs every rule.
///
/// # Panics
/// If a store breaks any, with the names of all that are broken.
pub(super) async fn run<S>(rules: &[Rule<S>], empty: impl AsyncFn() -> Arc<S>)
where
    S: ?Sized + Send + Sync + 'static,
{
    let count = rules.len();
    let (mut running, mut names) = (JoinSet::new(), HashMap::new());
    let mut broken = Vec::new();
    for rule in rules {
        if running.len() >= AT_A_TIME {
            broken.extend(join(&mut running, &names).await);
        }
        let name = rule.name;
        names.insert(running.spawn((rule.test)(empty().await)).id(), name);
    }
    while !running.is_empty() {
        broken.extend(join(&mut running, &names).await);
    }
    assert!(
        broken.is_empty(),
        "the store breaks {} of {count} rules:\n{}",
        broken.len(),
        broken.join("\n")
    );
}

/// Waits for the next rule; returns its name and what is wrong if the store breaks it.
async fn join(running: &mut JoinSet<()>, names: &HashMap<Id, &str>) -> Option<String> {
    let error = running.join_next().await?.err()?;
    let name = names.get(&error.id()).copied().unwrap_or_default();
    Some(format!("{name}: {}", message(error)))
}

fn message(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else { return "was cancelled".to_owned() };
    let panic: &(dyn Any + Send) = &*panic;
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panicked").to_owned()
}
