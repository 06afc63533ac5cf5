-- Weather: stations, raw replies, observations, days and index runs.

create table stations (
    id            text primary key,
    name          text not null,
    risk_cell     text not null,
    lat_e6        integer not null,
    lon_e6        integer not null,
    elevation_dm  integer,
    seen_at       timestamptz not null
);

create table risk_stations (
    risk_id              uuid not null references risks (id),
    station_id           text not null references stations (id),
    distance_m           integer not null check (distance_m >= 0),
    elevation_gap_dm     integer,
    data_quality_e4      smallint,
    location_quality_e4  smallint,
    rank                 smallint check (rank >= 1),
    recorded_at          timestamptz not null,
    primary key (risk_id, station_id)
);
comment on table risk_stations is 'Candidates around a risk; rank is set when they are frozen at first activation and never changes.';

create table weather_replies (
    id          uuid primary key,
    station_id  text not null references stations (id),
    utc_date    date not null,
    revision    smallint not null check (revision >= 1),
    sha256      text not null,
    raw         bytea not null,
    fetched_at  timestamptz not null,
    unique (station_id, utc_date, revision)
);

create table station_utc_days (
    id                   uuid primary key,
    station_id           text not null references stations (id),
    utc_date             date not null,
    state                text not null check (state in ('due', 'recorded', 'absent')),
    attempts             integer not null default 0,
    next_check_at        timestamptz,
    reply_sha256         text,
    data_quality_e4      smallint,
    location_quality_e4  smallint,
    recorded_at          timestamptz,
    computed_at          timestamptz,
    unique (station_id, utc_date)
);
comment on table station_utc_days is 'The work of fetching: one UTC day of one station; due again until its quality is published or three days passed.';
comment on column station_utc_days.computed_at is 'When its local days were computed from what is recorded; null until then, and again after a new reply.';
create index station_utc_days_uncomputed on station_utc_days (id) where computed_at is null and state <> 'due';
create index station_utc_days_due on station_utc_days (next_check_at) where next_check_at is not null;

create table observations (
    station_id   text not null,
    observed_at  timestamptz not null,
    revision     smallint not null check (revision >= 1),
    utc_date     date not null,
    counter_um   integer,
    fault        text,
    primary key (station_id, observed_at, revision)
) partition by range (observed_at);
create table observations_default partition of observations default;
comment on table observations is 'One sample of a station''s rain counter, micrometres; immutable. A reading refused at the door keeps its fault and no number.';
create trigger observations_immutable before update or delete on observations
    for each row execute function refuse_change();

create table station_days (
    station_id   text not null references stations (id),
    day          date not null,
    rain_um      integer check (rain_um >= 0),
    samples      integer not null,
    resets       integer not null,
    flags        text[] not null,
    replies      text[] not null,
    computed_at  timestamptz not null,
    primary key (station_id, day)
);
comment on table station_days is 'Rain of a local day (UTC+3) at a station; null is missing, never zero.';

create table cell_days (
    risk_id      uuid not null references risks (id),
    day          date not null,
    rain_um      integer check (rain_um >= 0),
    source       text not null check (source in ('primary', 'second', 'interpolated', 'missing')),
    computed_at  timestamptz not null,
    primary key (risk_id, day)
);

create table index_runs (
    id              uuid primary key,
    risk_id         uuid not null references risks (id),
    as_of_day       date not null,
    phases          jsonb not null,
    stations        smallint not null,
    missing_days    integer not null,
    confidence      smallint not null check (confidence between 0 and 100),
    vegetation_bp   smallint,
    final           boolean not null,
    manifest_hash   text not null,
    engine_version  text not null,
    computed_at     timestamptz not null,
    unique (risk_id, as_of_day, manifest_hash, final)
);
create index index_runs_newest on index_runs (risk_id, computed_at desc, id desc);
alter table risks add constraint risks_final_run foreign key (final_index_run_id) references index_runs (id);

create table scene_checks (
    risk_id        uuid primary key references risks (id),
    state          text not null check (state in ('due', 'unconfigured', 'recorded')),
    next_check_at  timestamptz,
    checked_at     timestamptz
);
comment on table scene_checks is 'Whether a vegetation scene exists for a risk; unconfigured is recorded honestly and the product''s rule for absent vegetation applies.';
