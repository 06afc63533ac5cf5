//! Pinning and reading back, against the twin.
//! Never talks to the real provider. Run with the crate's tests.

use sandbox::Rates;

use crate::world::town;

const BYTES: &[u8] = br#"{"somekey":"somevalue"}"#;
/// Computed with kubo's rules; the same vector as the product's own arithmetic is tested with.
const CID: &str = "bafkreicjmxc2drbgxtoidx6xfatbffyx46oiyo6ktipss6dhdermwtsoze";

#[tokio::test]
async fn the_same_bytes_have_one_address_however_often_they_are_pinned() {
    let town = town().await;
    let client = town.pinata();
    let first = client
        .upload("evidence.json", BYTES.to_vec())
        .await
        .unwrap();
    assert_eq!((first.cid.as_str(), first.is_duplicate), (CID, false));
    assert_eq!(first.size, Some(23));
    let second = client
        .upload("evidence.json", BYTES.to_vec())
        .await
        .unwrap();
    assert_eq!((second.cid.as_str(), second.is_duplicate), (CID, true));
    assert_eq!(client.fetch(CID).await.unwrap(), BYTES);
}

#[tokio::test]
async fn sparse_and_lying_answers_are_passed_on_for_the_caller_to_compare() {
    let town = town().await;
    let client = town.pinata();
    town.control("pinata", r#"{"sparse":true}"#).await;
    assert_eq!(client.upload("a", BYTES.to_vec()).await.unwrap().cid, CID);
    town.control("pinata", r#"{"wrong_cid":true}"#).await;
    assert_ne!(client.upload("a", BYTES.to_vec()).await.unwrap().cid, CID);
}

#[tokio::test]
async fn failures_are_tried_again_and_only_the_impossible_is_refused() {
    let town = town().await;
    let client = town.pinata();
    for rates in [
        Rates {
            http_500: 1.0,
            ..Rates::default()
        },
        Rates {
            http_429: 1.0,
            ..Rates::default()
        },
        Rates {
            lost_reply: 1.0,
            ..Rates::default()
        },
    ] {
        town.faults(rates);
        let error = client.upload("a", BYTES.to_vec()).await.unwrap_err();
        assert_eq!(error.kind(), "transient", "{error}");
    }
    town.faults(Rates::default());
    town.control("pinata", r#"{"unauthorised":true,"gateway_down":true}"#)
        .await;
    assert_eq!(
        client.upload("a", BYTES.to_vec()).await.unwrap_err().code(),
        "http_401"
    );
    assert_eq!(client.fetch(CID).await.unwrap_err().kind(), "transient");
    let large = client.upload("a", vec![0; 300 * 1024]).await.unwrap_err();
    assert_eq!((large.kind(), large.code()), ("refused", "too_large"));
    assert_eq!(
        client.fetch("../v3/files").await.unwrap_err().code(),
        "malformed_cid"
    );
}
