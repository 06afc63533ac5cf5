-- Decisions and what they owe.

create table operators (
    id          uuid primary key,
    name        text not null unique,
    role        text not null check (role in ('operator', 'approver', 'auditor', 'administrator')),
    created_at  timestamptz not null,
    ended_at    timestamptz
);

create table evaluations (
    id                 uuid primary key,
    risk_id            uuid not null unique references risks (id),
    index_run_id       uuid not null references index_runs (id),
    observed           jsonb not null,
    settlement         jsonb not null,
    share_numerator    bigint not null,
    share_denominator  bigint not null check (share_denominator > 0),
    weather_bp         smallint not null,
    vegetation_bp      smallint,
    damage_index_bp    smallint,
    holds              text[] not null,
    policies           integer not null check (policies >= 0),
    total_minor        bigint not null check (total_minor >= 0),
    currency           text not null check (currency in ('KES', 'USDC')),
    state              text not null check (state in ('held', 'approved')),
    cid                text not null,
    short_code         text not null unique,
    bundle             bytea not null check (length(bundle) <= 262144),
    pinned_at          timestamptz,
    pin_attempts       integer not null default 0,
    next_check_at      timestamptz,
    evaluated_at       timestamptz not null,
    approved_at        timestamptz,
    fanned_out_at      timestamptz,
    check (share_numerator between 0 and share_denominator)
);
comment on table evaluations is 'The one decision on a risk, with its inputs and its evidence bundle. Unique per risk.';
create index evaluations_due on evaluations (next_check_at) where next_check_at is not null;
create index evaluations_held on evaluations (evaluated_at) where state = 'held';

create table approvals (
    evaluation_id  uuid not null references evaluations (id),
    step           text not null check (step in ('made', 'checked')),
    operator_id    uuid not null references operators (id),
    reason         text not null default '',
    approved_at    timestamptz not null,
    primary key (evaluation_id, step),
    unique (evaluation_id, operator_id)
);
comment on table approvals is 'Two steps by two people: maker and checker cannot be the same operator.';

create table payouts (
    id             uuid primary key,
    policy_id      uuid not null references policies (id),
    evaluation_id  uuid not null references evaluations (id),
    amount_minor   bigint not null check (amount_minor > 0),
    currency       text not null check (currency in ('KES', 'USDC')),
    state          text not null check (state in ('planned', 'held', 'approved', 'sent', 'paid', 'refused')),
    planned_at     timestamptz not null,
    approved_at    timestamptz,
    decided_at     timestamptz,
    unique (policy_id, evaluation_id)
);
create index payouts_by_state on payouts (state, planned_at);
create index payouts_by_evaluation on payouts (evaluation_id);

create function payouts_within_sum_insured() returns trigger language plpgsql as $$
declare
    insured bigint;
    owed bigint;
begin
    select sum_insured_minor into insured from policies where id = new.policy_id for update;
    select coalesce(sum(amount_minor), 0) into owed
      from payouts where policy_id = new.policy_id and state <> 'refused';
    if owed > insured then
        raise exception 'payouts of policy % exceed its sum insured', new.policy_id using errcode = 'check_violation';
    end if;
    return null;
end $$;
create trigger payouts_capped after insert on payouts
    for each row execute function payouts_within_sum_insured();

create table payout_legs (
    id                      uuid primary key,
    payout_id               uuid not null references payouts (id),
    leg                     smallint not null check (leg >= 1),
    attempt                 smallint not null check (attempt >= 1),
    originator_id           text not null unique check (originator_id ~ '^MC[A-Z2-7]{18}$'),
    amount_minor            bigint not null check (amount_minor > 0),
    currency                text not null check (currency in ('KES', 'USDC')),
    state                   text not null check (state in ('planned', 'sent', 'paid', 'refused')),
    conversation_id         text unique,
    status_conversation_id  text unique,
    rail_receipt            text,
    result_code             text,
    enquiries               integer not null default 0,
    sent_at                 timestamptz,
    next_check_at           timestamptz,
    needs_person            text,
    decided_at              timestamptz,
    unique (payout_id, leg, attempt),
    check ((state = 'sent') <= (sent_at is not null and next_check_at is not null))
);
comment on table payout_legs is 'originator_id is the provider''s id for the leg, stored before the call: the same leg is never a second payment.';
create index payout_legs_due on payout_legs (next_check_at) where next_check_at is not null;
create index payout_legs_for_people on payout_legs (needs_person) where needs_person is not null;
create index payout_legs_with_rail on payout_legs (sent_at) where state = 'sent';
