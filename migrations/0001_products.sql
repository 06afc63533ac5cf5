-- Wards and products: what may be insured, where.

create table wards (
    code          text primary key check (code ~ '^[0-9]{4}$'),
    name          text not null,
    constituency  text not null,
    county        text not null,
    plot_cell     text not null,
    precision     text not null check (precision in ('constituency', 'ward')),
    updated_at    timestamptz not null
);
comment on table wards is 'The 1,450 wards with the H3 resolution 8 cell that stands for each until an operator refines it.';
create index wards_by_place on wards (county, constituency, code);

create table product_versions (
    id          uuid primary key,
    hash        text not null unique check (hash ~ '^[0-9a-f]{64}$'),
    code        text not null,
    document    jsonb not null,
    created_at  timestamptz not null,
    retired_at  timestamptz
);
comment on table product_versions is 'Immutable product documents; hash is the identity. Newest unretired version of a code is sold.';
create index product_versions_on_sale on product_versions (code, created_at) where retired_at is null;

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'rows of % are never changed or deleted', tg_table_name using errcode = 'restrict_violation';
end $$;

create function product_document_is_immutable() returns trigger language plpgsql as $$
begin
    if new.document is distinct from old.document or new.hash <> old.hash then
        raise exception 'a product version is immutable: add a new version' using errcode = 'restrict_violation';
    end if;
    return new;
end $$;
create trigger product_versions_immutable before update on product_versions
    for each row execute function product_document_is_immutable();
