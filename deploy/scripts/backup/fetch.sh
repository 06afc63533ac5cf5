#!/usr/bin/env bash
# Brings a backup to this machine and makes sure of it: fetch.sh PLACE STAMP FOLDER
#   PLACE   primary, dr, local, or the path of an archive (then STAMP is -)
#   STAMP   as list.sh says, or latest
# The archive is compared with its checksum, unpacked into FOLDER, and each file with the manifest.
# Prints the folder that holds manifest.json. Exit 1 wrong call, 3 damaged. Settings: ../lib.sh
set -euo pipefail
# shellcheck source=deploy/scripts/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq tar sha256sum

[ $# -eq 3 ] || die 1 "fetch.sh primary|dr|local|ARCHIVE STAMP|latest|- FOLDER"
place=$1
stamp=$2
folder=$3
case $place in
    primary | dr) [ -n "$(bucket "$place")" ] || die 1 "S3_BUCKET (primary) or S3_DR_BUCKET (dr) is missing" ;;
    local) ;;
    '' | -* | *://*) die 1 "'$place' is neither primary, dr, local nor the path of an archive" ;;
    # it is the archive that is meant, whatever stamp was said
    *)
        [ -e "$place" ] || die 1 "'$place' is neither primary, dr, local nor an archive that is there"
        stamp=-
        ;;
esac
mkdir -p "$folder"
umask 077

if [ "$stamp" = latest ]; then
    stamp=$(stamps "$place" | tail -n 1) || die 1 "$place ($(bucket "$place")) cannot be read"
    [ -n "$stamp" ] || die 1 "$place holds no backup of $environment"
fi
[ "$stamp" = - ] || is_stamp "$stamp" || die 1 "'$stamp' is no stamp; list.sh says which there are"
case $place in
    local) archive=$work/$(archive_name "$stamp") ;;
    primary | dr)
        need aws
        archive=$folder/$(archive_name "$stamp")
        for suffix in '' .sha256; do
            s3 "$place" s3 cp "s3://$(bucket "$place")/$environment/$(archive_name "$stamp")$suffix" "$archive$suffix" --only-show-errors ||
                die 1 "$(bucket "$place") has no $(archive_name "$stamp")$suffix"
        done
        ;;
    *) archive=$place ;;
esac
[ -f "$archive" ] && [ -r "$archive" ] && [ -r "$archive.sha256" ] || die 1 "$archive and its .sha256 are not both there"

(cd "$(dirname "$archive")" && sha256sum --check --status "$(basename "$archive").sha256") || die 3 "$archive is damaged: its checksum differs"
tar --list --gzip --file "$archive" >/dev/null || die 3 "$archive is damaged: it is no whole archive"
# nothing may land outside the folder, whatever the archive says
tar --extract --gzip --file "$archive" --directory "$folder" --no-same-owner || die 2 "$archive could not be unpacked into $folder; is it full?"
inside=$(find "$folder" -maxdepth 2 -name manifest.json -printf '%h\n' | head -n 1)
[ -n "$inside" ] || die 3 "$archive holds no manifest"
jq -er '.files[] | "\(.sha256)  \(.name)"' "$inside/manifest.json" | (cd "$inside" && sha256sum --check --status) ||
    die 3 "a file of $archive differs from its manifest"
[ "$(jq -r .form "$inside/manifest.json")" = 1 ] || die 3 "this manifest is of another form"
is_stamp "$(jq -r .stamp "$inside/manifest.json")" || die 3 "the manifest's stamp is none"
jq -e '([.files[].name] | index("postgres.dump")) and (.tables | type == "object") and (.ledger | type == "object")' \
    "$inside/manifest.json" >/dev/null || die 3 "the manifest speaks of no dump, no rows or no books"
# what nobody has a checksum of is not used
while IFS= read -r -d '' file; do
    jq -e --arg name "$file" 'any(.files[]; .name == $name)' "$inside/manifest.json" >/dev/null ||
        die 3 "$archive holds $file, which its manifest does not know"
done < <(find "$inside" -mindepth 1 ! -name manifest.json -printf '%P\0')
say "checksums of $(basename "$archive") and of its $(jq '.files | length' "$inside/manifest.json") files hold"
echo "$inside"
