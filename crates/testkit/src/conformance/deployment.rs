//! What a deployment has one of.

use super::{Shared, at_once};

pub async fn a_secret_is_the_first_candidate(store: Shared) {
    assert_eq!(store.secret("permit", [1; 32]).await.unwrap(), [1; 32]);
    assert_eq!(store.secret("permit", [2; 32]).await.unwrap(), [1; 32]);
    assert_eq!(store.secret("other; '", [3; 32]).await.unwrap(), [3; 32]);
    assert_eq!(store.secret("permit", [0; 32]).await.unwrap(), [1; 32]);
}

pub async fn concurrent_candidates_agree_on_one_secret(store: Shared) {
    let secrets = at_once(32, move |index| {
        let store = Shared::clone(&store);
        async move { store.secret("permit", [u8::try_from(index).unwrap(); 32]).await.unwrap() }
    })
    .await;
    assert!(secrets.iter().all(|secret| *secret == secrets[0]));
}

pub async fn a_working_store_can_be_pinged(store: Shared) {
    for _ in 0..3 {
        store.ping().await.unwrap();
    }
}
