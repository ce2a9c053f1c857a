//! Whether a directory is on a network file system, where the store cannot be.
//!
//! It judges by what the kernel calls the file system, and writes nothing.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::sys::stat::{major, minor};
use nix::sys::statfs::{FsType, statfs};

/// By their numbers in the kernel (statfs(2)).
const NETWORK: [(i64, &str); 14] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
    (0x7375_7245, "Coda"),
    // How a virtual machine or WSL sees the folders of its host.
    (0x0102_1997, "9P"),
    (0x786f_4256, "VirtualBox"),
    (0x1983_0326, "BeeGFS"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
];

/// A file system that a program serves, which may be a local one: its number tells no more.
const FUSE: i64 = 0x6573_5546;

/// Of those, the ones whose files are elsewhere.
const NETWORK_FUSE: [(&str, &str); 9] = [
    ("sshfs", "SSHFS"),
    ("glusterfs", "GlusterFS"),
    ("ceph-fuse", "Ceph"),
    ("rclone", "rclone"),
    ("s3fs", "S3"),
    ("gcsfuse", "Google Cloud Storage"),
    ("juicefs", "JuiceFS"),
    ("mfs", "MooseFS"),
    ("seaweedfs", "SeaweedFS"),
];

/// The kind of network file system that holds `path`, if it is one. SQLite's log needs memory that
/// all programs on it share, which none of these gives (<https://sqlite.org/wal.html>).
pub(super) fn network(path: &Path) -> Option<&'static str> {
    let kind = statfs(path).ok()?.filesystem_type();
    if kind != FsType(FUSE) {
        return by_number(kind);
    }
    let device = fs::metadata(path).ok()?.dev();
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    by_mount(&mounts, &format!("{}:{}", major(device), minor(device)))
}

fn by_number(kind: FsType) -> Option<&'static str> {
    let found = NETWORK.iter().find(|(number, _)| FsType(*number) == kind);
    found.map(|(_, name)| *name)
}

/// By what `mounts` (`proc_pid_mountinfo(5)`) calls the file system of this device.
fn by_mount(mounts: &str, device: &str) -> Option<&'static str> {
    let mount = mounts
        .lines()
        .find(|line| line.split(' ').nth(2) == Some(device))?;
    let (_, after) = mount.split_once(" - ")?;
    let kind = after.split(' ').next()?.strip_prefix("fuse.")?;
    let found = NETWORK_FUSE.iter().find(|(fuse, _)| *fuse == kind);
    found.map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_numbers_tell_which_are_elsewhere() {
        assert_eq!(by_number(FsType(0x6969)), Some("NFS"));
        assert_eq!(by_number(FsType(0xff53_4d42)), Some("CIFS"));
        // ext4, and memory.
        assert_eq!(by_number(FsType(0xef53)), None);
        assert_eq!(by_number(FsType(0x0102_1994)), None);
        let here = tempfile::tempdir().unwrap();
        assert_eq!(network(here.path()), None);
    }

    #[test]
    fn of_those_that_a_program_serves_the_mount_tells() {
        let mounts = "23 28 0:21 / /proc rw,nosuid shared:12 - proc proc rw\n\
            90 28 0:52 / /home/u/far rw,nosuid shared:40 - fuse.sshfs u@far:/srv rw,user_id=0\n\
            91 28 0:53 / /home/u/disk rw shared:41 - fuseblk /dev/sdb1 rw\n\
            92 28 0:54 / /run/user/1000/doc rw shared:42 - fuse.portal portal rw\n";
        assert_eq!(by_mount(mounts, "0:52"), Some("SSHFS"));
        for local in ["0:53", "0:54", "0:21", "0:99", ""] {
            assert_eq!(by_mount(mounts, local), None, "{local}");
        }
    }
}
