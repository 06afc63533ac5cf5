//! Bringing a database up to date may be repeated by every deployment, and publishes no draft.
//! Never leaves this machine. Run with the crate's tests.

use std::path::{Path, PathBuf};

use backend::migrate::{self, Documents};
use sqlx::PgPool;

use super::house::House;

const ON_SALE: &str = "select count(*) from product_versions where retired_at is null";
const SOLD: &str = include_str!("../../../../products/KE-MZ-PD-LR.toml");
const WARDS: &str = "code,name,constituency,county,plot_cell\n";

/// A folder of one product document.
fn folder(name: &str, product: &str) -> std::io::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("KE-MZ-PD-LR.toml"), product)?;
    std::fs::write(folder.join("wards.csv"), WARDS)?;
    Ok(folder)
}

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
    // two documents are sold, the rest are drafts
    assert_eq!(house.count(ON_SALE).await, 2);
    let told = again.to_string();
    assert!(told.contains("KE-MZ-PD-LR"), "{told}");
    assert!(told.contains("draft, not on sale: KE-MZ-VEG\n"), "{told}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_sold_product_that_becomes_a_draft_stays_on_sale_and_is_told_of(pool: PgPool) {
    let house = House::new(pool);
    let now = house.app.clock.now();
    let sold = Documents::load(Some(&folder("sold", SOLD).unwrap())).unwrap();
    migrate::run(&house.app.pool, now, &house.app.ids, &sold)
        .await
        .unwrap();
    let text = SOLD.replacen("schema = 1", "schema = 2\nstatus = \"draft\"", 1);
    let text = text
        .replace("trigger_mm", "trigger")
        .replace("exit_mm", "exit");
    let drafted = Documents::load(Some(&folder("drafted", &text).unwrap())).unwrap();
    let told = migrate::run(&house.app.pool, now, &house.app.ids, &drafted)
        .await
        .unwrap()
        .to_string();
    assert!(told.contains("draft, but on sale: KE-MZ-PD-LR:"), "{told}");
    assert_eq!(house.count(ON_SALE).await, 1);
    // what it says ends the sale does
    let command = told.lines().find(|line| line.contains("update ")).unwrap();
    store::testing::change(&house.app.pool, command)
        .await
        .unwrap();
    assert_eq!(house.count(ON_SALE).await, 0);
    let told = migrate::run(&house.app.pool, now, &house.app.ids, &drafted)
        .await
        .unwrap()
        .to_string();
    assert!(told.contains("draft, not on sale: KE-MZ-PD-LR\n"), "{told}");
}

#[test]
fn a_document_that_is_no_draft_and_cannot_be_told_to_a_buyer_is_refused() {
    let text = SOLD
        .replacen("schema = 1", "schema = 2", 1)
        .replacen("trigger_mm = 278", "trigger = \"278.5\"", 1)
        .replace("trigger_mm", "trigger")
        .replace("exit_mm", "exit");
    let error = Documents::load(Some(&folder("untold", &text).unwrap())).unwrap_err();
    let told = error.to_string();
    assert!(told.contains("phase `season`"), "{told}");
    assert!(told.contains("status = \"draft\""), "{told}");
}
