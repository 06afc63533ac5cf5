-- What was done, and by whom.

create table audit_log (
    id           uuid primary key,
    actor        text not null,
    action       text not null,
    subject_id   text not null,
    details      jsonb not null,
    recorded_at  timestamptz not null
);
comment on table audit_log is 'What people and switches did; append-only, no personal data.';
create trigger audit_log_append_only before update or delete on audit_log
    for each row execute function refuse_change();
