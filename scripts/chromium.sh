#!/bin/sh
# Prints the path of a Chromium for the browser tests, after installing Debian's when there is none.
# --find only looks. CHROMIUM_PATH names another one. The headless shell, the same engine without a
# window's frame around it, takes a quarter off these tests.
set -eu

find_chromium() {
    if [ -n "${CHROMIUM_PATH:-}" ]; then
        command -v "$CHROMIUM_PATH"
        return
    fi
    for name in chromium-headless-shell chromium chromium-browser google-chrome google-chrome-stable; do
        if command -v "$name"; then return; fi
    done
    return 1
}

stop() {
    echo "The browser tests need Chromium or Chrome: install one, or name it with CHROMIUM_PATH." >&2
    exit 1
}

if find_chromium; then exit 0; fi
if [ "${1:-}" = --find ] || ! command -v apt-get >/dev/null; then stop; fi

as_root=
if [ "$(id -u)" != 0 ]; then
    if ! sudo -n true 2>/dev/null; then stop; fi
    as_root=sudo
fi
apt() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >&2
}

echo "Installing Chromium and fonts for the browser tests…" >&2
apt update || stop
fonts="fonts-noto-core fonts-noto-cjk fonts-noto-color-emoji"
# shellcheck disable=SC2086  # three packages
apt install -y --no-install-recommends chromium-headless-shell $fonts ||
    apt install -y --no-install-recommends chromium $fonts || stop
find_chromium || stop
