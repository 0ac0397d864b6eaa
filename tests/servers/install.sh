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

# What asks the API everything that its description allows, and much that it does not.
schemathesis() {
    packages python3 python3-venv
    venv schemathesis schemathesis==4.32.5 openapi-spec-validator==0.7.2
}

datagrepper
schemathesis
