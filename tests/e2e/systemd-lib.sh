# What the scripts share that play the life of a service under a real systemd: see systemd-lab.sh.
# Beside them are the package, the tests as a program, which has the server, and the key that it takes.
#
# Each check says what it expects before it looks, so that the last line printed is the one that
# failed. What takes its time is asked for again, up to twenty seconds.
set -euo pipefail

failed() {
    echo "FAILED: $said (line $1)" >&2
    "${manager[@]}" show importwatch -p ActiveState,MainPID,NRestarts,StatusText >&2
    journalctl --no-pager -n 60 >&2
    exit 1
}
trap 'failed $LINENO' ERR

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
unit=importwatch
property() { "${manager[@]}" show "$unit" -p "$1" --value; }
is() { [ "$(property "$1")" = "$2" ]; }
is_like() { [[ $(property "$1") == $2 ]]; }
is_not() { [ "$(property "$1")" != "$2" ]; }
fails() { ! "$@"; }
# Not grep -q, which would leave before the journal has ended and make it fail.
logs() { journalctl --no-pager -o cat | grep -F -- "$1" >/dev/null; }
# How many entries of the journal have these fields.
entries() { journalctl --no-pager -o cat "$@" | wc -l; }

# Starts the server, and sets $settings to what an account there needs.
serve() {
    rm -f /run/address
    systemd-run --quiet --unit=server --setenv=IMPORTWATCH_TEST_ADDRESS=/run/address \
        /lab/tests --exact units::the_service_of_the_machine_lives_a_whole_life
    eventually test -s /run/address
    settings="[accounts.default]
base_url = \"$(cat /run/address)\"
requests_per_minute = 6000
[poll]
initial_interval = \"100ms\"
max_interval = \"1s\""
}

# Runs the probe as a service with the restrictions of the unit file $2: as the machine's (system) or as a
# user's (user), with more arguments for it.
probe() {
    local of=$1 file=$2 units=/run/systemd/$1
    shift 2
    # A program that does nothing but end with 7, by a system call of 32 bits: int 0x80.
    perl -e 'my $code = "\xb8\x01\0\0\0\xbb\x07\0\0\0\xcd\x80";
        print pack("A4C12SSLQQQLSSSSSS", "\x7fELF", 2, 1, 1, (0) x 9, 2, 62, 1, 0x400078, 64, 0, 0, 64, 56, 1, 0, 0, 0),
            pack("LLQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 120 + length $code, 120 + length $code, 4096), $code' \
        >/usr/local/bin/other-architecture
    chmod 755 /usr/local/bin/other-architecture
    mkdir -p "$units"
    sed -e 's/^Type=.*/Type=oneshot/' -e '/^Restart/d' -e '/^WatchdogSec/d' -e '/^ExecReload/d' \
        -e "s|^ExecStart=.*|ExecStart=/usr/bin/perl /lab/probe.pl $of $*|" "$file" >"$units/importwatch-probe.service"
    "${manager[@]}" daemon-reload
    # Where nothing is restricted, it does what it is not to do.
    local code=0
    /usr/local/bin/other-architecture || code=$?
    [ $code = 7 ]
    "${manager[@]}" start importwatch-probe || { journalctl --no-pager -n 20; false; }
    logs 'every restriction holds'
}
