-- A login for one migration: acts as the owner from its first statement, so that what it makes belongs
-- to microcrop_owner and not to a login that is gone in an hour.
create role "{{name}}" login password '{{password}}' valid until '{{expiration}}'
    nosuperuser nocreatedb noreplication nobypassrls in role microcrop_owner;
alter role "{{name}}" set role microcrop_owner;
