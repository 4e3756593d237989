#!/bin/sh
# Installs what building and running need and this machine lacks, and says so; with --tests also what `make test` needs.
# Debian and its relatives.
set -eu

say() { printf 'setup: %s\n' "$*"; }

if ! command -v cargo >/dev/null 2>&1; then
    say "cargo is missing: install Rust 1.95 or newer from https://rustup.rs, then run this again"
    exit 1
fi

packages=""
need() { # need PROGRAM PACKAGE...
    program=$1
    shift
    command -v "$program" >/dev/null 2>&1 || packages="$packages $*"
}
need cc build-essential
need c++ build-essential
need chromium chromium
need chromedriver chromium-driver
[ -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf ] || packages="$packages fonts-dejavu-core"
[ -d /usr/share/fonts/truetype/liberation ] || packages="$packages fonts-liberation"
need pkg-config pkg-config
library() { # library NAME PACKAGE
    pkg-config --exists "$1" 2>/dev/null || packages="$packages $2"
}
# What xcap, the library that captures the screen, is built with.
library libpipewire-0.3 libpipewire-0.3-dev
library wayland-client libwayland-dev
library gbm libgbm-dev
library egl libegl-dev
library xcb libxcb1-dev
ls /usr/lib/llvm-*/lib/libclang*.so* >/dev/null 2>&1 || packages="$packages libclang-dev"
if [ "${1:-}" = "--tests" ]; then
    # Displays, and the applications of the desktop tests and of the examples.
    need Xvfb xvfb
    need openbox openbox
    need galculator galculator
    need mousepad mousepad
    need xterm xterm
    need zenity zenity
    need Xorg xserver-xorg-core
    need xrandr x11-xserver-utils
    [ -e /usr/lib/xorg/modules/drivers/dummy_drv.so ] || packages="$packages xserver-xorg-video-dummy"
    need php php-cli
    # dokuwiki wants some PHP: with this one no web server comes along.
    [ -e /usr/share/dokuwiki/doku.php ] || packages="$packages php-cgi php-xml dokuwiki"
    need fossil fossil
    need radicale radicale
fi
python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || packages="$packages python3-venv"

if [ -z "$packages" ]; then
    say "nothing is missing"
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
    say "please install by hand:$packages"
    exit 1
fi
as_root=""
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        say "only root can install, and there is no sudo; please run as root:"
        say "  apt-get update && apt-get install -y --no-install-recommends$packages"
        exit 1
    fi
    as_root="sudo"
fi
say "installing$packages"
$as_root apt-get update -qq
# shellcheck disable=SC2086 # a list of words is meant
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $packages >/dev/null
say "done"
