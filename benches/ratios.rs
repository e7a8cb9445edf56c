//! The time of each case as a ratio to `jsonwebtoken::decode` of the same token in the same run,
//! and its allocations, less those of the bare service. Prints one line for each case.

mod scenario;
mod side_by_side;

use std::hint::black_box;

use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation,
    crypto::{CryptoProvider, rust_crypto},
};
use serde::{Deserialize, Serialize};

use self::{
    scenario::{Case, SECRET, Scenario},
    side_by_side::{REQUESTS_A_ROUND, ROUNDS, SideBySide, allocations, ns_a_request, time},
};

/// All claims of the token as owned values, as applications declare them.
#[derive(Deserialize, Serialize)]
struct Claims {
    sub: String,
    sid: String,
    jti: String,
    auth_time: u64,
    iat: u64,
    exp: u64,
    idle_max: u64,
    abs_max: u64,
    epoch: u64,
}

/// One line of the table.
struct Row {
    case: Case,
    occupied: bool,
    pair: SideBySide,
}

impl Row {
    fn new(case: Case, occupied: bool) -> Self {
        let Scenario { stacked, bare, request, .. } = Scenario::new(case, occupied);
        Self { case, occupied, pair: SideBySide::new(stacked, bare, request) }
    }
}

fn main() {
    // With both backends compiled in, jsonwebtoken cannot choose one and panics.
    let _ = CryptoProvider::install_default(&rust_crypto::DEFAULT_PROVIDER);
    let token = Scenario::new(Case::User, false).token;
    let key = DecodingKey::from_secret(&SECRET);
    let validation = Validation::new(Algorithm::HS256);
    let decode =
        || jsonwebtoken::decode::<Claims>(&token, &key, &validation).expect("a valid token");
    let (claims, signing) = (decode().claims, EncodingKey::from_secret(&SECRET));
    let encode = || {
        jsonwebtoken::encode(&Header::default(), &claims, &signing).expect("the token is signed")
    };

    let mut rows: Vec<Row> = Case::ALL
        .iter()
        .flat_map(|&case| [false, true].map(|occupied| Row::new(case, occupied)))
        .collect();
    let (mut decoded, mut encoded) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        drop(black_box(decode()));
        decoded.push(time(|| {
            for _ in 0..REQUESTS_A_ROUND {
                drop(black_box(decode()));
            }
        }));
        drop(black_box(encode()));
        encoded.push(time(|| {
            for _ in 0..REQUESTS_A_ROUND {
                drop(black_box(encode()));
            }
        }));
        for row in &mut rows {
            row.pair.round();
        }
    }

    let decoded = ns_a_request(&mut decoded);
    let allocated = allocations(|| drop(black_box(decode())));
    println!("# token\t{} bytes", token.len());
    println!("# decode\t{decoded:.0} ns\t{allocated} allocations");
    let encoded = ns_a_request(&mut encoded);
    println!("# encode\t{encoded:.0} ns\t{:.3} of a decode", encoded / decoded);
    for mut row in rows {
        let allocated = row.pair.allocations_over();
        let (bare, over) = (row.pair.bare_ns(), row.pair.ns_over());
        let (case, entry) = (row.case, if row.occupied { "occupied" } else { "empty" });
        println!("{case:?}\t{entry}\t{bare:.0}\t{over:.0}\t{:.3}\t{allocated}", over / decoded);
    }
}
