-- What a USSD hop has changed: the row that makes a hop count once.

create table ussd_intents (
    session_key  bytea not null,
    hop          smallint not null check (hop >= 0),
    kind         text not null check (kind in ('register', 'set_language', 'add_plot', 'buy', 'set_pin', 'pin_missed')),
    outcome      text not null,
    subject_id   uuid,
    recorded_at  timestamptz not null,
    primary key (session_key, hop, kind)
);
comment on table ussd_intents is 'One row per intent of a hop; session_key is a keyed hash of phone and gateway session. Replaying a lost session finds its outcomes here.';
create index ussd_intents_old on ussd_intents (recorded_at);
