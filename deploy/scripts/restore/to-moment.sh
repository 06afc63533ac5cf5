#!/usr/bin/env bash
# Makes a data folder from which a PostgreSQL of our own comes back to a moment: the last base backup
# that had ended by then, and settings by which the server applies the archived changes after that. A
# moment within a base backup is reached from the one before it; if there is none, that is said.
#
#   to-moment.sh FOLDER 'YYYY-MM-DD HH:MM:SS+00' | latest
#
#   FOLDER   the new data folder, absent or empty. Run as the user that PostgreSQL runs as
#   moment   changes committed later are left out; latest = all that the archive holds
#
# Then start PostgreSQL on FOLDER. At a moment it stops and can be read, not written: look whether it is
# the right one. `select pg_wal_replay_resume()` opens it; for a later moment stop it, change
# recovery_target_time in FOLDER/postgresql.auto.conf and start it again. With latest it opens by itself.
# PLACE=dr reads the second region. Exit 1 wrong call or nothing there, 3 damaged; FOLDER is then as it
# was. Settings: ../lib.sh
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=deploy/scripts/lib.sh
. "$here/../lib.sh"
need aws tar gzip date

[ $# -eq 2 ] || {
    sed -n '2,15s/^# \{0,1\}//p' "$0" >&2
    exit 1
}
folder=$1
moment=$2
place=${PLACE:-primary}
[ -n "$folder" ] && [ -n "$moment" ] || die 1 "the folder or the moment is empty"
case $place in primary | dr) ;; *) die 1 "PLACE '$place' is neither primary nor dr" ;; esac
[ -n "$(bucket "$place")" ] || die 1 "S3_BUCKET (primary) or S3_DR_BUCKET (dr) is missing"
[ ! -e "$folder" ] || [ -d "$folder" ] || die 1 "$folder is no folder"
[ -z "$(ls -A -- "$folder" 2>/dev/null)" ] || die 1 "$folder is not empty"
if [ "$moment" = latest ]; then
    before=99991231T235959Z
else
    before=$(date -u -d "$moment" +%Y%m%dT%H%M%SZ) || die 1 "'$moment' is no moment"
    # PostgreSQL is told what was understood here: without an offset it would take its own time zone
    moment=$(date -u -d "$moment" '+%Y-%m-%d %H:%M:%S.%6N+00')
fi

keys=$(s3 "$place" s3api list-objects-v2 --bucket "$(bucket "$place")" --prefix "$environment/base/" \
    --query 'Contents[].Key' --output text) || die 1 "$(bucket "$place") cannot be read"
base=
within=
# newest first
while read -r stamp; do
    [[ ! $stamp > $before ]] || continue
    ended=$(s3 "$place" s3api head-object --bucket "$(bucket "$place")" --key "$environment/base/$stamp/backup_manifest" \
        --query Metadata.ended --output text </dev/null) || die 1 "the base backup $stamp cannot be read"
    is_stamp "$ended" || die 3 "the base backup $stamp does not say when it ended"
    if [[ $ended > $before ]]; then
        within="$stamp; the first moment that can be come back to is $ended"
    else
        base=$stamp
        break
    fi
done < <(tr '\t' '\n' <<<"$keys" | sed -n 's#.*/base/\([0-9TZ]*\)/backup_manifest$#\1#p' | sort -r)
if [ -z "$base" ] && [ -n "$within" ]; then
    die 1 "$moment is within the base backup $within (no earlier backup is there)"
fi
[ -n "$base" ] || die 1 "$(bucket "$place") holds no base backup of $environment from before $moment"

began=$SECONDS
install -d -m 700 "$folder" || die 1 "$folder cannot be made"
ended=no
finish() {
    local status=$?
    trap - EXIT
    # it was empty: whatever is in it is half of something
    if [ "$ended" = no ]; then find "$folder" -mindepth 1 -delete; fi
    exit "$status"
}
trap finish EXIT
# beside what it is unpacked into, which has to have the room
packed=$folder/packed
s3 "$place" s3 cp --recursive "s3://$(bucket "$place")/$environment/base/$base/" "$packed" --only-show-errors ||
    die 1 "the base backup $base could not be fetched"
tar --extract --gzip --file "$packed/base.tar.gz" --directory "$folder" || die 3 "base.tar.gz is damaged"
tar --extract --gzip --file "$packed/pg_wal.tar.gz" --directory "$folder/pg_wal" || die 3 "pg_wal.tar.gz is damaged"
mv "$packed/backup_manifest" "$folder/backup_manifest"
rm -r "$packed"
verifier=$(command -v pg_verifybackup || find /usr/lib/postgresql -name pg_verifybackup | sort -V | tail -n 1)
[ -n "$verifier" ] || die 1 "pg_verifybackup is not installed"
# every file against the server's own list of checksums; the changes are checked when they are applied
"$verifier" --no-parse-wal --quiet "$folder" || die 3 "the base backup $base is damaged"

{
    echo "restore_command = '\"$here/../backup/wal/fetch.sh\" \"%f\" \"%p\"'"
    if [ "$moment" != latest ]; then
        echo "recovery_target_time = '$moment'"
        echo "recovery_target_action = 'pause'"
    fi
} >>"$folder/postgresql.auto.conf"
touch "$folder/recovery.signal"
ended=yes
say "base backup $base is in $folder ($((SECONDS - began)) s); start PostgreSQL on it"
