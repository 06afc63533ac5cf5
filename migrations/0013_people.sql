-- People: whom administrators invited, what people sign in with, which sessions are open; and the
-- log of what was done, chained so that a line altered, deleted or moved is found.

alter table operators
    add column email text unique,
    add column invited_by uuid references operators (id),
    add constraint operators_email_is_lower_case check (email = lower(email) and position('@' in email) > 1),
    add constraint operators_name_is_no_email check (position('@' in name) = 0);
-- two people whose names differ in case alone could be taken for one another in an approval
create unique index operators_name_once on operators (lower(name));
comment on column operators.invited_by is 'Whose invitation made them; null: the command line.';

create table credentials (
    operator_id     uuid primary key references operators (id),
    password_hash   text not null,
    totp_cipher     bytea not null,
    totp_step_last  bigint not null check (totp_step_last >= 0),
    misses          smallint not null default 0 check (misses >= 0),
    locks           smallint not null default 0 check (locks >= 0),
    locked_until    timestamptz,
    set_at          timestamptz not null
);
comment on column credentials.totp_step_last is 'Steps of 30 s since 1970 up to which codes are used: a code is good once.';

create table invitations (
    id             uuid primary key,
    token_hash     bytea not null unique check (octet_length(token_hash) = 32),
    email          text not null check (email = lower(email) and position('@' in email) > 1),
    role           text not null check (role in ('operator', 'approver', 'auditor', 'administrator')),
    invited_by     uuid references operators (id),
    created_at     timestamptz not null,
    expires_at     timestamptz not null,
    name           text,
    password_hash  text,
    totp_cipher    bytea,
    accepted_at    timestamptz,
    operator_id    uuid references operators (id),
    withdrawn_at   timestamptz,
    constraint invitations_accepted_by_somebody check ((accepted_at is null) = (operator_id is null)),
    constraint invitations_end_once check (accepted_at is null or withdrawn_at is null)
);
create unique index invitations_open_once on invitations (email)
    where accepted_at is null and withdrawn_at is null;
comment on column invitations.password_hash is 'Chosen by the invited person, until the first code proves their second factor.';

create table sessions (
    id           uuid primary key,
    operator_id  uuid not null references operators (id),
    started_at   timestamptz not null,
    expires_at   timestamptz not null,
    ended_at     timestamptz,
    ended_why    text check (ended_why in ('signed_out', 'reused', 'replaced', 'person_ended')),
    constraint sessions_end_for_a_reason check ((ended_at is null) = (ended_why is null))
);
create index sessions_open on sessions (operator_id) where ended_at is null;
create index sessions_expiry on sessions (expires_at);

create table refresh_tokens (
    hash        bytea primary key check (octet_length(hash) = 32),
    session_id  uuid not null references sessions (id) on delete cascade,
    issued_at   timestamptz not null,
    used_at     timestamptz
);
create index refresh_tokens_session on refresh_tokens (session_id);
create unique index refresh_tokens_current on refresh_tokens (session_id) where used_at is null;

-- The log's chain. The database itself makes it, for whoever inserts a line: the program that
-- writes a line needs no right over the head, and cannot forget the link.
create table audit_head (
    one       boolean primary key default true check (one),
    sequence  bigint not null check (sequence >= 0),
    hash      bytea not null check (octet_length(hash) = 32)
);
comment on table audit_head is 'The last line of audit_log; shows when lines are cut off its end.';
insert into audit_head (sequence, hash) values (0, decode(repeat('00', 32), 'hex'));

alter table audit_log
    add column sequence bigint,
    add column previous_hash bytea,
    add column hash bytea;

-- a field with its length in bytes in front (a netstring), so that no two lines read alike
create function audit_field(value text) returns text language sql immutable as $$
    select octet_length(convert_to(value, 'UTF8')) || ':' || value || ','
$$;

create function audit_hash(line audit_log) returns bytea language sql stable
    set search_path = public, pg_temp as $$
    select sha256(convert_to(
        audit_field(line.sequence::text)
        || audit_field(encode(line.previous_hash, 'hex'))
        || audit_field(line.id::text)
        || audit_field(line.actor)
        || audit_field(line.action)
        || audit_field(line.subject_id)
        || audit_field(line.details::text)
        || audit_field(((extract(epoch from line.recorded_at) * 1000000)::bigint)::text),
        'UTF8'))
$$;

create function chain_audit_line() returns trigger language plpgsql security definer
    set search_path = public, pg_temp as $$
declare
    head audit_head%rowtype;
begin
    select * into strict head from audit_head for update;
    new.sequence := head.sequence + 1;
    new.previous_hash := head.hash;
    new.hash := audit_hash(new);
    update audit_head set sequence = new.sequence, hash = new.hash;
    return new;
end $$;

-- lines from before the chain, in the order they were written
alter table audit_log disable trigger audit_log_append_only;
do $$
declare
    head audit_head%rowtype;
    line audit_log%rowtype;
begin
    select * into strict head from audit_head;
    for line in select * from audit_log order by recorded_at, id loop
        line.sequence := head.sequence + 1;
        line.previous_hash := head.hash;
        line.hash := audit_hash(line);
        update audit_log set sequence = line.sequence, previous_hash = line.previous_hash, hash = line.hash
        where id = line.id;
        head.sequence := line.sequence;
        head.hash := line.hash;
    end loop;
    update audit_head set sequence = head.sequence, hash = head.hash;
end $$;
alter table audit_log enable trigger audit_log_append_only;

alter table audit_log
    alter column sequence set not null,
    alter column previous_hash set not null,
    alter column hash set not null,
    add constraint audit_log_sequence_once unique (sequence),
    add constraint audit_log_sequence_positive check (sequence > 0);
create trigger audit_log_chained before insert on audit_log
    for each row execute function chain_audit_line();
create trigger audit_log_never_truncated before truncate on audit_log
    for each statement execute function refuse_change();
create trigger audit_head_kept before delete on audit_head
    for each row execute function refuse_change();
create trigger audit_head_never_truncated before truncate on audit_head
    for each statement execute function refuse_change();
-- only the chain's own function, which runs as the owner, moves the end of the log
revoke update, delete on audit_log from microcrop_app;
revoke insert, update, delete on audit_head from microcrop_app;
