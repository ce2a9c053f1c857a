#!/usr/bin/env bash
# Runs a script under a real systemd on a machine that runs none: boots a copy-on-write image of this
# machine's own files as a container, runs SCRIPT in it as root, and leaves nothing behind.
#
# usage: systemd-lab.sh SCRIPT OUT     as root; the script's folder is /lab in the container, read-only,
#                                      and the folder OUT is /out
#
# Ends as the script does; with 90 or more if there was no systemd to run it under.
set -u
script=$(readlink -f "$1")
out=$(readlink -f "$2")
name=lab$$
root=$(mktemp -d -t "$name.XXXXXX")
container=

cleanup() {
    if [ -n "$container" ] && kill -TERM "$container" 2>/dev/null; then
        for _ in $(seq 50); do kill -0 "$container" 2>/dev/null || break; sleep 0.1; done
        kill -KILL "$container" 2>/dev/null
    fi
    umount -l "$root/o/merged" "$root/o" 2>/dev/null
    for group in /sys/fs/cgroup/{systemd,unified}/"$name"; do
        for _ in $(seq 20); do
            [ -d "$group" ] || break
            find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.1
        done
    done
    rm -rf "$root"
}
trap cleanup EXIT

mkdir "$root/o" && mount -t tmpfs -o size=2g tmpfs "$root/o" &&
    mkdir "$root"/o/{upper,work,merged} &&
    mount -t overlay overlay -o "lowerdir=/,upperdir=$root/o/upper,workdir=$root/o/work" \
        "$root/o/merged" || exit 90

(
    # Two containers in one control group would end each other's processes.
    for hierarchy in /sys/fs/cgroup/{systemd,unified}; do
        [ -d "$hierarchy" ] || continue
        mkdir "$hierarchy/$name" && echo "$BASHPID" >"$hierarchy/$name/cgroup.procs" || exit 91
    done
    # Containers have no keyrings unless they are given the calls, and systemd then gives services none.
    exec systemd-nspawn -q --register=no --keep-unit --machine="$name" --console=pipe \
        --kill-signal=SIGRTMIN+3 --private-network --system-call-filter=@keyring -D "$root/o/merged" \
        --bind-ro="$(dirname "$script")":/lab --bind="$out":/out -b systemd.unit=multi-user.target \
        systemd.mask=systemd-networkd-wait-online.service \
        systemd.mask=apt-daily.timer systemd.mask=apt-daily-upgrade.timer
) </dev/null >"$root/console" 2>&1 &
container=$!

inside() { nsenter -t "$leader" -a -- "$@"; }

leader=
state=
for _ in $(seq 300); do
    if ! kill -0 "$container" 2>/dev/null; then
        container=
        echo 'the container ended before systemd was up:' >&2
        tail "$root/console" >&2
        exit 92
    fi
    for process in $(pgrep -P "$container"); do
        [ "$(cat "/proc/$process/comm" 2>/dev/null)" = systemd ] && leader=$process
    done
    [ -n "$leader" ] && state=$(inside timeout 5 systemctl is-system-running 2>/dev/null)
    # A unit of the machine that fails in a container is no concern of ours.
    case "$state" in running | degraded) break ;; esac
    sleep 0.1
done
case "$state" in
running | degraded) ;;
*)
    echo "systemd is not up: ${state:-no answer}" >&2
    tail "$root/console" >&2
    exit 93
    ;;
esac

inside bash "/lab/$(basename "$script")"
code=$?
inside systemctl poweroff 2>/dev/null
for _ in $(seq 150); do
    kill -0 "$container" 2>/dev/null || { container=; break; }
    sleep 0.1
done
exit "$code"
