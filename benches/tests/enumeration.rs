//! The measurement of what time tells can tell: it sees a leak that is planted, and none where there is none.

use authkit_benches::enumeration::{Ask, Site, Whose, medians, spread};
use authkit_core::config::Argon2Params;

const ROUNDS: usize = 25;
/// What divides the two, far from both: other tests compute beside this one.
const BOUND: f64 = 2.0;

fn params(memory_kib: u32) -> Argon2Params {
    Argon2Params { memory_kib, iterations: 1, ..Argon2Params::OWASP }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hash_that_is_left_out_for_unknown_addresses_is_seen_and_nothing_where_there_is_nothing() {
    let site = Site::new(params(32_768)).await.expect("a site");
    // A node whose hash of nothing costs nothing: as if it were left out.
    let leaking = Site::new(params(8)).await.expect("a site");
    let known = (site.plain(), Ask::Login(Whose::Owners));
    let honest = [(site.plain(), Ask::Login(Whose::Nobodys)), known, (site.plain(), Ask::Login(Whose::Suspended))];
    let planted = [(leaking.plain(), Ask::Login(Whose::Nobodys)), known];
    let (honest, planted) = (medians(&honest, ROUNDS).await.expect("asks"), medians(&planted, ROUNDS).await.expect("asks"));
    assert!(spread(&honest) < BOUND, "{honest:?}");
    assert!(spread(&planted) > BOUND, "{planted:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dear_hash_of_another_system_is_seen_unless_it_is_imitated() {
    let site = Site::new(params(8_192)).await.expect("a site");
    let both = [Ask::Login(Whose::Nobodys), Ask::Login(Whose::Bcrypt)];
    let seen = medians(&both.map(|ask| (site.plain(), ask)), 5).await.expect("asks");
    let imitated = medians(&both.map(|ask| (site.imitating(), ask)), 5).await.expect("asks");
    assert!(spread(&seen) > BOUND, "{seen:?}");
    assert!(spread(&imitated) < BOUND, "{imitated:?}");
}
