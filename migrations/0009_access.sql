-- Who may do what, and what was done.

create table api_keys (
    id            uuid primary key,
    partner       text not null,
    key_hash      bytea not null unique,
    scopes        text[] not null,
    created_at    timestamptz not null,
    last_used_at  timestamptz,
    ended_at      timestamptz
);

create table idempotency_keys (
    partner       text not null,
    key           text not null,
    request_hash  bytea not null,
    status        smallint,
    response      bytea,
    created_at    timestamptz not null,
    primary key (partner, key)
);

create table audit_log (
    id           uuid primary key,
    actor        text not null,
    action       text not null,
    subject_id   text not null,
    details      jsonb not null,
    recorded_at  timestamptz not null
);
comment on table audit_log is 'What people and switches did; append-only, no personal data.';
create trigger audit_log_append_only before update or delete on audit_log
    for each row execute function refuse_change();
