#!/usr/bin/env bash
# Installs the programs of other projects that the tests talk to: as root on Debian, with their
# services kept from starting now and at the next boot. Elsewhere it installs nothing, and each
# test says which peer it misses.
set -euo pipefail

packages=(
    bind9 bind9-utils bind9-dnsutils # named, named-checkzone, dig
    unbound
    nsd
    knot           # knotd
    knot-dnsutils  # kdig
    pdns-recursor
    knot-resolver  # kresd
    minisign       # signatures of artefacts
    curl           # DNS over HTTPS by hand
    systemd procps # systemd-analyze, and the kill that the unit names
    iproute2 xz-utils # a network of a test's own, and lists as they are recorded
)
services=(named unbound unbound-resolvconf nsd knot pdns-recursor)

is_installed() {
    [ "$(dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo 'Not root on Debian: peers are taken as they are installed, and tests without one are skipped.' >&2
    exit 0
fi

missing=()
for package in "${packages[@]}"; do
    is_installed "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
echo "Installing ${missing[*]}" >&2

# Debian asks this file before it starts a service (policy-rc.d(8)); 101 is "no".
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet=2
apt-get install --quiet=2 --yes --no-install-recommends "${missing[@]}" >&2

# Installation marks services to start at boot, where they would take port 53.
for service in "${services[@]}"; do
    case " ${missing[*]} " in
    *" ${service/named/bind9} "* | *" ${service%-resolvconf} "*)
        systemctl disable --quiet "$service" 2>/dev/null || true
        ;;
    esac
done
