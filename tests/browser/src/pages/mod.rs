//! The pages of the examples: the examples run as processes, behind a proxy with a prefix.

mod accounts;
mod demo;
mod example;
mod page;
mod proxy;
