-- Messages in and out: outbox, consumer dedupe, provider callbacks, texts.

create table outbox (
    id            uuid primary key,
    topic         text not null,
    subject_id    uuid not null,
    body          jsonb not null,
    traceparent   text,
    created_at    timestamptz not null,
    available_at  timestamptz not null,
    published_at  timestamptz
);
comment on table outbox is 'Bells to ring: ids and immutable facts only, no personal data. Deleted seven days after publication.';
create index outbox_ready on outbox (available_at, id) where published_at is null;
create index outbox_published on outbox (published_at) where published_at is not null;
create index outbox_by_subject on outbox (topic, subject_id);

create table consumed (
    consumer     text not null,
    message_id   uuid not null,
    consumed_at  timestamptz not null,
    parked       boolean not null default false,
    primary key (consumer, message_id)
);
create index consumed_old on consumed (consumed_at);

create table provider_events (
    id             uuid primary key,
    provider       text not null,
    kind           text not null,
    event_key      text not null,
    raw_cipher     bytea not null,
    received_at    timestamptz not null,
    repeats        integer not null default 0,
    processed_at   timestamptz,
    outcome        text,
    attempts       integer not null default 0,
    next_check_at  timestamptz,
    last_error     text,
    unique (provider, kind, event_key)
);
comment on table provider_events is 'Raw callbacks, encrypted, stored before anything else happens; a repeat only counts.';
create index provider_events_due on provider_events (next_check_at) where processed_at is null;

create table sms (
    id                uuid primary key,
    farmer_id         uuid not null references farmers (id),
    subject_id        uuid not null,
    kind              text not null,
    language          text not null check (language in ('en', 'sw')),
    text_cipher       bytea not null,
    segments          smallint not null check (segments between 1 and 2),
    state             text not null check (state in ('planned', 'sent', 'delivered', 'failed', 'suppressed')),
    provider_id       text unique,
    attempts          smallint not null default 0,
    doubtful          boolean not null default false,
    next_check_at     timestamptz,
    failure           text,
    created_at        timestamptz not null,
    sent_at           timestamptz,
    decided_at        timestamptz,
    unique (subject_id, kind, language)
);
comment on table sms is 'One text per subject, kind and language; at most one resend after doubt. Reports only move it forward.';
create index sms_due on sms (next_check_at) where next_check_at is not null;
