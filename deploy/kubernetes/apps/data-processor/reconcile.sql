-- The nightly comparison of the books, by a reader that shares no code with what wrote them. Fails
-- with every difference named; exit 0 means all are equal. Read in one snapshot, changes nothing.
-- docs/money.md says which account is the sum of what. What the rails' own statements say is
-- compared by people through GET /api/v1/operator/report?collected_minor=…&disbursed_minor=….
\set ON_ERROR_STOP on
\set QUIET on
begin transaction isolation level repeatable read, read only;
do $$
declare
    fault   record;
    faults  integer := 0;
begin
    for fault in
        -- reconcile.list_differences
        with balances as (
            select account, currency,
                   sum(case side when 'debit' then amount_minor else -amount_minor end) as net
            from ledger_entries group by account, currency
        ),
        differences (rule, subject, booked, expected) as (
            select 'debits equal credits', currency, sum(net), 0::numeric
            from balances group by currency
            union all
            select 'swypt_clearing is the sum of the collections', currencies.currency,
                   coalesce((select net from balances b
                             where b.account = 'swypt_clearing' and b.currency = currencies.currency), 0),
                   coalesce((select sum(amount_minor) from collections c
                             where c.currency = currencies.currency), 0)
            from (values ('KES'), ('USDC')) as currencies (currency)
            union all
            select 'mpesa_utility is the sum of the paid legs', currencies.currency,
                   coalesce((select -net from balances b
                             where b.account = 'mpesa_utility' and b.currency = currencies.currency), 0),
                   coalesce((select sum(amount_minor) from payout_legs l
                             where l.state = 'paid' and l.currency = currencies.currency), 0)
            from (values ('KES'), ('USDC')) as currencies (currency)
            union all
            select 'a paid payout is the sum of its paid legs', p.id::text, p.amount_minor::numeric,
                   coalesce((select sum(l.amount_minor) from payout_legs l
                             where l.payout_id = p.id and l.state = 'paid'), 0)
            from payouts p where p.state = 'paid'
        )
        select * from differences where booked <> expected
    loop
        faults := faults + 1;
        raise warning 'reconcile: % (%): booked %, expected %',
            fault.rule, fault.subject, fault.booked, fault.expected;
    end loop;
    if faults > 0 then
        raise exception 'reconcile: % differences, each a warning above', faults;
    end if;
end $$;
commit;
\echo reconcile: the books agree
