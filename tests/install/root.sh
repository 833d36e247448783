# shellcheck shell=bash
#
# Minimal systems to try things in: make_root, inside. Sourced after expectations.sh, with python set to the prefix of a Python environment with torch. Skips the test where there can be none.
: "${python:?}"

((EUID == 0)) || skip "only root can make and enter a root file system"
needs debootstrap debootstrap
# shellcheck disable=SC2034  # for those that source this
debian_mirror=${ANCHORAGE_DEBIAN_MIRROR:-http://deb.debian.org/debian}

# No file system may be left mounted below what is removed in the end.
folder=$(mktemp -d)
mounted=()
leave() {
  for ((i = ${#mounted[@]} - 1; i >= 0; --i)); do umount --lazy "${mounted[i]}" || true; done
  rm -rf --one-file-system "$folder"
}
trap leave EXIT

mount_at() { # OPTIONS... WHERE
  mkdir -p "${!#}"
  mount "$@"
  mounted+=("${!#}")
}

# make_root NAME SUITE MIRROR SCRIPT OPTION...: a minimal system with Python, below $folder, with the packages of
# $python as a virtual environment in /opt/python.
make_root() {
  local root=$folder/$1 version
  debootstrap --variant=minbase --include=python3 "${@:5}" "$2" "$root" "$3" ${4:+"$4"} >"$folder/$1.log" 2>&1 ||
    { tail -n 20 "$folder/$1.log" && fail "expected a system of $2 from $3, found the above"; }
  version=$(chroot "$root" python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
  mkdir -p "$root/opt/python/bin" "$root/opt/elsewhere"
  ln -s /usr/bin/python3 "$root/opt/python/bin/python3"
  printf 'home = /usr/bin\ninclude-system-site-packages = false\n' >"$root/opt/python/pyvenv.cfg"
  mount_at --bind -o ro "$(echo "$python"/lib/python3*/site-packages)" "$root/opt/python/lib/$version/site-packages"
  mount_at -t proc proc "$root/proc"
  mount_at --bind -o ro /sys "$root/sys"
}

inside() { # NAME COMMAND...
  chroot "$folder/$1" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root ANCHORAGE_PYTHON=/opt/python "${@:2}"
}
