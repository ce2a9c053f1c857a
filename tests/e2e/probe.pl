# Tries from inside a service what its restrictions forbid, by the name of each.
# Numbers of system calls are those of x86-64. Called with `system` and the namespaces of PID 1 (mnt, ipc,
# uts), or with `user`, which has those restrictions alone that a user's manager can bring about.
use strict;
use warnings;
use Errno;
use POSIX ();
use Socket;

my @fell;
sub holds { my ($name, $holds) = @_; push @fell, $name unless $holds; }
sub text { open my $file, '<', $_[0] or return ''; local $/; my $text = <$file>; return $text // ''; }
sub writes { return open(my $file, '>>', $_[0]) ? 1 : 0; }
sub call { my $result = syscall($_[0], @_[1 .. $#_]); return $result; }

my ($of, $mounts, $ipc, $uts) = @ARGV;
my $status = text('/proc/self/status');
my $state = $of eq 'system' ? $ENV{STATE_DIRECTORY} : "$ENV{HOME}/.local/state/importwatch";
holds('NoNewPrivileges', $status =~ /^NoNewPrivs:\s*1$/m);
holds('SystemCallFilter', $status =~ /^Seccomp:\s*2$/m);
holds('UMask', umask == ($of eq 'system' ? 0007 : 0077));
holds('LimitCORE', text('/proc/self/limits') =~ /^Max core file size\s+0\s+0\s/m);
holds('RestrictAddressFamilies', !socket(my $netlink, 16, SOCK_RAW, 0) && $!{EAFNOSUPPORT} && !socket(my $packet, 17, SOCK_RAW, 0) && $!{EAFNOSUPPORT});
holds('RestrictRealtime', call(144, $$, 1, pack('i', 1)) == -1 && $!{EPERM});
holds('RestrictNamespaces', call(272, 0x10000000) == -1 && $!{EPERM});
holds('LockPersonality', call(135, 0x0008) == -1);
my $file = "$state/suid";
writes($file);
holds('RestrictSUIDSGID', !chmod(04755, $file) && $!{EPERM});
unlink $file;
# A program whose one system call is of another architecture: it is ended by that.
holds('SystemCallArchitectures', (system('/usr/local/bin/other-architecture') & 127) == POSIX::SIGSYS);
# Each of these is in a group of system calls that is not allowed.
my %denied = (clock_settime => 227, clock_adjtime => 305, mount => 165, ptrace => 101, reboot => 169, init_module => 175, settimeofday => 164,
    sethostname => 170, chroot => 161, bpf => 321, setpriority => 141);
for my $name (sort keys %denied) {
    holds("SystemCallFilter: $name", call($denied{$name}, 0, 0, 0, 0, 0) == -1 && $!{EPERM});
}

# What it needs is not cut off.
holds('its state can be written', writes("$state/probe"));
unlink "$state/probe";
holds('the network is there', socket(my $inet, PF_INET, SOCK_STREAM, 0) && socket(my $inet6, PF_INET6, SOCK_STREAM, 0));
if ($of eq 'user') {
    holds('its settings can be read', -r "$ENV{HOME}/.config/importwatch/config.toml");
    my $bus = "$ENV{XDG_RUNTIME_DIR}/bus";
    my $unix;
    holds('the session bus can be reached', socket($unix, PF_UNIX, SOCK_STREAM, 0) && connect($unix, pack_sockaddr_un($bus)));
} else {
    holds('its key can be read', -s "$ENV{CREDENTIALS_DIRECTORY}/api-key_default");
    holds('its settings can be read', -r '/etc/importwatch/config.toml');
}

if ($of eq 'system') {
    holds('User', $> == getpwnam('importwatch') && $> != 0);
    holds('CapabilityBoundingSet', $status =~ /^CapBnd:\s*0+$/m && $status =~ /^CapAmb:\s*0+$/m);
    holds('LoadCredential', !opendir(my $keys, '/etc/importwatch/credentials'));
    holds('ProtectSystem', !writes('/usr/probe') && !writes('/etc/probe') && !writes('/var/lib/probe') && $!{EROFS});
    holds('ProtectHome', !-e '/home/alice');
    holds('PrivateTmp', !-e '/tmp/secret' && writes('/tmp/of-probe'));
    holds('PrivateDevices', !-e '/dev/kmsg' && !-e '/dev/mem' && !-e '/dev/loop0' && -e '/dev/null');
    holds('PrivateUsers', text('/proc/self/uid_map') !~ /4294967295/);
    holds('ProtectProc', !-e '/proc/1/cmdline');
    holds('ProcSubset', !-e '/proc/meminfo' && !-e '/proc/sys');
    holds('ProtectControlGroups', !writes('/sys/fs/cgroup/probe'));
    holds('ProtectKernelTunables', !writes('/sys/kernel/mm/transparent_hugepage/enabled'));
    holds('MemoryDenyWriteExecute', call(9, 0, 4096, 7, 0x22, -1, 0) == -1);
    holds('PrivateMounts', readlink('/proc/self/ns/mnt') ne $mounts);
    holds('PrivateIPC', readlink('/proc/self/ns/ipc') ne $ipc);
    holds('ProtectHostname', readlink('/proc/self/ns/uts') ne $uts);
    holds('ProtectKernelModules', !-d '/usr/lib/modules' || !opendir(my $modules, '/usr/lib/modules'));
    holds('ProtectKernelLogs', call(103, 3, 0, 0) == -1 && $!{EPERM});
    # The keyring of its session is none that others of its user share.
    my $ring = "\0" x 4096;
    my $length = call(250, 11, -3, $ring, 4096, 0);
    my $shared = call(250, 0, -4, 0, 0, 0);
    my @linked = $length > 0 ? unpack('l*', substr($ring, 0, $length)) : ();
    holds('KeyringMode', @linked && !grep { $_ == $shared } @linked);
}

if (@fell) {
    print STDERR "not in force: @fell\n";
    exit 1;
}
print "every restriction holds\n";
