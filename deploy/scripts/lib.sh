# shellcheck shell=bash
# What backup, list, verify and restore share: settings, words, the two buckets. Sourced, never run.
#
# Settings, by environment:
#   DATABASE_URL       PostgreSQL as the owner of the tables, so that row-level security hides nothing
#   REDIS_URL          Redis; nothing of it is backed up when not given
#   NAMESPACE          whose objects are written down; none when not given
#   PINATA_JWT         reads the list of pins (PINATA_API_URL, https://api.pinata.cloud); none without
#   ENVIRONMENT        production, staging …: part of every name
#   S3_BUCKET          where backups go; S3_REGION
#   S3_DR_BUCKET       the second region's; S3_DR_REGION
#   S3_ENDPOINT_URL    another S3 than Amazon's, for drills
#   SNS_TOPIC_ARN, SLACK_WEBHOOK_URL   who is told; nobody without
#   BACKUP_DIR         where files are made (/work)
#   KEEP_LOCAL_DAYS 7 · KEEP_S3_DAYS 30

# shellcheck disable=SC2034 # read by those who source this
environment=${ENVIRONMENT:-development}
work=${BACKUP_DIR:-/work}
storage_class=${S3_STORAGE_CLASS:-GLACIER_IR}

say() { printf '%s  %s\n' "$(date -u +%H:%M:%S)" "$*" >&2; }
# die CODE WORDS
die() {
    local code=$1
    shift
    printf 'error: %s\n' "$*" >&2
    exit "$code"
}
need() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || die 1 "$program is not installed"
    done
}

# names of files, keys and patterns are made of it
[[ $environment =~ ^[a-z][a-z0-9-]*$ ]] || die 1 "ENVIRONMENT '$environment' is no name of an environment"
# is_stamp WORD: of the form that backup.sh gives, and so safe in a path, a key and a name
is_stamp() { [[ $1 =~ ^[0-9]{8}T[0-9]{6}Z$ ]]; }

# aws with the region of one of the two buckets: s3 primary|dr …
s3() {
    local which=$1 region
    shift
    if [ "$which" = primary ]; then region=${S3_REGION:-${AWS_REGION:-}}; else region=${S3_DR_REGION:-${AWS_REGION:-}}; fi
    aws ${region:+--region "$region"} ${S3_ENDPOINT_URL:+--endpoint-url "$S3_ENDPOINT_URL"} "$@"
}
bucket() {
    case $1 in
        primary) echo "${S3_BUCKET:-}" ;;
        dr) echo "${S3_DR_BUCKET:-}" ;;
        *) die 1 "'$1' is neither primary nor dr" ;;
    esac
}

# what is told of a backup or a restore; never decides how either ends
tell() {
    say "$1"
    if [ -n "${SNS_TOPIC_ARN:-}" ]; then
        s3 primary sns publish --topic-arn "$SNS_TOPIC_ARN" --subject "MicroCrop backup" --message "$1" >/dev/null ||
            say "SNS did not take the notice"
    fi
    # an empty or unfilled secret is nobody
    case ${SLACK_WEBHOOK_URL:-} in
        https://*)
            jq -n --arg text "$1" '{text: $text}' |
                curl --silent --show-error --fail --max-time 10 --output /dev/null --data-binary @- \
                    --header 'Content-Type: application/json' \
                    --config <(printf 'url = "%s"\n' "$SLACK_WEBHOOK_URL") || say "Slack did not take the notice"
            ;;
    esac
}

# one row a table, and the books' balance: what a restore is compared with. One statement, so that it
# can be asked within the snapshot that the dump is of
counts_sql() {
    cat <<'SQL'
select json_build_object(
    'tables', (
        select json_object_agg(relname, (xpath('/row/n/text()', query_to_xml(
                   format('select count(*) as n from public.%I', relname), false, true, '')))[1]::text::bigint
                   order by relname)
        from pg_class
        where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition),
    'ledger', (
        select coalesce(json_object_agg(currency, json_build_object('debits', debits, 'credits', credits)), '{}')
        from (select currency,
                     sum(amount_minor) filter (where side = 'debit')::text as debits,
                     sum(amount_minor) filter (where side = 'credit')::text as credits
              from public.ledger_entries group by currency order by currency) as sums))
SQL
}

# where a segment is kept: wal_key NAME, in a data folder. By the server's own number, the first eight
# bytes of its control file: a server that was made anew counts its segments from one again, and must
# neither meet nor replace those of the one it follows
wal_key() {
    local system
    system=$(od -An -tu8 -N 8 global/pg_control | tr -d ' ') || return 1
    [ -n "$system" ] || return 1
    echo "$environment/wal/$system/$1.gz"
}

# name of an archive: microcrop-ENVIRONMENT-STAMP.tar.gz; its folder in a bucket is the environment
archive_name() { echo "microcrop-$environment-$1.tar.gz"; }

# the stamps that a place holds, oldest first: stamps primary|dr|local
stamps() {
    if [ "$1" = local ]; then
        find "$work" -maxdepth 1 -name "microcrop-$environment-*.tar.gz" -printf '%f\n'
    else
        s3 "$1" s3api list-objects-v2 --bucket "$(bucket "$1")" --prefix "$environment/" \
            --query 'Contents[].Key' --output text | tr '\t' '\n' | sed 's#.*/##'
    fi | sed -n "s/^microcrop-$environment-\([0-9TZ]*\)\.tar\.gz$/\1/p" | sort
}
