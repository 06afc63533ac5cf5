#!/usr/bin/env bash
# The first step of README.md, done for real against a stand-in of the cloud: the bucket that remembers is made, a
# second plan finds nothing to do, the state moves into the bucket, and a second Terraform is kept out by the lock.
#
#   rehearse.sh FOLDER SERVER
#
# FOLDER   a copy of deploy/terraform that may be written into; TF_CLI_CONFIG_FILE names a mirror with the aws provider
# SERVER   moto_server, started here on a free port of the loopback and ended here
set -euo pipefail
[ $# -eq 2 ] || { echo "rehearse.sh FOLDER SERVER" >&2; exit 1; }
folder=$1/state server=$2
work=$(mktemp -d)
pid=
leave() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
    rm -rf "$work"
}
trap leave EXIT
die() {
    printf 'error: %s\n' "$*" >&2
    tail -n 30 "$work"/*.log >&2
    exit 1
}

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$server" -H 127.0.0.1 -p "$port" >"$work/server.log" 2>&1 &
pid=$!
url=http://127.0.0.1:$port
for _ in $(seq 150); do
    if curl --silent --fail --output /dev/null "$url/moto-api/"; then break; fi
    kill -0 "$pid" 2>/dev/null || die "the stand-in ended"
    sleep 0.2
done

# no account of anybody's: everything goes to the stand-in, with keys that are none
unset AWS_PROFILE AWS_SESSION_TOKEN AWS_SHARED_CREDENTIALS_FILE AWS_CONFIG_FILE
export AWS_ENDPOINT_URL=$url AWS_ACCESS_KEY_ID=rehearsal AWS_SECRET_ACCESS_KEY=rehearsal AWS_REGION=af-south-1
export AWS_EC2_METADATA_DISABLED=true TF_VAR_region=af-south-1 TF_IN_AUTOMATION=1 CHECKPOINT_DISABLE=1
cd "$folder"
rm -rf .terraform .terraform.lock.hcl terraform.tfstate*
# buckets by path, because names of the stand-in do not resolve
cat >rehearsal_override.tf <<'TF'
provider "aws" {
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
}
TF
run() {
    local name=$1
    shift
    timeout 180 terraform "$@" -no-color -input=false >"$work/$name.log" 2>&1 || die "terraform $*"
}

printf 'terraform {\n  backend "local" {}\n}\n' >backend_override.tf
run init init
run apply apply -auto-approve
made=$(sed -n 's/^Apply complete! Resources: \([0-9]*\) added.*/\1/p' "$work/apply.log")
run again plan -detailed-exitcode
bucket=$(terraform output -raw bucket)

# the bucket takes nothing in the clear, and the stand-in speaks nothing else
curl --silent --fail --request DELETE "$url/$bucket?policy" || die "the policy stays"
rm backend_override.tf
run move init -migrate-state -force-copy -backend-config="bucket=$bucket" -backend-config="region=$AWS_REGION" \
    -backend-config=use_path_style=true
rm -f terraform.tfstate*
run moved plan
[ "$(terraform state list | grep -Evc '(^|\.)data\.')" -eq "$made" ] || die "the bucket remembers other things than were made"

# another one is at work
curl --silent --fail --request PUT --data '{"ID":"another"}' "$url/$bucket/state/terraform.tfstate.tflock" || die "no lock can be laid"
if timeout 60 terraform plan -no-color -input=false >"$work/locked.log" 2>&1; then die "the lock kept nobody out"; fi
grep -q 'Error acquiring the state lock' "$work/locked.log" || die "it was not the lock that kept it out"
rm -f rehearsal_override.tf
echo "$made made, nothing to do a second time, the state moved into its bucket, a second one kept out"
