#!/usr/bin/env bash
# Installs the servers that the tests with the feature `real-servers` start: system packages, and Python
# programs in virtual environments under target/servers/. Run again it does only what is missing.
set -euo pipefail
cd "$(dirname "$0")/../.."
servers="$PWD/target/servers"
mkdir -p "$servers"

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

updated=
packages() {
    local missing=() package
    for package in "$@"; do
        dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ -n "$updated" ] || as_root apt-get update -qq
    updated=1
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
}

# venv NAME REQUIREMENT…: made anew where the requirements have changed.
venv() {
    local folder="$servers/$1" wanted
    shift
    wanted="$*"
    [ "$(cat "$folder/installed" 2>/dev/null)" != "$wanted" ] || return 0
    rm -rf "$folder"
    /usr/bin/python3 -m venv "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check "$@"
    printf '%s' "$wanted" >"$folder/installed"
}

# The archive of the Fedora bus: datagrepper on datanommer's tables in PostgreSQL.
datagrepper() {
    packages postgresql python3 python3-venv
    # pkg_resources is in setuptools up to 79.
    venv datagrepper datagrepper==1.1.0 datanommer.models==1.5.0 'setuptools<80' gunicorn
}

# The Fedora bus of today: RabbitMQ, and the publisher of fedora-messaging.
fedora_messaging() {
    # Its package starts a broker of its own, which no test uses.
    local policy=/usr/sbin/policy-rc.d
    if ! dpkg -s rabbitmq-server >/dev/null 2>&1 && [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod +x "$policy"
        packages rabbitmq-server || { as_root rm -f "$policy"; return 1; }
        as_root rm -f "$policy"
    fi
    packages rabbitmq-server python3 python3-venv
    venv fedora-messaging fedora-messaging==3.9.1 pika==1.4.4
}

# The Fedora bus of old: publishers over ZeroMQ that sign.
fedmsg() {
    packages openssl python3 python3-venv
    # Newer versions of these two lack what fedmsg signs with.
    venv fedmsg fedmsg==1.1.7 pyzmq 'cryptography<43' 'pyopenssl<24.3' 'setuptools<80'
}

# What asks the API everything that its description allows, and much that it does not.
schemathesis() {
    packages python3 python3-venv
    venv schemathesis schemathesis==4.32.5 openapi-spec-validator==0.7.2
}

# A browser, what drives it, and what looks for faults of accessibility on a page.
browser() {
    packages chromium chromium-driver
    command -v npm >/dev/null || packages npm
    local version=4.10.3 folder="$servers/axe-core"
    [ "$(cat "$folder/installed" 2>/dev/null)" != "$version" ] || return 0
    rm -rf "$folder"
    mkdir -p "$folder"
    (cd "$folder" && npm pack --silent "axe-core@$version" >/dev/null && tar -xzf "axe-core-$version.tgz")
    printf '%s' "$version" >"$folder/installed"
}

browser
datagrepper
fedora_messaging
fedmsg
schemathesis
