-- As backend.sql: microcrop_app under a name of its own, so that the server's log says which role asked.
create role "{{name}}" login password '{{password}}' valid until '{{expiration}}'
    nosuperuser nocreatedb nocreaterole noreplication nobypassrls in role microcrop_app;
