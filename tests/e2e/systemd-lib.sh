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
