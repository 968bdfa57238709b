# Sourced by the other scripts: a private copy of the server with the extension in it, and throwaway clusters.
#
# Nothing is installed into the system. PostgreSQL finds its files relative to its own program, so a copy of
# its programs beside links to its libraries is an installation of its own; `make install` goes there. Whoever is
# root works as the user postgres, or as the one that TEST_USER names, because the server refuses root.
#
#   workshop    makes $work, builds a copy of the checkout there, and removes all of it at exit
#   start NAME  starts a cluster; psql and its kin find it through PGHOST and PGPORT
#   stop NAME   stops it
#   build_tools builds the programs of tools/; they are in $SPINE_TOOLS then, and on the PATH
#   as_user COMMAND …   runs a command as the user who owns the clusters
#   tap NAME prove|perl FILE …   runs TAP tests of the workshop's copy of the checkout; their files go to $work/NAME
#
# SERVER_UNDER="COMMAND …" runs the servers under it (initdb is spared), as script/sanitize needs.

set -eu

major=${PG_MAJOR:-15}
pg_config=${PG_CONFIG:-/usr/lib/postgresql/$major/bin/pg_config}
root=${root:-$(cd "$(dirname "$0")/.." && pwd)}
test_user=${TEST_USER:-postgres}
# All of it is copied.
[ -f "$root/people_os_spine.control" ] || { echo "$root is no checkout of people_os_spine: set root" >&2; exit 1; }

as_user() {
  if [ "$(id -u)" -eq 0 ]; then
    (cd "$work" && runuser -u "$test_user" -- "$@")
  else
    (cd "$work" && "$@")
  fi
}

clean_up() {
  status=$?
  trap - EXIT INT TERM
  for data in "$work"/clusters/*/data; do
    [ -f "$data/postmaster.pid" ] && as_user "$bin/pg_ctl" -D "$data" -m immediate -w stop >/dev/null 2>&1
  done
  [ -n "${keep:-}" ] || rm -rf "$work"
  exit $status
}

# The install: programs copied, for the server looks where its own file lies; all else linked.
install_server() {
  system_bin=$("$pg_config" --bindir)
  system_lib=$("$pg_config" --pkglibdir)
  system_share=$("$pg_config" --sharedir)
  server=$work/server
  bin=$server$system_bin
  # The folders that `make install` writes to are the copy's own.
  mkdir -p "$bin" "$server$system_lib/bitcode" "$server$system_share/extension"
  cp "$system_bin"/* "$bin"/
  for from in "$system_lib" "$system_lib/bitcode" "$system_share" "$system_share/extension"; do
    for file in "$from"/*; do
      [ -e "$server$file" ] || ln -s "$file" "$server$file"
    done
  done
  PATH=$bin:$PATH
  export PATH
  if [ -n "${SERVER_UNDER:-}" ]; then
    printf '#!/bin/sh\nexec %s "%s" "$@"\n' "$SERVER_UNDER" "$bin/postgres" >"$work/postgres"
    chmod 755 "$work/postgres"
  fi
}

build_extension() {
  mkdir "$work/source"
  (cd "$root" && tar -cf - --exclude=./.git --exclude=./build --exclude=node_modules --exclude='*.o' --exclude='*.bc' --exclude='*.so' .) |
    tar -xf - -C "$work/source"
  make -s -C "$work/source" -j"$(nproc)" PG_CONFIG="$pg_config" ${MAKE_OPTIONS:-} >"$work/build.log" 2>&1 &&
    make -s -C "$work/source" install PG_CONFIG="$pg_config" DESTDIR="$server" ${MAKE_OPTIONS:-} >>"$work/build.log" 2>&1 ||
    { cat "$work/build.log" >&2; exit 1; }
  if grep -i 'warning:' "$work/build.log" >&2; then
    echo "the build has warnings" >&2
    exit 1
  fi
}

build_tools() {
  [ -z "${SPINE_TOOLS:-}" ] || return 0
  SPINE_TOOLS=$work/cmake/tools
  { cmake -S "$work/source" -B "$SPINE_TOOLS" -DPG_CONFIG="$pg_config" -DCMAKE_BUILD_TYPE=RelWithDebInfo ${CMAKE_OPTIONS:-} &&
    cmake --build "$SPINE_TOOLS" -j "$(nproc)" --target spine-notary --target spine-verify --target spine_make_evidence; } >"$work/tools.log" 2>&1 ||
    { cat "$work/tools.log" >&2; exit 1; }
  PATH=$PATH:$SPINE_TOOLS
  export PATH SPINE_TOOLS
}

workshop() {
  work=$(mktemp -d "${TMPDIR:-/tmp}/spine.XXXXXX")
  chmod 755 "$work"
  mkdir "$work/clusters"
  bin=$(dirname "$pg_config")
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  install_server
  build_extension
  [ "$(id -u)" -ne 0 ] || chown -R "$test_user:" "$work/clusters" "$work/source"
}

start() {
  cluster=$work/clusters/$1
  as_user mkdir "$cluster"
  as_user "$bin/initdb" -D "$cluster/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 -N >"$work/$1.initdb.log"
  as_user tee -a "$cluster/data/postgresql.conf" >/dev/null <<CONF
listen_addresses = ''
unix_socket_directories = '$cluster'
max_prepared_transactions = 16
CONF
  as_user "$bin/pg_ctl" -D "$cluster/data" -l "$cluster/log" ${SERVER_UNDER:+-p "$work/postgres" -t 600} -w start >/dev/null || { cat "$cluster/log" >&2; exit 1; }
  PGHOST=$cluster PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
  export PGHOST PGPORT PGUSER PGDATABASE
}

stop() {
  as_user "$bin/pg_ctl" -D "$work/clusters/$1/data" -m fast -w stop >/dev/null
}

pgxs_test=$(dirname "$("$pg_config" --pgxs)")/../test

tap() {
  out=$work/$1
  shift
  mkdir -p "$out"
  [ "$(id -u)" -ne 0 ] || chown "$test_user:" "$out"
  as_user env SPINE_TOOLS="${SPINE_TOOLS:-}" PG_REGRESS="$pgxs_test/regress/pg_regress" TESTDIR="$out" TESTDATADIR="$out/data" \
    TESTLOGDIR="$out/log" PERL5LIB="$pgxs_test/perl:$work/source/test/tap" \
    sh -c 'cd "$1" && shift && exec "$@"' sh "$work/source" "$@"
}
