-- The ledger: append-only, balanced at every commit. Entries are what sums are made of.

create table ledger_transfers (
    id              uuid primary key,
    kind            text not null check (kind in ('posted', 'pending', 'post_pending', 'void_pending')),
    pending_id      uuid references ledger_transfers (id),
    debit_account   text not null,
    credit_account  text not null check (credit_account <> debit_account),
    amount_minor    bigint not null check (amount_minor > 0),
    currency        text not null check (currency in ('KES', 'USDC')),
    subject_id      uuid not null,
    created_at      timestamptz not null,
    check ((kind in ('post_pending', 'void_pending')) = (pending_id is not null))
);
comment on table ledger_transfers is 'The id is derived from the cause: posting twice is posting once. A pending transfer is ended once.';
create unique index ledger_transfers_ended_once on ledger_transfers (pending_id) where pending_id is not null;
create index ledger_transfers_by_subject on ledger_transfers (subject_id);

create table ledger_entries (
    transfer_id   uuid not null references ledger_transfers (id),
    side          text not null check (side in ('debit', 'credit')),
    account       text not null,
    amount_minor  bigint not null check (amount_minor > 0),
    currency      text not null check (currency in ('KES', 'USDC')),
    primary key (transfer_id, side)
);
comment on table ledger_entries is 'Two for every transfer that moves money (posted, post_pending); none for pending and void_pending.';
create index ledger_entries_by_account on ledger_entries (account);

create function ledger_write_entries() returns trigger language plpgsql as $$
begin
    if new.kind in ('posted', 'post_pending') then
        insert into ledger_entries (transfer_id, side, account, amount_minor, currency)
        values (new.id, 'debit', new.debit_account, new.amount_minor, new.currency),
               (new.id, 'credit', new.credit_account, new.amount_minor, new.currency);
    end if;
    return new;
end $$;
create trigger ledger_transfers_entries after insert on ledger_transfers
    for each row execute function ledger_write_entries();

create function ledger_transfer_is_balanced() returns trigger language plpgsql as $$
declare
    imbalance bigint;
begin
    select coalesce(sum(case side when 'debit' then amount_minor else -amount_minor end), 0)
      into imbalance
      from ledger_entries where transfer_id = new.transfer_id;
    if imbalance <> 0 then
        raise exception 'transfer % is out of balance by %', new.transfer_id, imbalance;
    end if;
    return null;
end $$;
create constraint trigger ledger_entries_balanced after insert on ledger_entries
    deferrable initially deferred for each row execute function ledger_transfer_is_balanced();

create function ledger_pending_matches() returns trigger language plpgsql as $$
declare
    pending ledger_transfers;
begin
    if new.pending_id is null then
        return new;
    end if;
    select * into pending from ledger_transfers where id = new.pending_id;
    if pending.kind is distinct from 'pending' or pending.amount_minor <> new.amount_minor
       or pending.currency <> new.currency or pending.debit_account <> new.debit_account
       or pending.credit_account <> new.credit_account then
        raise exception 'transfer % does not end pending transfer %', new.id, new.pending_id;
    end if;
    return new;
end $$;
create trigger ledger_transfers_end_what_is_pending before insert on ledger_transfers
    for each row execute function ledger_pending_matches();

create trigger ledger_transfers_append_only before update or delete on ledger_transfers
    for each row execute function refuse_change();
create trigger ledger_entries_append_only before update or delete on ledger_entries
    for each row execute function refuse_change();
create trigger ledger_transfers_never_truncated before truncate on ledger_transfers
    for each statement execute function refuse_change();
create trigger ledger_entries_never_truncated before truncate on ledger_entries
    for each statement execute function refuse_change();
