-- What follows a season, for the plots that world.mjs has added: two risks decided, one released
-- with a payout that the rail refused, one held for two people. Run by `cargo xtask contract` on
-- a database of its own; the ids are those that world.mjs names.
do $$
declare
    plot record;
    version uuid;
    at constant timestamptz := '2026-01-10T09:00:00Z';
    -- content addresses and short codes of the bundles below
    cids constant text[] := array['bafkreiavjzms6oip5kajb4furtdfnpx32cjy2vxxh6opcvrfiuqmxddd54',
        'bafkreiasv6mq5p43p33nxv2zm4azgv3mox5lkvl5c5aqd36zrnule33n6u'];
    codes constant text[] := array['CVHFSLZZ', 'CKXZSDV7'];
    cells constant text[] := array['877a53a49ffffff', '877a53a4bffffff'];
    ids uuid[];
    is_held boolean;
begin
    select id into strict version from product_versions where code = 'KE-MZ-PD-LR' and retired_at is null;
    for n in 1..2 loop
        is_held := n = 2;
        select array_agg(('01900000-0000-7000-8000-00000000' || lpad(kind::text, 2, '0') || '0' || n)::uuid
                         order by kind) into ids from generate_series(1, 9) kind;
        select id, farmer_id into strict plot from plots order by created_at, id offset n - 1 limit 1;
        insert into risks (id, product_version_id, zone, risk_cell, season_year, window_start,
            window_end, window_closes_at, state, created_at)
        values (ids[1], version, 'marsabit', cells[n], 2025, '2025-03-01', '2025-06-01',
            '2025-05-31T21:00:00Z', 'evaluated', at);
        insert into index_runs (id, risk_id, as_of_day, phases, stations, missing_days, confidence,
            final, manifest_hash, engine_version, computed_at)
        values (ids[2], ids[1], '2025-05-31', '[]', 2, 0, 95, true, 'm', 'e', at);
        insert into quotes (id, farmer_id, plot_id, product_version_id, season_year, zone,
            sum_insured_minor, premium_minor, currency, created_at, expires_at)
        values (ids[3], plot.farmer_id, plot.id, version, 2025, 'marsabit', 1000000, 281300, 'KES', at, at);
        insert into policies (id, farmer_id, plot_id, quote_id, product_version_id, season_year,
            zone, risk_cell, accumulation_cell, risk_id, window_start, window_end, sale_closes_at,
            sum_insured_minor, premium_minor, currency, state, short_code, bought_at, lapses_at,
            activated_at)
        values (ids[4], plot.farmer_id, plot.id, ids[3], version, 2025, 'marsabit', cells[n],
            '857a53a7fffffff', ids[1], '2025-03-01', '2025-06-01', at, 1000000, 281300, 'KES',
            'active', 'SEED000' || n, at, at, at);
        insert into receipts (id, policy_id, farmer_id, attempt, rail, amount_minor, currency, state,
            created_at)
        values (ids[5], ids[4], plot.farmer_id, 1, 'swypt', 281300, 'KES', 'requested', at);
        insert into evaluations (id, risk_id, index_run_id, observed, settlement, share_numerator,
            share_denominator, weather_bp, holds, policies, total_minor, currency, state, cid,
            short_code, bundle, evaluated_at)
        values (ids[6], ids[1], ids[2],
            '{"phases": [{"phase": "season", "rain_um": 186500, "missing_days": 0}],
              "vegetation_bp": null, "stations": 2, "confidence": 95}',
            '{"weather": [1, 2], "weather_bp": 5000, "vegetation_bp": null, "damage_index_bp": null,
              "share": [1, 2], "distance_bp": null, "payout_min": {"minor": 1000, "currency": "KES"},
              "holds": []}',
            1, 2, 5000, case when is_held then array['borderline'] else '{}' end, 1, 500000, 'KES',
            case when is_held then 'held' else 'approved' end, cids[n], codes[n],
            convert_to('{"form":"contract","number":' || n || '}', 'utf8'), at);
        insert into payouts (id, policy_id, evaluation_id, amount_minor, currency, state, planned_at,
            approved_at, decided_at)
        values (ids[7], ids[4], ids[6], 500000, 'KES', case when is_held then 'held' else 'refused' end,
            at, case when is_held then null else at end, case when is_held then null else at end);
    end loop;
    insert into payout_legs (id, payout_id, leg, attempt, originator_id, amount_minor, currency, state,
        result_code, sent_at, decided_at)
    select '01900000-0000-7000-8000-000000000801', id, 1, 1, 'MCAAAAAAAAAAAAAAAAAA', amount_minor,
           currency, 'refused', '2001', at, at
    from payouts where state = 'refused';
end $$;
