//! The icon of a notice: a name that every icon theme has, or a picture of our own where there is no
//! theme that has it.
//!
//! It reads the names of files and never what is in them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use zbus::{Structure, Variant};

use crate::notice::Tone;

/// The pictures' width and height, in pixels.
const SIZE: u16 = 48;

/// The icon's name in every icon theme.
pub(super) fn name(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "dialog-information",
        Tone::Unsure => "dialog-warning",
        Tone::Bad => "dialog-error",
    }
}

/// Whether an icon theme of this machine has our icons. Which theme the server uses only it knows;
/// each of them that has one of these has all.
pub(super) fn has_theme() -> bool {
    let path = |name: &str| env::var_os(name).map(PathBuf::from);
    let home = path("HOME");
    let data = path("XDG_DATA_HOME").or_else(|| home.as_ref().map(|h| h.join(".local/share")));
    let shared =
        env::var_os("XDG_DATA_DIRS").unwrap_or_else(|| "/usr/local/share:/usr/share".into());
    let shared: Vec<PathBuf> = env::split_paths(&shared).collect();
    let mut folders = shared
        .into_iter()
        .chain(data)
        .map(|data| data.join("icons"));
    folders.any(|icons| is_in(&icons, 4)) || home.is_some_and(|home| is_in(&home.join(".icons"), 4))
}

/// Whether the icon is in a folder, or so many levels below it.
fn is_in(folder: &Path, levels: usize) -> bool {
    let Ok(entries) = fs::read_dir(folder) else {
        return false;
    };
    let is_icon = |path: &Path| path.file_stem().is_some_and(|stem| stem == name(Tone::Bad));
    entries.flatten().any(|entry| {
        let path = entry.path();
        is_icon(&path) || (levels > 0 && path.is_dir() && is_in(&path, levels - 1))
    })
}

/// A picture as the hint `image-data` has it: eight bits each of red, green, blue and opacity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picture(Vec<u8>);

impl Picture {
    /// A disc in the colour of `tone` with its sign on it; of what goes on and goes well, with three
    /// dots, since a tick would say that it is done.
    pub(super) fn of(tone: Tone, goes_on: bool) -> Self {
        let colour: [u8; 3] = match tone {
            Tone::Good if goes_on => [0x4a, 0x78, 0xc0],
            Tone::Good => [0x3f, 0x9e, 0x63],
            Tone::Unsure => [0xd9, 0x8e, 0x1f],
            Tone::Bad => [0xd0, 0x45, 0x50],
        };
        let mut bytes = Vec::with_capacity(usize::from(SIZE) * usize::from(SIZE) * 4);
        for y in 0..SIZE {
            for x in 0..SIZE {
                let at = [unit(x), unit(y)];
                // Half a pixel of softness on both sides of an edge.
                let cover = |distance: f32| (0.5 - distance * f32::from(SIZE)).clamp(0.0, 1.0);
                let disc = cover((at[0] - 0.5).hypot(at[1] - 0.5) - 0.48);
                let sign = cover(sign(tone, goes_on, at));
                for part in colour {
                    bytes.push(byte(f32::from(part) + (255.0 - f32::from(part)) * sign));
                }
                bytes.push(byte(255.0 * disc));
            }
        }
        Self(bytes)
    }

    /// Width, height, bytes a row, whether it has opacity, bits a sample, channels, and the samples.
    pub(super) fn value(&self) -> Variant<'_> {
        let side = i32::from(SIZE);
        let structure = Structure::builder()
            .add_field(side)
            .add_field(side)
            .add_field(side * 4)
            .add_field(true)
            .add_field(8_i32)
            .add_field(4_i32)
            .add_field(self.0.as_slice())
            .build();
        structure.map_or(Variant::Bool(false), Variant::Structure)
    }
}

/// The middle of a pixel, the whole picture being 1 wide and high.
fn unit(pixel: u16) -> f32 {
    (f32::from(pixel) + 0.5) / f32::from(SIZE)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is held to the range of a byte"
)]
fn byte(value: f32) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

/// How far a point is from the sign: dots, a tick, an exclamation mark or a cross; below zero inside.
fn sign(tone: Tone, goes_on: bool, at: [f32; 2]) -> f32 {
    const HALF: f32 = 0.055;
    if goes_on && tone == Tone::Good {
        let dots = [0.28, 0.5, 0.72].map(|x| (at[0] - x).hypot(at[1] - 0.5));
        return dots.into_iter().fold(f32::MAX, f32::min) - 1.3 * HALF;
    }
    let lines: [[[f32; 2]; 2]; 2] = match tone {
        Tone::Good => [[[0.29, 0.52], [0.44, 0.66]], [[0.44, 0.66], [0.71, 0.36]]],
        Tone::Unsure => [[[0.5, 0.24], [0.5, 0.56]], [[0.5, 0.74], [0.5, 0.745]]],
        Tone::Bad => [[[0.33, 0.33], [0.67, 0.67]], [[0.67, 0.33], [0.33, 0.67]]],
    };
    let distance = |[from, to]: [[f32; 2]; 2]| {
        let (along, away) = (
            [to[0] - from[0], to[1] - from[1]],
            [at[0] - from[0], at[1] - from[1]],
        );
        let length = along[0] * along[0] + along[1] * along[1];
        let share = ((along[0] * away[0] + along[1] * away[1]) / length).clamp(0.0, 1.0);
        (away[0] - along[0] * share).hypot(away[1] - along[1] * share)
    };
    distance(lines[0]).min(distance(lines[1])) - HALF
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_the_form_that_the_hint_asks_for() {
        for tone in [Tone::Good, Tone::Unsure, Tone::Bad] {
            let picture = Picture::of(tone, false);
            assert_eq!(picture.0.len(), 48 * 48 * 4);
            assert_eq!(picture.value().value_signature().to_string(), "(iiibiiay)");
            // Clear outside the disc, and the sign is white in the middle of one of its lines.
            assert_eq!(picture.0[3], 0);
            assert!(picture.0.chunks(4).any(|pixel| pixel == [255; 4]));
        }
        let good = Picture::of(Tone::Good, false);
        assert_ne!(good, Picture::of(Tone::Bad, false));
        assert_ne!(good, Picture::of(Tone::Good, true));
    }

    #[test]
    fn a_theme_is_found_by_its_icon() {
        let icons = tempfile::tempdir().unwrap();
        assert!(!is_in(icons.path(), 4));
        let status = icons.path().join("Adwaita/48x48/status");
        fs::create_dir_all(&status).unwrap();
        assert!(!is_in(icons.path(), 4));
        fs::write(status.join("dialog-error.png"), "").unwrap();
        assert!(is_in(icons.path(), 4));
    }
}
