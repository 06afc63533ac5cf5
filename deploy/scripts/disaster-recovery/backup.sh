#!/usr/bin/env bash
# One backup: PostgreSQL, Redis, what is deployed, the list of pins; looked at, packed with checksums
# and a manifest, sent to two regions, old ones removed, somebody told. Daily at 02:00 UTC by the
# CronJob; by hand the same. Settings: ../lib.sh.
#
#   backup.sh [--local]      --local: make it and send it nowhere
#
# Exit: 0 in both regions · 1 wrong settings · 2 a part could not be taken · 3 what was taken cannot be
# read back · 4 not in the first region (it says whether it is in the second) · 5 not in the second one
# (it is in the first)
# Redis holds only what may be lost, and a managed one may refuse to be copied: that is told, and is
# no failure. Prints the archive's path.
set -euo pipefail
# shellcheck source=deploy/scripts/lib.sh
. "$(dirname "$0")/../lib.sh"

send=yes
case ${1:-} in
    '') ;;
    --local) send=no ;;
    *) die 1 "backup.sh [--local]" ;;
esac
need pg_dump pg_dumpall pg_restore psql jq tar gzip sha256sum
[ -n "${DATABASE_URL:-}" ] || die 1 "DATABASE_URL is missing"
if [ "$send" = yes ]; then
    need aws
    [ -n "${S3_BUCKET:-}" ] && [ -n "${S3_DR_BUCKET:-}" ] || die 1 "S3_BUCKET and S3_DR_BUCKET are needed; or --local"
    [ "$S3_BUCKET" != "$S3_DR_BUCKET" ] || die 1 "S3_BUCKET and S3_DR_BUCKET are one bucket: that is not two regions"
fi
# before anything is made: a number that is none would be met when old ones are removed
for days in "${KEEP_S3_DAYS:-30}" "${KEEP_LOCAL_DAYS:-7}"; do
    [[ $days =~ ^[1-9][0-9]{0,4}$ ]] || die 1 "KEEP_S3_DAYS and KEEP_LOCAL_DAYS are days, 1 or more; not '$days'"
done
mkdir -p "$work" || die 1 "BACKUP_DIR $work cannot be made"
umask 077

began=$SECONDS
stamp=$(date -u +%Y%m%dT%H%M%SZ)
folder=$work/$stamp
archive=$work/$(archive_name "$stamp")
mkdir "$folder" || die 1 "$folder cannot be made; does another backup run?"
notes=()
ended=no

finish() {
    local status=$?
    trap - EXIT
    # a signal may come while the last status was 0
    if [ "$status" -eq 0 ] && [ "$ended" = no ]; then status=143; fi
    [ -z "${snapshot_pid:-}" ] || kill "$snapshot_pid" 2>/dev/null || true
    rm -rf "$folder" "$archive.part" "$work/$stamp.psql"
    if [ "$status" -ne 0 ]; then
        tell "backup of $environment FAILED at $stamp with exit $status after $((SECONDS - began)) s"
    fi
    exit "$status"
}
trap finish EXIT

# --- PostgreSQL: counts and dump are of one snapshot, so that a restore can be held against them
say "PostgreSQL"
# its answers apart from its complaints, which may be mere warnings. When it has ended, that is an answer
# too, and somebody listens on to what it is asked
complaints=$work/$stamp.psql
coproc SNAPSHOT {
    psql "$DATABASE_URL" --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 2>"$complaints" || true
    echo ended
    exec cat >/dev/null
}
# shellcheck disable=SC2153,SC2154 # coproc sets it
snapshot_pid=$SNAPSHOT_PID
exec {ask}>&"${SNAPSHOT[1]}" {heard}<&"${SNAPSHOT[0]}"
echo 'begin isolation level repeatable read, read only; select pg_export_snapshot();' >&"$ask"
read -r -t 60 snapshot <&"$heard" || die 2 "PostgreSQL does not answer"
[[ $snapshot =~ ^[0-9A-F]+-[0-9A-F]+-[0-9]+$ ]] || die 2 "PostgreSQL: $(cat "$complaints")"
echo "$(counts_sql);" >&"$ask"
read -r -t 900 counts <&"$heard" || die 2 "the rows could not be counted"
jq -e .tables <<<"$counts" >/dev/null 2>&1 || die 2 "the rows could not be counted: $(cat "$complaints")"
pg_dump --dbname "$DATABASE_URL" --format custom --compress 6 --snapshot "$snapshot" --file "$folder/postgres.dump" ||
    die 2 "pg_dump failed"
echo 'commit; \q' >&"$ask"
# psql ends by what it was told; only what stands behind it would listen on
kill "$snapshot_pid" 2>/dev/null || true
wait "$snapshot_pid" 2>/dev/null || true
snapshot_pid=
# roles belong to the whole server and to no dump: their names and what they may, never a password
pg_dumpall --dbname "$DATABASE_URL" --roles-only --no-role-passwords --file "$folder/roles.sql" 2>"$folder/roles.error" || {
    notes+=("roles were not taken: $(head -n 1 "$folder/roles.error")")
    rm -f "$folder/roles.sql"
}
rm -f "$folder/roles.error"

# --- Redis
if [ -n "${REDIS_URL:-}" ]; then
    say "Redis"
    need redis-cli
    if timeout 600 redis-cli -u "$REDIS_URL" --no-auth-warning --rdb "$folder/redis.rdb" >"$folder/redis.said" 2>&1 && [ -s "$folder/redis.rdb" ]; then
        keys=$(redis-cli -u "$REDIS_URL" --no-auth-warning dbsize) || true
        [[ $keys =~ ^[0-9]+$ ]] || {
            notes+=("Redis did not say how many keys it holds: $keys")
            keys=
        }
    else
        notes+=("Redis was not taken: $(tail -n 1 "$folder/redis.said")")
        rm -f "$folder/redis.rdb"
    fi
    rm -f "$folder/redis.said"
fi

# --- what is deployed, without what the cluster itself adds; never Secrets (access.yaml)
if [ -n "${NAMESPACE:-}" ]; then
    say "objects of $NAMESPACE"
    need kubectl
    kinds=configmaps,services,serviceaccounts,persistentvolumeclaims,limitranges,resourcequotas,deployments,statefulsets,cronjobs,horizontalpodautoscalers,poddisruptionbudgets,ingresses,networkpolicies,roles,rolebindings
    kubectl --namespace "$NAMESPACE" get "$kinds" --output json >"$folder/all.json" || die 2 "the cluster's objects could not be read"
    jq '.items |= map(select(.metadata.ownerReferences == null)
            | select((.kind == "ConfigMap" and .metadata.name == "kube-root-ca.crt") | not)
            | select((.kind == "Service" and .metadata.name == "kubernetes") | not)
            | del(.status, .metadata.uid, .metadata.resourceVersion, .metadata.creationTimestamp,
                  .metadata.generation, .metadata.managedFields, .metadata.selfLink,
                  .metadata.annotations["kubectl.kubernetes.io/last-applied-configuration"],
                  .spec.clusterIP, .spec.clusterIPs, .spec.volumeName))' "$folder/all.json" >"$folder/kubernetes.json" ||
        die 2 "the cluster's objects are not as expected"
    rm "$folder/all.json"
fi

# --- evidence: which bundles are pinned; the bundles themselves name their content and are on IPFS
case ${PINATA_JWT:-} in
    '' | CHANGE_ME) ;;
    *)
        say "list of pins"
        need curl
        : >"$folder/pins.jsonl"
        offset=0
        while :; do
            # the token is a secret: by a file descriptor, not among the arguments
            page=$(curl --silent --show-error --fail --max-time 60 --config <(printf 'header = "Authorization: Bearer %s"\n' "$PINATA_JWT") \
                "${PINATA_API_URL:-https://api.pinata.cloud}/data/pinList?status=pinned&pageLimit=1000&pageOffset=$offset") || {
                notes+=("the list of pins stopped at $offset")
                break
            }
            got=$(jq '.rows | length' <<<"$page" 2>/dev/null) &&
                jq -c '.rows[] | {cid: .ipfs_pin_hash, size, date_pinned, name: .metadata.name}' <<<"$page" >>"$folder/pins.jsonl" || {
                notes+=("the list of pins at $offset is not as expected")
                break
            }
            offset=$((offset + got))
            [ "$got" -eq 1000 ] || break
        done
        ;;
esac

# --- can it be read back? A backup that nobody can read is none
say "reading it back"
pg_restore --list "$folder/postgres.dump" >"$folder/contents" || die 3 "the dump cannot be read"
tables=$(grep -c ' TABLE DATA ' "$folder/contents" || true)
[ "$tables" -gt 0 ] || die 3 "the dump holds no table"
rm "$folder/contents"
if [ -e "$folder/redis.rdb" ] && command -v redis-check-rdb >/dev/null; then
    redis-check-rdb "$folder/redis.rdb" >/dev/null || die 3 "the copy of Redis cannot be read"
fi
jq -e '[.ledger[] | select(.debits != .credits)] == []' <<<"$counts" >/dev/null ||
    notes+=("THE LEDGER DOES NOT BALANCE in this backup")

# --- manifest: every file with its checksum, and what a restore must find
files=$(cd "$folder" && for file in *; do
    jq -n --arg name "$file" --arg sha256 "$(sha256sum "$file" | cut -d' ' -f1)" --argjson bytes "$(stat -c %s "$file")" \
        '{name: $name, sha256: $sha256, bytes: $bytes}'
done | jq -s .)
jq -n --arg stamp "$stamp" --arg environment "$environment" --argjson files "$files" --argjson counts "$counts" \
    --arg postgres "$(pg_dump --version)" --arg redis_keys "${keys:-}" --argjson seconds $((SECONDS - began)) \
    --argjson notes "$(printf '%s\n' "${notes[@]}" | jq -R . | jq -s 'map(select(. != ""))')" \
    '{form: 1, stamp: $stamp, environment: $environment, tool: $postgres, seconds: $seconds, notes: $notes,
      files: $files, redis_keys: ($redis_keys | if . == "" then null else tonumber end)} + $counts' >"$folder/manifest.json"

tar --create --gzip --file "$archive.part" --directory "$work" "$stamp" || die 2 "the archive could not be written to $work; is it full?"
tar --list --gzip --file "$archive.part" >/dev/null || die 3 "the archive cannot be read"
mv "$archive.part" "$archive"
{ (cd "$work" && sha256sum "$(basename "$archive")" >"$(basename "$archive").sha256") &&
    cp "$folder/manifest.json" "$archive.manifest.json"; } || {
    rm -f "$archive" "$archive.sha256" "$archive.manifest.json"
    die 2 "the checksum or the manifest could not be written to $work; is it full?"
}

# --- two regions, each by itself: when the first is away the second is what counts
# send_to PLACE: there and whole, and old ones gone; fails with what went wrong said
send_to() {
    local place=$1 part class sent old suffix
    say "sending to $(bucket "$place")"
    # the archive last: what is listed as a backup has everything beside it, also if this is cut short
    for part in "$archive.sha256" "$archive.manifest.json" "$archive"; do
        class=$storage_class
        # small and asked for often: the class for archives has a least size that is paid
        [ "$part" = "$archive" ] || class=STANDARD
        s3 "$place" s3 cp "$part" "s3://$(bucket "$place")/$environment/$(basename "$part")" \
            --storage-class "$class" --sse "${S3_SSE:-aws:kms}" --only-show-errors || return 1
    done
    sent=$(s3 "$place" s3api head-object --bucket "$(bucket "$place")" --key "$environment/$(basename "$archive")" \
        --query ContentLength --output text) || return 1
    if [ "$sent" != "$(stat -c %s "$archive")" ]; then
        say "$(bucket "$place") holds $sent bytes of $(stat -c %s "$archive")"
        return 1
    fi
    # by the stamp in their name; the one just sent is always left
    while read -r old; do
        [[ -n $old && $old < $cutoff && $old != "$stamp" ]] || continue
        for suffix in '' .sha256 .manifest.json; do
            s3 "$place" s3 rm "s3://$(bucket "$place")/$environment/$(archive_name "$old")$suffix" --only-show-errors ||
                say "$old could not be removed from $(bucket "$place")"
        done
    done < <(stamps "$place")
}
if [ "$send" = yes ]; then
    cutoff=$(date -u -d "${KEEP_S3_DAYS:-30} days ago" +%Y%m%dT%H%M%SZ)
    missed=()
    for place in primary dr; do
        send_to "$place" || missed+=("$(bucket "$place")")
    done
    case ${missed[*]:-} in
        '') ;;
        "$S3_DR_BUCKET") die 5 "not sent to $S3_DR_BUCKET; it is in $S3_BUCKET" ;;
        "$S3_BUCKET") die 4 "not sent to $S3_BUCKET; it is in $S3_DR_BUCKET" ;;
        *) die 4 "sent nowhere; it is in $archive" ;;
    esac
fi
find "$work" -maxdepth 1 -name "microcrop-$environment-*.tar.gz*" -mmin "+$((${KEEP_LOCAL_DAYS:-7} * 1440))" -delete

ended=yes
tell "backup of $environment $stamp: $tables tables, $(($(stat -c %s "$archive") / 1024)) KiB, $((SECONDS - began)) s$(printf '; %s' "${notes[@]}" | sed 's/^; $//')"
echo "$archive"
