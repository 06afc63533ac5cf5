#!/usr/bin/env bash
# PostgreSQL's restore_command: fetch.sh NAME PATH. Exit 1 when there is no such segment, which tells
# PostgreSQL that it has read everything; 255 when that cannot be known or the segment is damaged, at
# which it stops rather than open with less than there is. From the second region if the first is away:
# PLACE=dr. Settings: ../../lib.sh
set -euo pipefail
# 1 is the answer "there is no such segment" and nothing else: whatever goes wrong otherwise (a program that
# is missing, a full disk) must stop the recovery
absent=no
folder=
finish() {
    local status=$?
    trap - EXIT
    [ -z "$folder" ] || rm -rf "$folder"
    if [ "$absent" = no ] && [ "$status" -ne 0 ]; then status=255; fi
    exit "$status"
}
trap finish EXIT
# shellcheck source=deploy/scripts/lib.sh
. "$(dirname "$0")/../../lib.sh"
need aws gzip sha256sum
[ $# -eq 2 ] || die 255 "fetch.sh NAME PATH"
place=${PLACE:-primary}
[ -n "$(bucket "$place")" ] || die 255 "the bucket of $place is not set"
key=$(wal_key "$1") || die 255 "it is run in no data folder"
folder=$(mktemp -d)
wanted=$(s3 "$place" s3api get-object --bucket "$(bucket "$place")" --key "$key" --query Metadata.sha256 --output text \
    "$folder/packed" 2>"$folder/problem") || {
    if grep -qE 'NoSuchKey|\(404\)' "$folder/problem"; then
        absent=yes
        exit 1
    fi
    cat "$folder/problem" >&2
    die 255 "$key could not be read"
}
gzip -dc "$folder/packed" >"$folder/segment" || die 255 "$key is damaged"
[ "$wanted" = "$(sha256sum <"$folder/segment" | cut -d' ' -f1)" ] || die 255 "$key is damaged: its checksum differs"
mv "$folder/segment" "$2"
