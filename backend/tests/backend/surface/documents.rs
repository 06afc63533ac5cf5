//! Bringing a database up to date may be repeated by every deployment.
//! Never leaves this machine. Run with the crate's tests.

use backend::migrate::{self, Documents};
use sqlx::PgPool;

use super::house::House;

#[sqlx::test(migrations = "../migrations")]
async fn repeating_it_changes_nothing(pool: PgPool) {
    let house = House::new(pool);
    let documents = Documents::load(None).unwrap();
    let now = house.app.clock.now();
    let first = migrate::run(&house.app.pool, now, &house.app.ids, &documents)
        .await
        .unwrap();
    assert!(first.products.iter().all(|(_, _, is_new)| *is_new));
    assert_eq!(usize::try_from(first.wards_new).unwrap(), first.wards_known);
    let again = migrate::run(&house.app.pool, now, &house.app.ids, &documents)
        .await
        .unwrap();
    assert!(again.products.iter().all(|(_, _, is_new)| !*is_new));
    assert_eq!(again.wards_new, 0);
    let on_sale = "select count(*) from product_versions where retired_at is null";
    assert_eq!(house.count(on_sale).await, 2);
    assert!(again.to_string().contains("KE-MZ-PD-LR"));
}
