//! No partner sees another's rows: not through any route, and not even when our own filters are
//! gone, because the database does not show them.

use axum::body::Body;
use axum::http::StatusCode;
use backend::routes::{Auth, table};
use sqlx::PgPool;
use store::login;
use store::testing::{change, number_behind, texts};

use super::house::House;
use super::seed::seed;

/// Tables that a partner's request may read though they are nobody's own.
const SHARED: [&str; 6] = [
    "wards",
    "product_versions",
    "risks",
    "index_runs",
    "capacity",
    "outbox",
];

#[sqlx::test(migrations = "../migrations")]
async fn no_get_route_shows_a_partner_what_is_anothers(pool: PgPool) {
    let house = House::new(pool).await;
    let (ours, theirs) = (house.partner("Ours").await, house.partner("Theirs").await);
    let our = seed(&house, &ours, 1).await;
    let their = seed(&house, &theirs, 2).await;
    let mut asked = 0;
    for route in table() {
        if !matches!(route.auth, Auth::Partner(_)) || route.method != "GET" {
            continue;
        }
        asked += 1;
        let own = ours.get(&our.fill(route.path)).await;
        assert_eq!(own.status, StatusCode::OK, "{route:?}: {}", own.text());
        let foreign = ours.get(&their.fill(route.path)).await;
        if route.path.contains('{') {
            assert_eq!(foreign.status, StatusCode::NOT_FOUND, "{route:?}");
            assert_eq!(foreign.code(), "not_found", "{route:?}");
        }
        let filtered = format!(
            "{}?farmer={}&group={}&policy={}",
            their.fill(route.path),
            their.ids["farmer"],
            their.ids["group"],
            their.ids["policy"]
        );
        for answer in [own, foreign, ours.get(&filtered).await] {
            for word in &their.words {
                assert!(!answer.text().contains(word), "{route:?} shows {word}");
            }
        }
    }
    assert!(asked >= 14, "only {asked} routes were asked");
}

#[sqlx::test(migrations = "../migrations")]
async fn no_change_reaches_what_is_anothers(pool: PgPool) {
    let house = House::new(pool).await;
    let (ours, theirs) = (house.partner("Ours").await, house.partner("Theirs").await);
    seed(&house, &ours, 1).await;
    let their = seed(&house, &theirs, 2).await;
    for route in table() {
        if !matches!(route.auth, Auth::Partner(_))
            || route.method == "GET"
            || !route.path.contains('{')
        {
            continue;
        }
        let request = ours
            .request(route.method, &their.fill(route.path))
            .header(
                "idempotency-key",
                format!("{}{}", route.method, route.path.len()),
            )
            .header("if-match", "\"1\"")
            .header("content-type", "application/json")
            .body(Body::from("{}"));
        let answer = house.send(request.unwrap()).await;
        let refused = [
            StatusCode::NOT_FOUND,
            StatusCode::BAD_REQUEST,
            StatusCode::UNPROCESSABLE_ENTITY,
        ];
        assert!(
            refused.contains(&answer.status),
            "{route:?}: {}",
            answer.text()
        );
        for word in &their.words {
            assert!(!answer.text().contains(word), "{route:?} shows {word}");
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_database_itself_shows_a_partner_its_own_rows_only(pool: PgPool) {
    let house = House::new(pool).await;
    let (ours, theirs) = (house.partner("Ours").await, house.partner("Theirs").await);
    seed(&house, &ours, 1).await;
    seed(&house, &theirs, 2).await;
    let tenants = texts(
        &house.owner,
        "select table_name::text from information_schema.columns
         where table_schema = 'public' and column_name = 'organisation_id' order by 1",
    )
    .await
    .unwrap();
    assert!(tenants.len() >= 8, "{tenants:?}");
    for table in &tenants {
        // no filter of ours: what is counted is what the wall lets through
        let shown = number_behind(
            &house.app.pool,
            ours.organisation,
            format!("select count(*) from {table}"),
        );
        let foreign = number_behind(
            &house.app.pool,
            ours.organisation,
            format!(
                "select count(*) from {table} where organisation_id is distinct from '{}'",
                ours.organisation.uuid()
            ),
        );
        assert_eq!(foreign.await.unwrap(), 0, "{table}");
        assert!(shown.await.unwrap() > 0, "{table}");
    }
    for table in ["organisations", "receipts", "payouts"] {
        let all = format!("select count(*) from {table}");
        let shown = number_behind(&house.app.pool, ours.organisation, all)
            .await
            .unwrap();
        assert_eq!(shown, 1, "{table}");
    }
    let decisions = "select count(id) from evaluations";
    let shown = number_behind(&house.app.pool, ours.organisation, decisions).await;
    assert_eq!(shown.unwrap(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_role_of_partners_owns_nothing_and_goes_round_no_policy(pool: PgPool) {
    let house = House::new(pool).await;
    let ours = house.partner("Ours").await;
    let behind = async |sql: &str| number_behind(&house.app.pool, ours.organisation, sql).await;
    let is_partner = "select (current_user = 'microcrop_partner')::int::bigint";
    assert_eq!(behind(is_partner).await.unwrap(), 1);
    let is_back = "select (current_user = session_user
                           and coalesce(current_setting('microcrop.organisation', true), '') = '')
                          ::int::bigint";
    assert_eq!(house.count(is_back).await, 1);
    let is_weak = "select count(*) from pg_roles where rolname in ('microcrop_partner', 'microcrop_app')
                   and not (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication)";
    assert_eq!(house.count(is_weak).await, 2);
    let can_log_in =
        "select count(*) from pg_roles where rolname = 'microcrop_partner' and rolcanlogin";
    assert_eq!(house.count(can_log_in).await, 0);
    for owned in [
        "select count(*) from pg_class where relowner = 'microcrop_partner'::regrole",
        "select count(*) from pg_proc where proowner = 'microcrop_partner'::regrole",
        "select count(*) from pg_namespace where nspowner = 'microcrop_partner'::regrole",
        "select count(*) from pg_class where relowner = 'microcrop_app'::regrole",
        "select count(*) from pg_auth_members where member = 'microcrop_partner'::regrole",
    ] {
        assert_eq!(house.count(owned).await, 0, "{owned}");
    }
    let open = texts(
        &house.owner,
        "select relname::text from pg_class
         where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm')
           and not relrowsecurity
           and has_any_column_privilege('microcrop_partner', oid, 'select') order by 1",
    );
    for table in open.await.unwrap() {
        assert!(SHARED.contains(&table.as_str()), "{table} has no wall");
    }
    let unwalled = "select count(*) from information_schema.columns c
        join pg_class t on t.relname = c.table_name and t.relnamespace = 'public'::regnamespace
        where c.table_schema = 'public' and c.column_name = 'organisation_id' and not t.relrowsecurity";
    assert_eq!(house.count(unwalled).await, 0);
    for denied in [
        "select count(pin_hash) from farmers",
        "select count(total_minor) from evaluations",
        "select count(*) from payout_legs",
        "select count(*) from ledger_transfers",
        "select count(*) from sms",
        "select count(*) from operators",
        "select count(*) from audit_log",
        "select count(body) from outbox",
    ] {
        assert!(behind(denied).await.is_err(), "{denied}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_process_logs_in_as_one_that_owns_nothing_and_an_owner_is_refused_in_production(
    pool: PgPool,
) {
    let house = House::new(pool).await;
    let process = &house.app.pool;
    let who = store::testing::text(process, "select session_user::text || current_user::text");
    assert_eq!(who.await.unwrap(), "microcrop_appmicrocrop_app");
    assert_eq!(login::excess(process).await.unwrap(), None);
    login::check(process, true).await.unwrap();
    // the owner of a test's database is a superuser
    assert_eq!(
        login::excess(&house.owner).await.unwrap(),
        Some(login::Excess::Bypasses)
    );
    login::check(&house.owner, false).await.unwrap();
    let refused = login::check(&house.owner, true).await.unwrap_err();
    assert!(refused.to_string().contains("microcrop_app"), "{refused}");
    for denied in [
        "alter table farmers disable row level security",
        "drop policy partner_own on farmers",
        "create table mine (id int)",
        "update audit_head set sequence = 0",
        "set role postgres",
    ] {
        assert!(change(process, denied).await.is_err(), "{denied}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_database_refuses_rows_that_a_partner_writes_for_another(pool: PgPool) {
    let house = House::new(pool).await;
    let (ours, theirs) = (house.partner("Ours").await, house.partner("Theirs").await);
    let their = seed(&house, &theirs, 2).await;
    let bare = |name: &str| their.ids[name].rsplit('_').next().unwrap().to_owned();
    let (farmer, plot) = (bare("farmer"), bare("plot"));
    let our = seed(&house, &ours, 1).await;
    let own = |name: &str| our.ids[name].rsplit('_').next().unwrap().to_owned();
    let (our_farmer, our_policy) = (own("farmer"), own("policy"));
    let other = theirs.organisation.uuid();
    for stolen in [
        format!(
            "insert into groups (id, organisation_id, code, name, created_at)
             values (gen_random_uuid(), '{other}', 'X', 'Stolen', '2026-01-01') returning 1::bigint"
        ),
        format!(
            "insert into plots (id, farmer_id, ward_code, plot_cell, risk_cell, acres_e2, crop, created_at)
             values (gen_random_uuid(), '{farmer}', '0321', 'c', 'c', 100, 'maize', '2026-01-01')
             returning 1::bigint"
        ),
        // for a farmer of ours, but another's plot
        format!(
            "insert into quotes (id, farmer_id, plot_id, product_version_id, season_year, zone,
                 sum_insured_minor, premium_minor, currency, created_at, expires_at)
             select gen_random_uuid(), '{our_farmer}', '{plot}', product_version_id, season_year, zone,
                 sum_insured_minor, premium_minor, currency, bought_at, lapses_at
             from policies where id = '{our_policy}' returning 1::bigint"
        ),
        // a prompt to another's farmer, and money that nobody paid
        format!(
            "insert into receipts (id, policy_id, farmer_id, attempt, rail, amount_minor, currency, state, created_at)
             values (gen_random_uuid(), '{our_policy}', '{farmer}', 9, 'swypt', 1, 'KES', 'requested', '2026-01-01')
             returning 1::bigint"
        ),
        format!("update receipts set state = 'accepted' where policy_id = '{our_policy}' returning 1::bigint"),
        format!("update farmers set organisation_id = '{other}' returning 1::bigint"),
        format!("delete from plots where id = '{plot}' returning 1::bigint"),
    ] {
        let refused = number_behind(&house.app.pool, ours.organisation, stolen.clone()).await;
        assert!(refused.is_err(), "{stolen}");
    }
    let touched = format!(
        "with touched as (update farmers set ward_code = '0322' where id = '{farmer}' returning 1)
         select count(*) from touched"
    );
    let touched = number_behind(&house.app.pool, ours.organisation, touched).await;
    assert_eq!(touched.unwrap(), 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_a_partners_farmer_adds_by_phone_is_her_partners_too(pool: PgPool) {
    let house = House::new(pool).await;
    let ours = house.partner("Ours").await;
    let our = seed(&house, &ours, 1).await;
    // as the phone does it: no organisation is named, no wall is around it
    house
        .change(
            "insert into plots (id, farmer_id, ward_code, plot_cell, risk_cell, acres_e2, crop, created_at)
             select gen_random_uuid(), id, '0322', '887a53a491fffff', '877a53a49ffffff', 100, 'beans',
                    '2026-02-02' from farmers",
        )
        .await;
    let plots = ours.all("/api/v1/plots", 50).await;
    assert_eq!(plots.len(), 2);
    assert!(
        plots
            .iter()
            .all(|plot| plot["farmer_id"] == our.ids["farmer"].as_str())
    );
}
