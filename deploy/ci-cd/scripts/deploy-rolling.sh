#!/usr/bin/env bash
# Brings an environment to a release by rolling updates: no pod less than before at any moment
# (maxUnavailable 0). For staging and dev; production goes by deploy-blue-green.sh.
#
#   deploy-rolling.sh staging TAG
#
# Order: check, migrate, then everything; then the health check and the smoke tests. Rolls the
# deployments back if one does not come up or the tests fail. A second run at the same time is refused.
# REGISTRY as in render.sh.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=deploy/ci-cd/scripts/place.sh
. "$here/place.sh"

[ $# -eq 2 ] || die "deploy-rolling.sh ENVIRONMENT TAG"
need kubectl curl
environment=$1
tag=$2
overlay=$root/deploy/kubernetes/overlays/$environment
[[ $environment =~ ^[a-z]+$ ]] && [ -d "$overlay/app" ] || die "'$environment' has no overlay in deploy/kubernetes/overlays"
# its Service points at one of two slots: rolling it would point farmers at pods that are not there
[ ! -d "$overlay/blue" ] || die "$environment has two slots and is not rolled: deploy-blue-green.sh"
namespace=$(sed -n 's/^namespace: *//p' "$overlay/app/kustomization.yaml")
deployments=(microcrop-backend microcrop-data-processor microcrop-workers)

work=$(mktemp -d)
applied=no
ended=no
finish() {
    local status=$?
    trap - EXIT
    # a pipeline that is cancelled sends a signal, maybe while the last status was 0
    if [ "$status" -eq 0 ] && [ "$ended" = no ]; then status=1; fi
    if [ "$status" -ne 0 ] && [ "$applied" = yes ]; then
        go_back "${deployments[@]}"
    fi
    leave
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT

"$here/render.sh" "$overlay/app" "$tag" >"$work/manifests.yml"
documents drop "$work/manifests.yml" "${deployments[@]/#/Deployment/}" >"$work/shared.yml"
lock
NAMESPACE=$namespace "$here/migrate.sh" kubernetes "$work/shared.yml"
remember "${deployments[@]}"
applied=yes
kubectl --namespace "$namespace" apply --filename "$work/manifests.yml"
for deployment in "${deployments[@]}"; do
    kubectl --namespace "$namespace" rollout status "deployment/$deployment" --timeout 600s
done
"$here/health-check.sh" "$environment"
"$here/smoke-tests.sh" "$environment"
ended=yes
say "$environment runs $tag"
