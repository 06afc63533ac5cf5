-- Gridded rain, vegetation scenes and baselines: what an index may rest on beside stations. A row is what
-- a dataset said of a cell on a day and never changes; data that are processed anew are another dataset.

create table imports (
    id           uuid primary key,
    kind         text not null check (kind in ('rain', 'vegetation')),
    dataset      text not null,
    file_name    text not null,
    sha256       text not null,
    rows_new     integer not null check (rows_new >= 0),
    first_day    date not null,
    last_day     date not null,
    imported_at  timestamptz not null,
    unique (kind, dataset, sha256)
);
comment on table imports is 'Files that were read in; reading the same file again adds nothing.';

create table grid_days (
    dataset    text not null,
    risk_cell  text not null,
    day        date not null,
    rain_um    integer not null check (rain_um >= 0),
    primary key (dataset, risk_cell, day)
);
comment on table grid_days is 'Rain of a local day in a cell as a gridded dataset (chirps-v3) has it, micrometres; a missing day has no row.';
create trigger grid_days_immutable before update or delete on grid_days
    for each row execute function refuse_change();

create table scenes (
    sensor     text not null,
    risk_cell  text not null,
    day        date not null,
    ndvi_e4    smallint not null check (ndvi_e4 between -10000 and 10000),
    valid_bp   smallint not null check (valid_bp between 0 and 10000),
    source     text not null,
    recorded_at timestamptz not null,
    primary key (sensor, risk_cell, day)
);
comment on table scenes is 'Mean NDVI of a cell on a date, 1e-4, with the share of its ground that was seen; source names the file or the scene with its digest.';
create trigger scenes_immutable before update or delete on scenes
    for each row execute function refuse_change();

create table baselines (
    sensor       text not null,
    risk_cell    text not null,
    days         text not null,
    first_year   integer not null,
    last_year    integer not null check (last_year >= first_year),
    seasons      jsonb not null,
    dekads       jsonb not null,
    computed_at  timestamptz not null,
    primary key (sensor, risk_cell, days, first_year, last_year)
);
comment on table baselines is 'A cell''s vegetation in the seasons it is compared with: the mean of each year, and of each dekad over the years, 1e-6; null is a season or dekad that was not seen.';
create trigger baselines_immutable before update or delete on baselines
    for each row execute function refuse_change();

create table rain_climates (
    dataset      text not null,
    risk_cell    text not null,
    first_year   integer not null,
    last_year    integer not null check (last_year >= first_year),
    dekads       jsonb not null,
    computed_at  timestamptz not null,
    primary key (dataset, risk_cell)
);
comment on table rain_climates is 'Mean rain of each dekad of the year in a cell, micrometres, over whole dekads of the years named: what one dataset is scaled by to stand in for another.';
create trigger rain_climates_immutable before update or delete on rain_climates
    for each row execute function refuse_change();

alter table index_runs add column vegetation_milli bigint;
alter table index_runs add column index_se_bp smallint check (index_se_bp >= 0);
alter table index_runs add column checks jsonb not null default '[]';
comment on column index_runs.checks is 'What quality control found odd: station, day, flag, tests. The numbers stay.';
comment on column index_runs.vegetation_milli is 'What vegetation was measured as, thousandths of the product''s measure; null when no sensor saw enough.';
comment on column index_runs.index_se_bp is 'Standard error of the index that decides, basis points; null when it is not known.';

-- a day may come from a gridded dataset, scaled
alter table cell_days drop constraint cell_days_source_check;
alter table cell_days add constraint cell_days_source_check check (source <> '');
alter table cell_days add column factor_e4 smallint check (factor_e4 > 0);
comment on column cell_days.factor_e4 is 'What a filled day was scaled by, 1e-4; null where it was not.';

-- from a station's new days to the risks that rest on them
create index risk_stations_by_station on risk_stations (station_id, risk_id) where rank is not null;

-- what satellites saw of a cell, as it was read: the number work makes a scene of it
create table scene_windows (
    id          uuid primary key,
    sensor      text not null,
    risk_cell   text not null,
    day         date not null,
    item_id     text not null,
    collection  text not null,
    taken_at    timestamptz not null,
    baseline    text not null,
    offset_dn   smallint not null check (offset_dn in (0, 1000)),
    epsg        integer not null,
    west_m      integer not null,
    north_m     integer not null,
    pixel_m     smallint not null check (pixel_m > 0),
    width       smallint not null check (width > 0),
    height      smallint not null check (height > 0),
    pixels      bytea not null,
    sha256      text not null,
    files       jsonb not null,
    fetched_at  timestamptz not null,
    unique (sensor, risk_cell, day)
);
comment on table scene_windows is 'Pixels of a cell on a date as read from the files named: red, near infrared (16 bits, little-endian) and scene classification (8 bits) row by row, deflated; sha256 is of them undeflated.';
comment on column scene_windows.offset_dn is 'Digital numbers to take off red and near infrared, as decided from baseline, collection, flag and the darkest land.';
create trigger scene_windows_immutable before update or delete on scene_windows
    for each row execute function refuse_change();

alter table scene_checks drop constraint scene_checks_state_check;
alter table scene_checks add constraint scene_checks_state_check
    check (state in ('due', 'unconfigured', 'unneeded', 'recorded', 'absent'));
comment on table scene_checks is 'Whether scenes of a risk''s cell are looked for: due until the product''s wait is over, then recorded or absent; unneeded where the product reads none; unconfigured is recorded honestly and the product''s rule for absent vegetation applies.';
comment on column scene_checks.checked_at is 'When it was last looked up to the end; null before the first time.';
