#!/usr/bin/env bash
# PostgreSQL's archive_command: archive.sh PATH NAME. Never replaces a segment that is there with
# another one: the same bytes again are fine (PostgreSQL may ask twice), others are an error that it
# keeps trying and WalNotArchived pages. Settings: ../../lib.sh
set -euo pipefail
# shellcheck source=deploy/scripts/lib.sh
. "$(dirname "$0")/../../lib.sh"
need aws gzip sha256sum
[ $# -eq 2 ] || die 1 "archive.sh PATH NAME"
[ -n "${S3_BUCKET:-}" ] || die 1 "S3_BUCKET is missing"
key=$environment/wal/$2.gz
sum=$(sha256sum <"$1" | cut -d' ' -f1)

held=$(s3 primary s3api head-object --bucket "$S3_BUCKET" --key "$key" --query Metadata.sha256 --output text 2>/dev/null || true)
if [ -n "$held" ] && [ "$held" != None ]; then
    [ "$held" = "$sum" ] || die 2 "$key is there with other content"
    exit 0
fi
packed=$(mktemp)
trap 'rm -f "$packed"' EXIT
# -n: the same bytes make the same file
gzip -n -c "$1" >"$packed"
s3 primary s3 cp "$packed" "s3://$S3_BUCKET/$key" --metadata "sha256=$sum" --sse "${S3_SSE:-aws:kms}" --only-show-errors
