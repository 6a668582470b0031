#!/bin/sh
# Usage: setup.sh PYTHON VENV    creates or updates the environment from requirements.lock: by uv, else by pip.
set -eu
python=$1 venv=$2
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Python 3.11 or newer is needed; '$python' is older or missing. Try: make PYTHON=python3.12 setup" >&2
    exit 2
}

by_uv() {
    command -v uv >/dev/null 2>&1 || return 1
    [ -x "$venv/bin/python" ] || uv venv -q --python "$python" "$venv" || return 1
    uv pip sync -q --python "$venv/bin/python" --require-hashes requirements.lock || return 1
    uv pip install -q --python "$venv/bin/python" --no-deps -e . || return 1
}

by_pip() {
    [ -x "$venv/bin/pip" ] || "$python" -m venv --clear "$venv"
    "$venv/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
    "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps -e .
}

echo "Installing into $venv (seconds with uv, minutes with pip) ..."
by_uv || by_pip
