//! Lists of ids: how they are read from whatever a script or a person wrote, and how the files that
//! the settings name are followed as they change.
//!
//! A file is looked at, never written, and never waited for: what is half written counts when it is
//! whole. What a list cannot give is said once, with its line, and holds up nothing else.
//!
//! What a list means for an id is decided where it is stored: one that is pending, or that the server
//! has settled, stays as it is; one that importwatch gave up itself (expired, missing, refused) is not
//! watched again because it is still listed, else it would be given up again and again for ever.
//! Taking an id out of a list does not end its watch, and what is listed is neither deleted for its
//! age nor removed, since the list would bring it back as new.

pub mod file;
pub mod ids;
mod json;
mod lines;
pub mod listed;
pub mod lists;
pub mod name;
pub mod output;
pub mod unusable;
pub mod watcher;
