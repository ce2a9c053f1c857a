#!/usr/bin/env bash
# The life of a user's service under a real systemd, with a desktop that comes and goes, in a container
# that is thrown away afterwards: see systemd-lib.sh. Screenshots are left in /out.
. /lab/systemd-lib.sh

dpkg -i /lab/importwatch.deb >/tmp/dpkg 2>&1 || { cat /tmp/dpkg; false; }
# Where a machine has no settings, users bring their own.
rm /etc/importwatch/config.toml

useradd -m bob
number=$(id -u bob)
bob() {
    runuser -u bob -- env HOME=/home/bob XDG_RUNTIME_DIR="/run/user/$number" \
        DBUS_SESSION_BUS_ADDRESS="unix:path=/run/user/$number/bus" "$@"
}
manager=(bob systemctl --user)

# A session of bob's, as a display manager opens it; his service manager comes and, unless he
# lingers, goes with it.
log_in() {
    systemd-run --quiet --unit=session --property=User=bob --property=PAMName=login sleep infinity
    eventually bob systemctl --user is-active --quiet default.target
}
log_out() { systemctl stop session; }
has_manager() { systemctl is-active --quiet "user@$number"; }

desktop() { bob systemd-run --user --quiet --unit=desktop --setenv=DISPLAY=:99 dunst -print -config /lab/dunstrc; }
leave_desktop() { bob systemctl --user stop desktop; }
# Whether the notification server has ever shown something like this.
shown() { journalctl --no-pager -o cat _UID="$number" | grep -E -- "summary: .*$1" >/dev/null; }
picture() { runuser -u bob -- env DISPLAY=:99 import -window root png:- >"/out/$1.png"; }

serve

expect 'a user has the service for good without being root'
mkdir -p /etc/systemd/logind.conf.d
printf '[Login]\nUserStopDelaySec=0\n' >/etc/systemd/logind.conf.d/lab.conf
systemctl restart systemd-logind
log_in
bob install -D -m 0600 /dev/null /home/bob/.config/importwatch/config.toml
bob install -m 0600 /dev/null /home/bob/.config/importwatch/api-key
configure() {
    printf '%s\n[accounts.default]\n%s\n' "[notify]
progress_after = \"1s\"
gather = \"100ms\"" "$(echo "$settings" | sed 's/^\[accounts.default\]/api_key_file = "api-key"/')" \
        >/home/bob/.config/importwatch/config.toml
}
configure
cat /lab/key >/home/bob/.config/importwatch/api-key
bob systemctl --user enable --now importwatch 2>/dev/null
is Type notify
is ActiveState active
is StatusText 'no task is pending'
first=$(property MainPID)
[ "$(stat -c '%U %a' /home/bob/.local/state/importwatch)" = 'bob 700' ]

expect 'what is to be shown waits until there is a desktop'
bob importwatch add --import early good bad
has() { [ "$(entries _UID="$number" "$@")" = "$count" ]; }
count=2 eventually has IMPORTWATCH_IMPORT=early
systemd-run --quiet --unit=screen Xvfb :99 -screen 0 900x600x24 -nolisten tcp
eventually test -S /tmp/.X11-unix/X99
desktop
eventually shown 'early.*rows'
eventually is StatusText 'no task is pending'
picture result

expect 'an import that takes long has a notice that shows how it gets on'
bob importwatch add --import long endless
eventually shown 'long'
picture running

expect 'a key that is refused is one notice, and another is taken over by a reload'
echo app-of-another >/home/bob/.config/importwatch/api-key
bob systemctl --user reload importwatch
eventually shown 'refus'
eventually is_like StatusText '*1 cannot be asked about*'
picture refused
cat /lab/key >/home/bob/.config/importwatch/api-key
bob systemctl --user reload importwatch
count=1 eventually has 'IMPORTWATCH_EVENT=account is well again'
is MainPID "$first"
is NRestarts 0

expect 'wrong settings are refused, and the service goes on'
echo 'nonsense' >>/home/bob/.config/importwatch/config.toml
bob systemctl --user reload importwatch
eventually is_like StatusText '*; the settings as they are now were refused, see the log'
is MainPID "$first"
configure
bob systemctl --user reload importwatch
eventually fails is_like StatusText '*refused, see the log'

expect 'it is started again after a kill, and everything is still there'
bob systemctl --user kill --signal=KILL importwatch
eventually is NRestarts 1
eventually is ActiveState active
is_not MainPID "$first"
eventually is_like StatusText '0 of 1 task settled; *'

expect 'it feeds the watchdog, and is started again when it hangs'
drop_in=/home/bob/.config/systemd/user/importwatch.service.d
bob mkdir -p $drop_in
printf '[Service]\nWatchdogSec=2s\nRestartSec=100ms\n' >$drop_in/fast.conf
bob systemctl --user daemon-reload
bob systemctl --user restart importwatch
fed=$(property WatchdogTimestampMonotonic)
eventually is_not WatchdogTimestampMonotonic "$fed"
before=$(property NRestarts)
bob systemctl --user kill --kill-whom=main --signal=STOP importwatch
eventually is_not NRestarts "$before"
eventually is ActiveState active
rm -r $drop_in
bob systemctl --user daemon-reload
bob systemctl --user restart importwatch
bob importwatch remove --import long >/dev/null

expect 'every restriction that a manager of a user can bring about is in force'
probe user /usr/lib/systemd/user/importwatch.service

expect 'it goes with the last session, and with the next one everything is still there'
systemctl stop server
[ "$(bob importwatch add --import products good2 bad2)" = '2 tasks added to import products' ]
eventually is_like StatusText '0 of 2 tasks settled; *'
log_out
eventually fails has_manager
log_in
eventually is ActiveState active
eventually is_like StatusText '0 of 2 tasks settled; *'

expect 'one who lingers keeps it, and is told at the next desktop what came of it meanwhile'
loginctl enable-linger bob
first=$(property MainPID)
log_out
eventually fails systemctl is-active --quiet session
serve
configure
bob systemctl --user reload importwatch
count=2 eventually has IMPORTWATCH_IMPORT=products
is MainPID "$first"
fails shown 'products.*rows'
log_in
desktop
eventually shown 'products.*rows'
# What stood there before of the same import is gone.
alone() { [ "$(bob dunstctl count displayed)" = 1 ]; }
eventually alone
picture later
is MainPID "$first"

expect 'the service that ends is started after an import, and ends once everything is told'
bob systemctl --user disable --now importwatch 2>/dev/null
bob importwatch add --start --import late good3 2>/tmp/said
grep -q 'started importwatch-once.service' /tmp/said
unit=importwatch-once
eventually is ActiveState inactive
is Result success
eventually shown 'late.*rows'

echo 'the whole life went well'
