-- Ends a login: whoever is connected by it is cut off, then it is forgotten. It owns nothing.
select pg_terminate_backend(pid) from pg_stat_activity where usename = '{{name}}';
drop role if exists "{{name}}";
