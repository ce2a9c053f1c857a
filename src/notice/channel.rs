//! The channels that notices go out on, by name, as the outbox keeps them.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A channel that notices go out on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// The log.
    Log,
    /// The desktop.
    Desktop,
    /// A program of the user's, run for each import's result.
    Command,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 3] = [Self::Log, Self::Desktop, Self::Command];

    /// Its name in the store and on screen.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Desktop => "desktop",
            Self::Command => "command",
        }
    }

    /// Whether it tells of an import once all of it is settled, and not of each task.
    #[must_use]
    pub fn tells_results(self) -> bool {
        self == Self::Command
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not the name of a channel of notices")]
pub struct UnknownChannel;

impl FromStr for Channel {
    type Err = UnknownChannel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|c| c.as_str() == text);
        found.ok_or(UnknownChannel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for channel in Channel::ALL {
            assert_eq!(channel.as_str().parse(), Ok(channel));
        }
        assert_eq!("pager".parse::<Channel>(), Err(UnknownChannel));
    }
}
