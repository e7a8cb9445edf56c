//! Instructions of one request. Meaningful only for paths without cryptography: valgrind hides the
//! SHA instructions of the processor. Needs valgrind and `gungraun-runner`.
#![allow(missing_docs, reason = "gungraun generates public items")]

mod scenario;

use std::hint::black_box;

use gungraun::{library_benchmark, library_benchmark_group, main};
use http::Request;

use self::scenario::{Case, Scenario, Send};

/// Requests before the measured one, so that what is resolved, allocated or registered once is
/// not measured.
const WARM_UP: usize = 100;

fn stacked(case: Case, occupied: bool) -> (Send, Request<()>) {
    let Scenario { stacked, request, .. } = Scenario::new(case, occupied);
    warmed(stacked, &*request)
}

fn bare(case: Case, occupied: bool) -> (Send, Request<()>) {
    let Scenario { bare, request, .. } = Scenario::new(case, occupied);
    warmed(bare, &*request)
}

fn warmed(mut send: Send, request: &dyn Fn() -> Request<()>) -> (Send, Request<()>) {
    (0..WARM_UP).for_each(|_| send(request()));
    (send, request())
}

#[library_benchmark(setup = stacked)]
#[bench::public_empty(Case::Public, false)]
#[bench::public_occupied(Case::Public, true)]
#[bench::notoken_empty(Case::NoToken, false)]
#[bench::notoken_occupied(Case::NoToken, true)]
#[bench::background_empty(Case::Background, false)]
#[bench::background_occupied(Case::Background, true)]
#[bench::user_empty(Case::User, false)]
#[bench::user_occupied(Case::User, true)]
#[bench::changedclaims_empty(Case::ChangedClaims, false)]
#[bench::es256_empty(Case::Es256, false)]
#[bench::es256_occupied(Case::Es256, true)]
fn through_the_stack((mut send, request): (Send, Request<()>)) -> Send {
    send(black_box(request));
    send
}

#[library_benchmark(setup = bare)]
#[bench::public_empty(Case::Public, false)]
#[bench::public_occupied(Case::Public, true)]
#[bench::notoken_empty(Case::NoToken, false)]
#[bench::notoken_occupied(Case::NoToken, true)]
#[bench::background_empty(Case::Background, false)]
#[bench::background_occupied(Case::Background, true)]
#[bench::user_empty(Case::User, false)]
#[bench::user_occupied(Case::User, true)]
#[bench::changedclaims_empty(Case::ChangedClaims, false)]
#[bench::es256_empty(Case::Es256, false)]
#[bench::es256_occupied(Case::Es256, true)]
fn bare_service((mut send, request): (Send, Request<()>)) -> Send {
    send(black_box(request));
    send
}

library_benchmark_group!(name = requests, benchmarks = [through_the_stack, bare_service]);
main!(library_benchmark_groups = requests);
