#!/bin/sh
# Makes .venv with the locked dependencies; does nothing when it is already so.
# PYTHON names the interpreter to use; otherwise the first python3 that is new enough.
set -eu
cd "$(dirname "$0")/.."

stop() {
    echo "setup: $1" >&2
    exit 1
}

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for name in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if command -v "$name" >/dev/null && new_enough "$name"; then
            command -v "$name"
            return
        fi
    done
    stop "crispsync needs Python 3.11 or newer, and ${PYTHON:-python3} is not; install one or name it with PYTHON=/path/to/python3."
}

# Debian ships `python3 -m venv` without the part that puts pip into it.
need_ensurepip() {
    if "$1" -c 'import ensurepip, venv' 2>/dev/null; then return; fi
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        stop "this Python cannot make virtual environments; install python3-venv (Debian, Ubuntu: apt-get install python3-venv)."
    fi
    DEBIAN_FRONTEND=noninteractive apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv
}

# The folder is part of the state: a virtual environment does not survive being moved.
wanted_state() {
    echo "$PWD"
    cat pyproject.toml uv.lock | cksum
}

if [ -f .venv/setup-done ] && [ "$(cat .venv/setup-done)" = "$(wanted_state)" ] &&
    new_enough .venv/bin/python && [ -x .venv/bin/crispsync ]; then
    exit 0
fi

rm -f .venv/setup-done
# A first line that still names another folder means that the environment was moved here.
if ! new_enough .venv/bin/python || ! .venv/bin/python -m pip --version >/dev/null 2>&1 ||
    { [ -f .venv/bin/pip ] && ! grep -qF "$PWD/.venv/bin/" .venv/bin/pip; }; then
    python=$(find_python)
    need_ensurepip "$python"
    "$python" -m venv --clear .venv
fi
.venv/bin/uv --version >/dev/null 2>&1 ||
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --force-reinstall 'uv>=0.13,<1'
# Compiled once here, the libraries import in a third of the time at every start.
UV_PROJECT_ENVIRONMENT="$PWD/.venv" UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1 \
    .venv/bin/uv sync --quiet --locked --python "$PWD/.venv/bin/python" ||
    stop "the locked dependencies could not be installed; what went wrong is told above."
wanted_state >.venv/setup-done
