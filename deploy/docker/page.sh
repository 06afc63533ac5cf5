#!/usr/bin/env bash
# Opens the page with phones of a stack that is up: makes two operators, for whom the page releases
# payouts, and starts the sandbox again with their tokens. Its wallets begin anew, so do it before
# anybody has dialled. Called by people, and by `cargo xtask compose-up` with a COMPOSE of its own.
set -euo pipefail
cd "$(dirname "$0")/../.."
read -ra compose <<<"${COMPOSE:-docker compose}"

token() {
    "${compose[@]}" exec -T backend /usr/local/bin/backend operator token \
        --name "$1" --role approver | tail -n 1
}

OPERATOR_TOKENS="$(token Asha),$(token Brian)"
export OPERATOR_TOKENS SANDBOX_PAGE=true
"${compose[@]}" --profile app up --detach --no-deps --no-build --pull never sandbox
echo "http://127.0.0.1:4000"
