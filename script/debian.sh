# Sourced by script/matrix and script/test-install: Debians in folders, by debootstrap, from the mirror that apt uses here.
#
#   debian SUITE ROOT           puts a minimal Debian into the folder, whose apt works as this machine's does
#   inside ROOT TMP COMMAND …   runs a command in there, with this checkout under /checkout and the folder TMP under /tmp
#   alone COMMAND …             runs a command with mounts and processes of its own, which end with it, whatever happens
#   end_child                   ends the one that runs; for the trap of the script
#
# Needs root, and script/bootstrap matrix before.

mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' 'Component: main' | head -n 1)
[ -n "$mirror" ] || { echo "$0: apt has no mirror of Debian here; run apt-get update" >&2; exit 1; }
eval "$(apt-config shell http_proxy Acquire::http::Proxy)"
export http_proxy="${http_proxy:-}"
child=

alone() {
  unshare --mount --pid --ipc --fork --kill-child "$@" &
  child=$!
  wait "$child" && result=0 || result=$?
  child=
  return "$result"
}

# Its children, and all that was mounted, go with it.
end_child() {
  if [ -n "$child" ] && kill -KILL "$child" 2>/dev/null; then
    wait "$child" 2>/dev/null || true
    sleep 1
  fi
}

inside() {
  mkdir -p "$1/checkout" "$2"
  chmod 1777 "$2"
  alone --mount-proc="$1/proc" sh -euc '
    root=$1 tmp=$2
    shift 2
    mount --rbind /dev "$root/dev"
    mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
    mount --bind "$tmp" "$root/tmp"
    mount --bind -o ro . "$root/checkout"
    mount --bind -o ro /etc/resolv.conf "$root/etc/resolv.conf"
    exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 http_proxy="$http_proxy" "$@"' sh "$@"
}

debian() {
  alone debootstrap --variant=minbase "$1" "$2" "$mirror" || return
  # Its updates, too: what is built with the headers of a newer server may not load into an older one.
  apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' |
    sort -u | grep -E " $1-(updates|security) main$" >>"$2/etc/apt/sources.list" || true
  apt-config dump | grep -E '^Acquire::(https?|Check-[A-Za-z-]+)(::| )' >"$2/etc/apt/apt.conf.d/90host" || true
  # Installing a server is not to start one, nor to wait for the disk at each file.
  printf '#!/bin/sh\nexit 101\n' >"$2/usr/sbin/policy-rc.d"
  chmod +x "$2/usr/sbin/policy-rc.d"
  mkdir -p "$2/etc/postgresql-common/createcluster.d"
  echo 'create_main_cluster = false' >"$2/etc/postgresql-common/createcluster.d/none.conf"
  echo force-unsafe-io >"$2/etc/dpkg/dpkg.cfg.d/unsafe-io"
}
