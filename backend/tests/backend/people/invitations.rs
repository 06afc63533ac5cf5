//! How people become operators, lose their way in and get another, and leave.
//! From the invitation's token to the last session, over HTTP.

use axum::http::StatusCode;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::house::{House, PASSWORD};

#[sqlx::test(migrations = "../migrations")]
async fn the_first_administrator_comes_from_the_command_line_and_invites_the_others(pool: PgPool) {
    let house = House::new(pool);
    let asha = house.enrol("Asha", "administrator").await;
    let (status, me) = house.get("/api/v1/operator/me", &asha.bearer).await;
    assert_eq!(
        (status, &me["role"]),
        (StatusCode::OK, &json!("administrator"))
    );

    house.later(1);
    let invite = json!({ "email": "Brian@Example.com", "role": "auditor" });
    let path = "/api/v1/operator/invitations";
    let (status, invited) = house.act(&asha.bearer, path, &invite).await;
    assert_eq!(status, StatusCode::CREATED, "{invited}");
    assert_eq!(invited["email"], "brian@example.com");
    let open = house.get(path, &asha.bearer).await.1;
    assert_eq!(open["items"][0]["invited_by"], asha.id.as_str());
    assert!(!open.to_string().contains("mci_"), "{open}");

    let token = invited["token"].as_str().unwrap();
    let brian = house.enrol_with(token, "Brian").await;
    let me = house.get("/api/v1/operator/me", &brian.bearer).await.1;
    assert_eq!(
        (&me["name"], &me["role"]),
        (&json!("Brian"), &json!("auditor"))
    );
    let open = house.get(path, &asha.bearer).await.1;
    assert_eq!(open["items"], json!([]));
    let people = house.get("/api/v1/operator/people", &asha.bearer).await.1;
    assert_eq!(people["items"][1]["invited_by"], asha.id.as_str());
    let log = "select string_agg(action, ' ' order by sequence) from audit_log";
    let once = "person.invited invitation.opened person.enrolled session.started";
    assert_eq!(house.text(log).await, format!("{once} {once}"));
}

#[sqlx::test(migrations = "../migrations")]
async fn an_invitation_is_good_for_72_hours_and_makes_one_person(pool: PgPool) {
    let house = House::new(pool);
    let token = house.invite("asha@example.com", "administrator").await;
    house.later(72 * 3_600 - 1);
    let accepted = house.accept(&token, "Asha").await.1;
    let secret = accepted["totp_secret"].as_str().unwrap();
    let uri = accepted["otpauth_uri"].as_str().unwrap();
    assert!(
        uri.starts_with("otpauth://totp/MicroCrop:asha%40example.com?"),
        "{uri}"
    );
    assert_eq!(house.confirm(&token, secret).await.0, StatusCode::CREATED);
    for again in [
        house.accept(&token, "Asha").await,
        house.confirm(&token, secret).await,
    ] {
        assert_eq!(
            (again.0, &again.1["code"]),
            (StatusCode::NOT_FOUND, &json!("unknown_invitation"))
        );
    }
    let late = house.invite("late@example.com", "operator").await;
    house.later(72 * 3_600);
    assert_eq!(
        house.accept(&late, "Late").await.1["code"],
        "unknown_invitation"
    );
    assert_eq!(house.count("select count(*) from operators").await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn nothing_that_opens_a_door_is_kept_as_it_was_given(pool: PgPool) {
    let house = House::new(pool);
    let token = house.invite("asha@example.com", "administrator").await;
    let asha = house.enrol_with(&token, "Asha").await;
    let everything = house
        .text(
            "select string_agg(t, ' ') from (
                 select invitations::text as t from invitations
                 union all select credentials::text from credentials
                 union all select sessions::text from sessions
                 union all select refresh_tokens::text from refresh_tokens
                 union all select audit_log::text from audit_log) everything",
        )
        .await;
    let hex = |text: &str| data_encoding::HEXLOWER.encode(text.as_bytes());
    for given in [token.as_str(), &asha.refresh, &asha.secret, PASSWORD] {
        assert!(!everything.contains(given), "{given}");
        assert!(!everything.contains(&hex(given)), "{given}");
    }
    let secret = data_encoding::BASE32_NOPAD
        .decode(asha.secret.as_bytes())
        .unwrap();
    assert!(!everything.contains(&data_encoding::HEXLOWER.encode(&secret)));
    assert!(everything.contains("$argon2id$"));
    // the invitation forgot what it held for a while
    let held = "select count(*) from invitations where password_hash is not null or totp_cipher is not null";
    assert_eq!(house.count(held).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn without_the_second_factor_there_is_no_person(pool: PgPool) {
    let house = House::new(pool);
    let token = house.invite("asha@example.com", "administrator").await;
    let early = json!({ "token": token, "totp": "123456" });
    let path = "/api/v1/invitations/confirm";
    assert_eq!(house.post(path, &early).await.1["code"], "not_accepted");
    let first = house.accept(&token, "Asha").await.1;
    let second = house.accept(&token, "Asha Njeri").await.1;
    let old = house
        .confirm(&token, first["totp_secret"].as_str().unwrap())
        .await;
    assert_eq!(
        (old.0, &old.1["code"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("wrong_code"))
    );
    assert_eq!(house.count("select count(*) from operators").await, 0);
    assert_eq!(
        house
            .sign_in("asha@example.com", PASSWORD, "123456")
            .await
            .0,
        StatusCode::UNAUTHORIZED
    );
    let right = house
        .confirm(&token, second["totp_secret"].as_str().unwrap())
        .await;
    assert_eq!(right.1["operator"]["name"], "Asha Njeri", "{}", right.1);
}

#[sqlx::test(migrations = "../migrations")]
async fn names_and_passwords_have_rules_and_names_one_bearer(pool: PgPool) {
    let house = House::new(pool);
    house.enrol("Asha", "administrator").await;
    let token = house.invite("brian@example.com", "operator").await;
    for (name, password, code) in [
        ("ASHA", PASSWORD, "name_taken"),
        ("", PASSWORD, "name_length"),
        ("brian@example.com", PASSWORD, "name_characters"),
        ("Brian", "short", "password_length"),
        ("Brian", "Brian@example.com", "password_known"),
    ] {
        let body = json!({ "token": token, "name": name, "password": password });
        let (_, refused) = house.post("/api/v1/invitations/accept", &body).await;
        assert_eq!(refused["code"], code, "{name} {password}");
    }
    for body in [
        json!({}),
        json!("text"),
        json!({ "token": token, "more": 1 }),
    ] {
        let (status, _) = house.post("/api/v1/invitations/accept", &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }
    // two open invitations, one name: the second to confirm is told
    let other = house.invite("other@example.com", "operator").await;
    let brians = house.accept(&token, "Brian").await.1;
    let others = house.accept(&other, "brian").await.1;
    let secret = |accepted: &Value| accepted["totp_secret"].as_str().unwrap().to_owned();
    assert_eq!(
        house.confirm(&token, &secret(&brians)).await.0,
        StatusCode::CREATED
    );
    assert_eq!(
        house.confirm(&other, &secret(&others)).await.0,
        StatusCode::CONFLICT
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_new_invitation_or_a_withdrawal_ends_the_old_one(pool: PgPool) {
    let house = House::new(pool);
    let asha = house.enrol("Asha", "administrator").await;
    let path = "/api/v1/operator/invitations";
    let invite = json!({ "email": "brian@example.com", "role": "operator" });
    let first = house.act(&asha.bearer, path, &invite).await.1;
    let second = house.act(&asha.bearer, path, &invite).await.1;
    let token = |invited: &Value| invited["token"].as_str().unwrap().to_owned();
    assert_eq!(
        house.accept(&token(&first), "Brian").await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        house.accept(&token(&second), "Brian").await.0,
        StatusCode::OK
    );
    let id = second["invitation"].as_str().unwrap();
    let withdraw = format!("{path}/{id}/withdraw");
    let (status, _) = house.act(&asha.bearer, &withdraw, &Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(
        house.accept(&token(&second), "Brian").await.0,
        StatusCode::NOT_FOUND
    );
    let again = house.act(&asha.bearer, &withdraw, &Value::Null).await;
    assert_eq!(again.0, StatusCode::CONFLICT);
    let wrong = json!({ "email": "brian", "role": "operator" });
    assert_eq!(
        house.act(&asha.bearer, path, &wrong).await.1["code"],
        "not_an_address"
    );
    let wrong = json!({ "email": "brian@example.com", "role": "king" });
    assert_eq!(
        house.act(&asha.bearer, path, &wrong).await.1["code"],
        "unknown_role"
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn who_lost_the_telephone_is_invited_again_and_old_ways_in_end(pool: PgPool) {
    let house = House::new(pool);
    let asha = house.enrol("Asha", "administrator").await;
    let brian = house.enrol("Brian", "operator").await;
    for _ in 0..5 {
        house.sign_in("Brian", "wrong", "000000").await;
    }
    let invite = json!({ "email": "brian@example.com", "role": "auditor" });
    let path = "/api/v1/operator/invitations";
    let invited = house.act(&asha.bearer, path, &invite).await.1;
    // he is known, so no name is asked for
    let again = house
        .enrol_with(invited["token"].as_str().unwrap(), "")
        .await;
    assert_eq!((&again.id, again.name.as_str()), (&brian.id, "Brian"));
    let me = house.get("/api/v1/operator/me", &again.bearer).await.1;
    assert_eq!(me["role"], "auditor");
    assert_eq!(
        house.get("/api/v1/operator/me", &brian.bearer).await.0,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        house.refresh(&brian.refresh).await.0,
        StatusCode::UNAUTHORIZED
    );
    house.later(30);
    assert_eq!(
        house.sign_in_rightly(&brian).await.0,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(house.sign_in_rightly(&again).await.0, StatusCode::CREATED);
    let myself = json!({ "email": "asha@example.com", "role": "operator" });
    assert_eq!(
        house.act(&asha.bearer, path, &myself).await.1["code"],
        "not_yourself"
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn who_leaves_is_out_at_once_and_nobody_changes_their_own_access(pool: PgPool) {
    let house = House::new(pool);
    let asha = house.enrol("Asha", "administrator").await;
    let brian = house.enrol("Brian", "operator").await;
    let of = |id: &str, what: &str| format!("/api/v1/operator/people/{id}/{what}");
    let role = json!({ "role": "auditor" });
    let (status, changed) = house.act(&asha.bearer, &of(&brian.id, "role"), &role).await;
    assert_eq!(
        (status, &changed["role"]),
        (StatusCode::OK, &json!("auditor"))
    );
    // from his next request on, with the token he has
    let log = house.get("/api/v1/operator/audit", &brian.bearer).await;
    assert_eq!(log.0, StatusCode::OK);
    for what in ["role", "end"] {
        let own = house.act(&asha.bearer, &of(&asha.id, what), &role).await.1;
        assert_eq!(own["code"], "not_yourself");
        let nobody = house.act(&asha.bearer, &of("opr_0", what), &role).await.1;
        assert_eq!(nobody["code"], "unknown_operator");
    }
    let ended = house
        .act(&asha.bearer, &of(&brian.id, "end"), &Value::Null)
        .await;
    assert_eq!(ended.0, StatusCode::NO_CONTENT);
    assert_eq!(
        house.get("/api/v1/operator/me", &brian.bearer).await.0,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        house.refresh(&brian.refresh).await.0,
        StatusCode::UNAUTHORIZED
    );
    house.later(30);
    assert_eq!(
        house.sign_in_rightly(&brian).await.0,
        StatusCode::UNAUTHORIZED
    );
    for what in ["role", "end"] {
        let (status, _) = house.act(&asha.bearer, &of(&brian.id, what), &role).await;
        assert_eq!(status, StatusCode::CONFLICT);
    }
    let token = house.invite("brian@example.com", "operator").await;
    let back = house.enrol_with(&token, "").await;
    assert_eq!(back.id, brian.id);
}

#[sqlx::test(migrations = "../migrations")]
async fn nobody_gives_themselves_the_power_to_release_money(pool: PgPool) {
    let house = House::new(pool);
    let asha = house.enrol("Asha", "administrator").await;
    let brian = house.enrol("Brian", "operator").await;
    let role_of_brian = format!("/api/v1/operator/people/{}/role", brian.id);
    for role in ["approver", "administrator"] {
        let invite = json!({ "email": "puppet@example.com", "role": role });
        let change = json!({ "role": role });
        for (path, body) in [
            ("/api/v1/operator/invitations", &invite),
            (&role_of_brian, &change),
        ] {
            let (status, refused) = house.act(&asha.bearer, path, body).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{path} {role}");
            assert_eq!(refused["code"], "command_line_only", "{path} {role}");
        }
    }
    assert_eq!(
        house
            .count("select count(*) from invitations where accepted_at is null")
            .await,
        0
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn no_old_invitation_brings_back_who_left_or_lost_a_role(pool: PgPool) {
    let house = House::new(pool);
    let asha = house.enrol("Asha", "administrator").await;
    let carol = house.enrol("Carol", "administrator").await;
    let path = "/api/v1/operator/invitations";
    let puppet = json!({ "email": "puppet@example.com", "role": "operator" });
    let puppet = house.act(&carol.bearer, path, &puppet).await.1;
    let puppet = puppet["token"].as_str().unwrap().to_owned();
    let to_carol = house.invite("carol@example.com", "administrator").await;
    let end = format!("/api/v1/operator/people/{}/end", carol.id);
    let ended = house.act(&asha.bearer, &end, &Value::Null).await;
    assert_eq!(ended.0, StatusCode::NO_CONTENT);
    for token in [&puppet, &to_carol] {
        let (status, refused) = house.accept(token, "Back Again").await;
        assert_eq!(
            (status, &refused["code"]),
            (StatusCode::NOT_FOUND, &json!("unknown_invitation"))
        );
    }
    // an invitation that was not withdrawn is no better once its giver is no administrator
    house
        .tamper("update invitations set withdrawn_at = null where email = 'puppet@example.com'")
        .await;
    assert_eq!(
        house.accept(&puppet, "Puppet").await.0,
        StatusCode::NOT_FOUND
    );
}
