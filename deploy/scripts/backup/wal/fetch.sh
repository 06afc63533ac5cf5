#!/usr/bin/env bash
# PostgreSQL's restore_command: fetch.sh NAME PATH. Exit 1 when there is no such segment, which tells
# PostgreSQL that it has read everything. From the second region if the first is away: PLACE=dr.
set -euo pipefail
# shellcheck source=deploy/scripts/lib.sh
. "$(dirname "$0")/../../lib.sh"
need aws gzip sha256sum
[ $# -eq 2 ] || die 1 "fetch.sh NAME PATH"
place=${PLACE:-primary}
key=$environment/wal/$1.gz
packed=$(mktemp)
trap 'rm -f "$packed"' EXIT
wanted=$(s3 "$place" s3api head-object --bucket "$(bucket "$place")" --key "$key" --query Metadata.sha256 --output text 2>/dev/null) || exit 1
s3 "$place" s3 cp "s3://$(bucket "$place")/$key" "$packed" --only-show-errors || exit 1
gzip -dc "$packed" >"$2"
[ "$wanted" = None ] || [ "$wanted" = "$(sha256sum <"$2" | cut -d' ' -f1)" ] || die 3 "$key is damaged"
