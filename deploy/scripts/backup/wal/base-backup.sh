#!/usr/bin/env bash
# The beginning that archived changes are applied to: base-backup.sh, weekly, for a PostgreSQL of our
# own. Needs a login with REPLICATION (BASE_BACKUP_URL). Settings: ../../lib.sh
set -euo pipefail
# shellcheck source=deploy/scripts/lib.sh
. "$(dirname "$0")/../../lib.sh"
need pg_basebackup aws
[ -n "${BASE_BACKUP_URL:-}" ] && [ -n "${S3_BUCKET:-}" ] || die 1 "BASE_BACKUP_URL and S3_BUCKET are needed"
stamp=$(date -u +%Y%m%dT%H%M%SZ)
umask 077
folder=$(mktemp -d "$work/base.XXXXXX")
trap 'rm -rf "$folder"' EXIT
# with the changes made meanwhile, so that it can start even without the archive
pg_basebackup --dbname "$BASE_BACKUP_URL" --pgdata "$folder/base" --format tar --gzip --wal-method stream --checkpoint fast --label "microcrop $stamp"
for part in "$folder"/base/*; do
    s3 primary s3 cp "$part" "s3://$S3_BUCKET/$environment/base/$stamp/$(basename "$part")" --sse "${S3_SSE:-aws:kms}" --only-show-errors
done
say "base backup $environment/base/$stamp"
