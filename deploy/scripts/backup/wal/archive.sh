#!/usr/bin/env bash
# PostgreSQL's archive_command: archive.sh PATH NAME. Never replaces a segment that is there with
# another one: the same bytes again are fine (PostgreSQL may ask twice), others are an error that it
# keeps trying and WalNotArchived pages. Run in the data folder, as PostgreSQL does. Settings: ../../lib.sh
set -euo pipefail
# shellcheck source=deploy/scripts/lib.sh
. "$(dirname "$0")/../../lib.sh"
need aws gzip sha256sum
[ $# -eq 2 ] || die 1 "archive.sh PATH NAME"
[ -n "${S3_BUCKET:-}" ] || die 1 "S3_BUCKET is missing"
key=$(wal_key "$2") || die 1 "it is run in no data folder"
sum=$(sha256sum <"$1" | cut -d' ' -f1)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

if held=$(s3 primary s3api head-object --bucket "$S3_BUCKET" --key "$key" --query Metadata.sha256 --output text 2>"$folder/problem"); then
    [ "$held" = "$sum" ] || die 2 "$key is there with other content"
    exit 0
fi
# only what is known to be absent may be written
grep -qF '(404)' "$folder/problem" || {
    cat "$folder/problem" >&2
    die 1 "whether $key is there could not be asked"
}
# -n: the same bytes make the same file
gzip -n -c "$1" >"$folder/packed"
s3 primary s3 cp "$folder/packed" "s3://$S3_BUCKET/$key" --metadata "sha256=$sum" --sse "${S3_SSE:-aws:kms}" --only-show-errors
