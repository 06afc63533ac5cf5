-- One live cover a plot, product and season, whichever version of the product each was sold under: a
-- corrected document must not let a plot be insured twice.

alter table policies add column product_code text;
update policies set product_code = (select code from product_versions where id = product_version_id);
alter table policies alter column product_code set not null;
comment on column policies.product_code is 'Of its version; set by the database.';

create function product_code_of_version() returns trigger language plpgsql as $$
begin
    new.product_code := (select code from product_versions where id = new.product_version_id);
    return new;
end $$;
create trigger policies_product_code before insert on policies
    for each row execute function product_code_of_version();

drop index policies_one_live;
create unique index policies_one_live on policies (plot_id, product_code, season_year)
    where state in ('awaiting_premium', 'active', 'settled');
