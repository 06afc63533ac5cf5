#!/usr/bin/env bash
# Asks the real nginx (NGINX) whether the configuration is one, with and without TLS, and gixy (if given as
# GIXY) whether it is wise. They are asked of a copy, moved from /etc/nginx, whose upstreams are this
# machine: nothing on it is changed, and nobody needs to be root. Called by `cargo xtask deploy-check`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$work/tls" "$work/upstreams"
cp "$here"/{nginx,gateways,trusted-proxies,proxy,headers}.conf "$work/"
cp "$here"/upstreams/*.conf "$work/upstreams/"
cp /etc/nginx/mime.types "$work/"
# nginx looks up the names of upstreams when it reads them
sed -i 's/server backend:/server 127.0.0.1:/' "$work"/upstreams/*.conf

moved() { sed -i "s#/etc/nginx/#$work/#; s# /tmp/nginx# $work/nginx#" "$@"; }
moved "$work"/*.conf
"${NGINX:-nginx}" -t -c "$work/nginx.conf"
cp "$here/tls.conf" "$work/tls/"
moved "$work/tls/tls.conf"
openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost \
    -keyout "$work/tls/tls.key" -out "$work/tls/tls.crt" 2>/dev/null
"${NGINX:-nginx}" -t -c "$work/nginx.conf"
if [ -n "${GIXY:-}" ]; then
    "$GIXY" "$work/nginx.conf"
fi
echo "nginx: accepted with and without TLS"
