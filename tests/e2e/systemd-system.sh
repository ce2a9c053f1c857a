#!/usr/bin/env bash
# The life of the machine's service under a real systemd, from the installation of the package to its
# purge, in a container that is thrown away afterwards: see systemd-lib.sh.
. /lab/systemd-lib.sh

install_package() { apt-get -qy --allow-downgrades install "$1" >/tmp/apt 2>&1 || { cat /tmp/apt; return 1; }; }
version() { dpkg-query -W -f '${Version}' importwatch; }
# Whether the service runs the program that is installed.
runs_installed() { cmp -s "/proc/$(property MainPID)/exe" /usr/bin/importwatch; }

# An older version, whose program is another file.
dpkg-deb -R /lab/importwatch.deb /tmp/old
sed -i 's/^Version: .*/Version: 0.0.1-1/' /tmp/old/DEBIAN/control
echo older >>/tmp/old/usr/bin/importwatch
rm -f /tmp/old/DEBIAN/md5sums
dpkg-deb --root-owner-group -Znone -b /tmp/old /tmp/older.deb >/dev/null

useradd -m alice
useradd -m mallory
alice() { runuser -u alice -- "$@"; }

expect 'the package brings program, units, settings, manual pages and completions, and starts nothing'
install_package /tmp/older.deb
[ "$(version)" = 0.0.1-1 ]
usermod -aG importwatch alice
importwatch --version
is UnitFileState disabled
is ActiveState inactive
for file in /etc/importwatch/config.toml /usr/share/man/man1/importwatch.1.gz \
    /usr/share/man/man1/importwatch-add.1.gz /usr/lib/systemd/user/importwatch.service \
    /usr/lib/systemd/user/importwatch-once.service \
    /usr/share/bash-completion/completions/importwatch \
    /usr/share/zsh/vendor-completions/_importwatch \
    /usr/share/fish/vendor_completions.d/importwatch.fish; do
    test -s $file
done
[ "$(stat -c '%U %a' /etc/importwatch/credentials)" = 'root 700' ]
[ "$(dpkg-query -W -f '${Conffiles}' importwatch | cut -d' ' -f2)" = /etc/importwatch/config.toml ]

serve

expect 'without a key the start fails, says so as an error, and is not tried again'
echo "$settings" >/etc/importwatch/config.toml
fails systemctl start importwatch
is ActiveState failed
is ExecMainStatus 2
is NRestarts 0
eventually logs 'there is no key for the account default'
[ "$(entries -p err -u importwatch -g 'there is no key for the account default')" -ge 1 ]

expect 'without the directory of keys the start fails, and systemd says that it is about credentials'
rmdir /etc/importwatch/credentials
fails systemctl start importwatch
is ExecMainStatus 243
install -d -m 0700 /etc/importwatch/credentials

expect 'it starts once the key is there, and says that it is ready'
install -m 0600 /dev/null /etc/importwatch/credentials/default
cat /lab/key >/etc/importwatch/credentials/default
systemctl enable --now importwatch 2>/dev/null
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

expect 'tasks settle, and the journal has them by import, task and outcome, each with its priority'
[ "$(alice importwatch add --import early good bad)" = '2 tasks added to import early' ]
has() { [ "$(entries -u importwatch "$@")" = "$count" ]; }
count=2 eventually has IMPORTWATCH_IMPORT=early
count=1 has IMPORTWATCH_TASK=good IMPORTWATCH_OUTCOME=available IMPORTWATCH_ACCOUNT=default PRIORITY=6
count=1 has IMPORTWATCH_TASK=bad IMPORTWATCH_OUTCOME=failed PRIORITY=3 _PID="$first"
count=2 has 'IMPORTWATCH_EVENT=task settled'
count=0 has IMPORTWATCH_IMPORT=other
logs 'task settled task=bad import=early account=default outcome=failed'
eventually is StatusText 'no task is pending'

expect 'a reload takes over what is right'
sed -i 's/max_interval = .*/max_interval = "2s"/' /etc/importwatch/config.toml
systemctl reload importwatch
eventually logs 'the settings were read again; this has changed accounts=0 poll=true'
eventually is ActiveState active
is MainPID "$first"

expect 'a reload refuses what is wrong, says why, and the service goes on'
sed -i 's/max_interval/max_intervall/' /etc/importwatch/config.toml
systemctl reload importwatch
eventually is StatusText 'no task is pending; the settings as they are now were refused, see the log'
[ "$(entries -p err -u importwatch -g 'max_intervall')" = 1 ]
is ActiveState active
is MainPID "$first"
sed -i 's/max_intervall/max_interval/' /etc/importwatch/config.toml
systemctl reload importwatch
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
lists() { [ "$(alice importwatch list --json | wc -l)" -ge "$1" ]; }
eventually lists 10000
kill -KILL "$(pgrep -u alice -x importwatch)"
fails wait "$adding"
exec 3>&-
[ "$(alice importwatch add --import products three)" = '1 task added to import products' ]
eventually is_like StatusText '0 of 1?,??? tasks settled; *'
is MainPID "$first"

expect 'it is started again after a kill, and everything is still there'
all=$(alice importwatch list --json | wc -l)
systemctl kill --signal=KILL importwatch
eventually is NRestarts 1
eventually is ActiveState active
is_not MainPID "$first"
eventually is_like StatusText '0 of 1?,??? tasks settled; *'
[ "$(alice importwatch list --json | wc -l)" = "$all" ]
alice importwatch remove --import large >/dev/null

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
eventually is_like StatusText '0 of 4 tasks settled*'

expect 'another key comes with a restart, which loses nothing'
echo app-of-another >/etc/importwatch/credentials/default
serve
echo "$settings" >/etc/importwatch/config.toml
systemctl restart importwatch
eventually is_like StatusText '0 of 4 tasks settled; 4 cannot be asked about*'
[ "$(entries -p err -u importwatch IMPORTWATCH_EVENT='account refused')" = 1 ]
cat /lab/key >/etc/importwatch/credentials/default
systemctl restart importwatch
eventually logs 'account is well again'
eventually is_like StatusText '0 of 4 tasks settled; *'
systemctl stop server

expect 'it feeds the watchdog, and is started again when it hangs'
mkdir -p /etc/systemd/system/importwatch.service.d
printf '[Service]\nWatchdogSec=2s\nRestartSec=100ms\n' \
    >/etc/systemd/system/importwatch.service.d/fast.conf
systemctl daemon-reload
systemctl restart importwatch
for _ in 1 2 3; do
    fed=$(property WatchdogTimestampMonotonic)
    eventually is_not WatchdogTimestampMonotonic "$fed"
done
before=$(property NRestarts)
hung=$(property MainPID)
systemctl kill --kill-whom=main --signal=STOP importwatch
eventually is_not NRestarts "$before"
eventually is ActiveState active
is_not MainPID "$hung"
eventually logs 'Watchdog timeout'
rm -r /etc/systemd/system/importwatch.service.d
systemctl daemon-reload

expect 'every restriction is in force'
# Something of root's that it must not see.
touch /home/alice/secret /tmp/secret
probe system /usr/lib/systemd/system/importwatch.service "$(readlink /proc/1/ns/{mnt,ipc,uts} | tr '\n' ' ')"
# The container has no control of devices that it could lend: systemd must at least have taken it over.
is DevicePolicy closed

expect 'what it leaves in shared memory goes with it, also where that is not its own alone'
leave() {
    sed -e 's/^Type=.*/Type=oneshot/' -e '/^Restart/d' -e '/^WatchdogSec/d' -e 's/^PrivateIPC=.*/PrivateIPC=no/' \
        -e "s/^RemoveIPC=.*/RemoveIPC=$1/" \
        -e "s|^ExecStart=.*|ExecStart=/usr/bin/perl -e 'shmget(1234, 4096, 01600) // die'|" \
        /usr/lib/systemd/system/importwatch.service >/run/systemd/system/importwatch-leave.service
    systemctl daemon-reload
    systemctl start importwatch-leave
}
# By its key, 1234.
left() { ipcs -m | grep -w 0x000004d2 >/dev/null; }
# As long as anything of the same user runs, nothing is taken away.
systemctl stop importwatch
leave no
left
leave yes
eventually fails left

expect 'the service that ends is started after an import, and ends once everything is settled and told'
# By the recipe for a chat as the README has it, which works under the restrictions, too.
systemctl disable --now importwatch 2>/dev/null
alice importwatch remove --import products >/dev/null
alice importwatch list --json --pending | grep -o '"id":"[^"]*"' | cut -d'"' -f4 | alice xargs importwatch remove >/dev/null
serve
perl -MIO::Socket::INET -e '$| = 1;
    my $server = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1:8099") or die;
    while (my $client = $server->accept) {
        my $length = 0;
        while (<$client>) { $length = $1 if /^content-length: (\d+)/i; last if /^\r\n$/; }
        read $client, my $body, $length;
        print "$body\n";
        print $client "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    }' >/run/chat &
awk '/^```sh$/ { text = ""; inside = 1; next } /^```$/ { if (text ~ /^#!/ && text ~ /webhook/) printf "%s", text; inside = 0 }
    inside { text = text $0 "\n" }' /lab/README.md >/usr/local/bin/tell-team
chmod 755 /usr/local/bin/tell-team
echo 'url = "http://127.0.0.1:8099/"' | install -m 0640 -g importwatch /dev/stdin /etc/importwatch/webhook
printf '%s\n[notify]\ncommand = ["tell-team"]\n' "$settings" >/etc/importwatch/config.toml
importwatch remove --import early >/dev/null
importwatch add --start --import late good bad 2>/tmp/said
grep -q 'started importwatch-once.service' /tmp/said
unit=importwatch-once
eventually is ActiveState inactive
is Result success
unit=importwatch
[ "$(entries -u importwatch-once IMPORTWATCH_IMPORT=late)" = 2 ]
grep -qF '"text": "late: 7 of 14 rows did not go in' /run/chat
kill %%
rm /etc/importwatch/webhook
echo "$settings" >/etc/importwatch/config.toml
systemctl stop server

expect 'the service that goes on for good takes over from it'
importwatch add --start endless 2>/tmp/said
grep -q 'started importwatch-once.service' /tmp/said
systemctl start importwatch
unit=importwatch-once
is ActiveState inactive
unit=importwatch
is ActiveState active
eventually is_like StatusText '0 of 1 task settled; *'
importwatch add --start endless 2>/tmp/said
grep -q 'a daemon is running already' /tmp/said

# What must be as it was, whichever version comes in its place while it runs.
goes_on() {
    is ActiveState active
    is UnitFileState enabled
    is_not MainPID "$before"
    is Result success
    runs_installed
    eventually is_like StatusText '0 of 1 task settled; *'
    importwatch list --json --pending | grep '"id":"endless"' >/dev/null
    grep -q base_url /etc/importwatch/config.toml
    test -s /etc/importwatch/credentials/default
}

expect 'an upgrade goes on with the new version, and loses nothing'
systemctl enable importwatch 2>/dev/null
runs_installed
before=$(property MainPID)
install_package /lab/importwatch.deb
fails test "$(version)" = 0.0.1-1
fails cmp -s /tmp/old/usr/bin/importwatch /usr/bin/importwatch
goes_on

expect 'so does the way back'
before=$(property MainPID)
install_package /tmp/older.deb
cmp /tmp/old/usr/bin/importwatch /usr/bin/importwatch
goes_on

expect 'a removal stops it, and keeps what is the user of it'
dpkg -r importwatch >/dev/null 2>&1
fails systemctl is-active --quiet importwatch
fails systemctl is-enabled --quiet importwatch
fails test -e /usr/bin/importwatch
test -s /etc/importwatch/config.toml
test -s /etc/importwatch/credentials/default
test -s /var/lib/importwatch/state.db

expect 'installed again, everything is still there'
install_package /lab/importwatch.deb
importwatch list --json --pending | grep '"id":"endless"' >/dev/null

expect 'a purge leaves nothing behind'
systemctl enable --now importwatch 2>/dev/null
dpkg -P importwatch >/dev/null 2>&1
fails test -e /etc/importwatch
fails test -e /var/lib/importwatch
[ -z "$(find /etc/systemd /usr/lib/systemd /usr/share/man /usr/share/doc -name 'importwatch*')" ]
fails systemctl cat importwatch
fails pgrep -x importwatch

echo 'the whole life went well'
