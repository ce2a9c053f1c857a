#!/usr/bin/env bash
# The life of both units under a real systemd, in a container that is thrown away afterwards: see
# systemd-lab.sh. Beside this script are the program, the folder systemd of the project, the tests as
# a program, which has the server, and the key that it takes.
#
# Each check says what it expects before it looks, so that the last line printed is the one that
# failed. What takes its time is asked for again, up to twenty seconds.
set -euo pipefail

failed() {
    echo "FAILED: $said" >&2
    "${manager[@]}" show importwatch -p ActiveState,MainPID,NRestarts,StatusText >&2
    journalctl --no-pager -n 60 >&2
    exit 1
}
trap failed ERR

said=
expect() { said=$1; echo "- $1"; }

eventually() {
    for _ in $(seq 400); do
        if "$@"; then return 0; fi
        sleep 0.05
    done
    return 1
}

# Of either manager: the functions below are told which by $manager.
manager=(systemctl)
property() { "${manager[@]}" show importwatch -p "$1" --value; }
is() { [ "$(property "$1")" = "$2" ]; }
is_like() { [[ $(property "$1") == $2 ]]; }
is_not() { [ "$(property "$1")" != "$2" ]; }
fails() { ! "$@"; }
# Not grep -q, which would leave before the journal has ended and make it fail.
logs() { journalctl --no-pager -o cat | grep -F -- "$1" >/dev/null; }

# Starts the server, and sets $settings to what an account there needs.
serve() {
    rm -f /run/address
    systemd-run --quiet --unit=server --setenv=IMPORTWATCH_TEST_ADDRESS=/run/address \
        /lab/tests --exact units::both_units_live_a_whole_life_under_a_real_systemd
    eventually test -s /run/address
    settings="[accounts.default]
base_url = \"$(cat /run/address)\""
}

### The service of the machine

install -m 0755 /lab/importwatch /usr/local/bin/
install -m 0644 /lab/systemd/system/importwatch.service /etc/systemd/system/
install -D -m 0644 /lab/systemd/importwatch.sysusers /etc/sysusers.d/importwatch.conf
systemd-sysusers
systemctl daemon-reload
useradd -m alice
useradd -m mallory
usermod -aG importwatch alice
alice() { runuser -u alice -- "$@"; }

serve

expect 'without the directory of keys the start fails, and systemd says that it is about credentials'
fails systemctl start importwatch
is ExecMainStatus 243
systemctl stop importwatch

expect 'without settings the start fails, says which file is missing, and is not tried again'
install -d -m 0755 /etc/importwatch
install -d -m 0700 /etc/importwatch/credentials
fails systemctl start importwatch
is ActiveState failed
is NRestarts 0
eventually logs 'the settings file /etc/importwatch/config.toml'

expect 'without a key as well'
echo "$settings" >/etc/importwatch/config.toml
fails systemctl start importwatch
is ActiveState failed
is NRestarts 0
eventually logs 'there is no key for the account default'

expect 'it starts once the key is there, and says that it is ready'
install -m 0600 /dev/null /etc/importwatch/credentials/default
cat /lab/key >/etc/importwatch/credentials/default
systemctl enable --now importwatch
is Type notify
is ActiveState active
is StatusText 'no task is pending'
first=$(property MainPID)

expect 'its state is shared with its group and with no one else'
[ "$(stat -c '%U:%G %a' /var/lib/importwatch)" = 'importwatch:importwatch 2770' ]
for file in state.db lock doorbell; do
    [ "$(stat -c '%U:%G %a' "/var/lib/importwatch/$file")" = 'importwatch:importwatch 660' ]
done
fails runuser -u mallory -- importwatch add nothing

expect 'the key is nowhere but in the credential'
fails grep -qf /lab/key "/proc/$first/environ" "/proc/$first/cmdline"
fails alice cat /etc/importwatch/credentials/default

expect 'tasks settle, and the log says so'
[ "$(alice importwatch add --import early good bad)" = '2 tasks added to import early' ]
settled() { journalctl --no-pager -o cat _PID="$first" | grep "task settled.* task=$1 .* outcome=$2" >/dev/null; }
eventually settled good available
eventually settled bad failed
eventually is StatusText 'no task is pending'

# Without a server, what is added now stays pending.
systemctl stop server

expect 'a member of the group adds tasks, and the running service sees them'
[ "$(alice importwatch add --import products one two)" = '2 tasks added to import products' ]
eventually is_like StatusText '0 of 2 tasks settled; *'
alice importwatch list --json | grep '"id":"two"' >/dev/null

expect 'an add that is killed halfway leaves the service as it was'
mkfifo /tmp/ids
alice importwatch add --import large - </tmp/ids &
adding=$!
exec 3>/tmp/ids
seq -f 'task-%.0f' 15000 >&3
# It stores ten thousand at a time, and rings when it has stored them all.
lists() { [ "$(alice importwatch list --json | wc -l)" = "$1" ]; }
eventually lists 10004
kill -KILL "$(pgrep -u alice -x importwatch)"
fails wait "$adding"
exec 3>&-
[ "$(alice importwatch add --import products three)" = '1 task added to import products' ]
eventually is_like StatusText '0 of 10,003 tasks settled; *'
is MainPID "$first"

expect 'it is started again after a kill, and everything is still there'
systemctl kill --signal=KILL importwatch
eventually is NRestarts 1
eventually is ActiveState active
is_not MainPID "$first"
eventually is_like StatusText '0 of 10,003 tasks settled; *'

expect 'it stops cleanly'
systemctl stop importwatch
is ActiveState inactive
is Result success

expect 'a member of the group works without it and does not keep it from starting'
alice importwatch list >/tmp/list
grep -q three /tmp/list
alice importwatch add four 2>/tmp/said
grep -q 'no daemon is running on /var/lib/importwatch' /tmp/said
systemctl start importwatch
is_like StatusText '0 of 10,004 tasks settled*'

expect 'it feeds the watchdog, and is started again when it hangs'
mkdir -p /etc/systemd/system/importwatch.service.d
printf '[Service]\nWatchdogSec=1s\nRestartSec=100ms\n' \
    >/etc/systemd/system/importwatch.service.d/fast.conf
systemctl daemon-reload
systemctl restart importwatch
for _ in 1 2 3; do
    fed=$(property WatchdogTimestampMonotonic)
    eventually is_not WatchdogTimestampMonotonic "$fed"
done
is NRestarts 0
hung=$(property MainPID)
systemctl kill --kill-whom=main --signal=STOP importwatch
eventually is NRestarts 1
eventually is ActiveState active
is_not MainPID "$hung"
eventually logs 'Watchdog timeout'
systemctl stop importwatch

### The service of a user

useradd -m bob
loginctl enable-linger bob
number=$(id -u bob)
bob() {
    runuser -u bob -- env HOME=/home/bob XDG_RUNTIME_DIR="/run/user/$number" \
        DBUS_SESSION_BUS_ADDRESS="unix:path=/run/user/$number/bus" "$@"
}
manager=(bob systemctl --user)

expect 'a user installs the service without being root'
eventually bob systemctl --user is-active --quiet default.target
# Where the program is the machine's, the settings of the machine would count.
rm -r /usr/local/bin/importwatch /etc/importwatch
serve
program=/home/bob/.cargo/bin/importwatch
bob install -D -m 0755 /lab/importwatch $program
bob install -D -m 0644 /lab/systemd/user/importwatch.service \
    /home/bob/.config/systemd/user/importwatch.service
bob install -D -m 0600 /dev/null /home/bob/.config/importwatch/config.toml
bob install -m 0600 /dev/null /home/bob/.config/importwatch/api-key
printf '%s\napi_key_file = "api-key"\n' "$settings" >/home/bob/.config/importwatch/config.toml
cat /lab/key >/home/bob/.config/importwatch/api-key
bob systemctl --user daemon-reload
bob systemctl --user enable --now importwatch
is Type notify
is ActiveState active
is StatusText 'no task is pending'
first=$(property MainPID)
[ "$(stat -c '%U %a' /home/bob/.local/state/importwatch)" = 'bob 700' ]

expect 'its notices reach the desktop'
systemd-run --quiet --unit=screen Xvfb :99 -nolisten tcp
eventually test -S /tmp/.X11-unix/X99
bob systemd-run --user --quiet --unit=desktop --setenv=DISPLAY=:99 dunst -print
bob $program add --import early good bad
shown() { journalctl --no-pager -o cat _UID="$number" | grep "summary: .*early" >/dev/null; }
eventually shown
eventually is StatusText 'no task is pending'
systemctl stop server

expect 'it sees what is added, and is started again after a kill'
[ "$(bob $program add --import products one two)" = '2 tasks added to import products' ]
eventually is_like StatusText '0 of 2 tasks settled; *'
bob systemctl --user kill --signal=KILL importwatch
eventually is NRestarts 1
eventually is ActiveState active
is_not MainPID "$first"
eventually is_like StatusText '0 of 2 tasks settled; *'

expect 'it stops cleanly'
bob systemctl --user stop importwatch
is ActiveState inactive
is Result success

echo 'the whole life went well'
