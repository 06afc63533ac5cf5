#!/usr/bin/env bash
# The beginning that archived changes are applied to: base-backup.sh, weekly, for a PostgreSQL of our
# own, to both regions (S3 replicates the segments, not this). Needs a login with REPLICATION
# (BASE_BACKUP_URL). Exit 1 settings · 2 not taken · 4 not in the first region · 5 not in the second one.
# Settings: ../../lib.sh
set -euo pipefail
# shellcheck source=deploy/scripts/lib.sh
. "$(dirname "$0")/../../lib.sh"
need pg_basebackup aws
[ -n "${BASE_BACKUP_URL:-}" ] && [ -n "${S3_BUCKET:-}" ] && [ -n "${S3_DR_BUCKET:-}" ] ||
    die 1 "BASE_BACKUP_URL, S3_BUCKET and S3_DR_BUCKET are needed"
stamp=$(date -u +%Y%m%dT%H%M%SZ)
umask 077
folder=$(mktemp -d "$work/base.XXXXXX") || die 1 "BACKUP_DIR $work cannot be written to"
trap 'rm -rf "$folder"' EXIT
# with the changes made meanwhile, so that it can start even without the archive
pg_basebackup --dbname "$BASE_BACKUP_URL" --pgdata "$folder/base" --format tar --gzip --wal-method stream \
    --checkpoint fast --label "microcrop $stamp" || die 2 "pg_basebackup failed"
# to-moment.sh cannot stop earlier than this: until then the files are not of one piece. The second after
# it, since a stamp has no fractions
ended=$(date -u -d '1 second' +%Y%m%dT%H%M%SZ)
missed=0
# the second region is tried although the first may be away; the first one's failure counts more
for place in dr primary; do
    # the list of files last: to-moment.sh takes only what has one, so never half of a backup
    { s3 "$place" s3 cp --recursive "$folder/base" "s3://$(bucket "$place")/$environment/base/$stamp/" \
        --exclude backup_manifest --sse "${S3_SSE:-aws:kms}" --only-show-errors &&
        s3 "$place" s3 cp "$folder/base/backup_manifest" "s3://$(bucket "$place")/$environment/base/$stamp/backup_manifest" \
            --metadata "ended=$ended" --sse "${S3_SSE:-aws:kms}" --only-show-errors; } || {
        say "not sent to $(bucket "$place")"
        if [ "$place" = primary ]; then missed=4; else missed=5; fi
    }
done
[ "$missed" -eq 0 ] || die "$missed" "the base backup $stamp is not in both regions"
say "base backup $environment/base/$stamp, in both regions"
