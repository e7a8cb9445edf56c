//! The service that was polled ready, for a request that waits before it is called.

/// Takes the service that was polled ready, and leaves a clone.
pub(crate) fn take_ready<S>(service: &mut S) -> S
where
    S: Clone,
{
    let fresh = service.clone();
    std::mem::replace(service, fresh)
}
