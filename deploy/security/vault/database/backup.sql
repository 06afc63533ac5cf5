-- A login for one backup: reads as the owner, from whom row-level security hides nothing, and writes
-- nothing.
create role "{{name}}" login password '{{password}}' valid until '{{expiration}}'
    nosuperuser nocreatedb nocreaterole noreplication nobypassrls in role microcrop_owner;
alter role "{{name}}" set role microcrop_owner;
alter role "{{name}}" set default_transaction_read_only = on;
