//! Where a store or limiter is in Redis: a server or a cluster, and a namespace there.

use super::{
    connection::Connection,
    keys::Keys,
    target::{Target, TargetSettings},
};
use crate::{maybe_ready::StoreError, store::breaker::ANSWER_TIME_LIMIT};

pub(super) struct Endpoint {
    pub(super) settings: TargetSettings,
    pub(super) namespace: String,
}

impl Endpoint {
    pub(super) fn new(
        addresses: impl IntoIterator<Item = impl Into<String>>,
        is_cluster: bool,
        is_kept: bool,
    ) -> Self {
        let addresses = addresses.into_iter().map(Into::into).collect();
        let (root_certificate, time_limit) = (None, ANSWER_TIME_LIMIT);
        let settings =
            TargetSettings { addresses, is_cluster, root_certificate, time_limit, is_kept };
        Self { settings, namespace: "tss".to_owned() }
    }

    pub(super) async fn connect(self) -> Result<(Connection, Keys), StoreError> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
        if !(1..=64).contains(&self.namespace.len()) || !self.namespace.bytes().all(is_allowed) {
            return Err(StoreError::new(
                "a namespace has 1 to 64 of `a-z`, `A-Z`, `0-9`, `_`, `-`, `.` and `:`",
            ));
        }
        let connection = Connection::open(Target::new(self.settings)?).await?;
        Ok((connection, Keys::new(&self.namespace)))
    }
}
