//! `importwatch man`: the manual pages, made from the same words as `--help`.
//!
//! It reads no settings and touches no state, so that it works while a package is being built.

use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::Context as _;
use clap::{Args, Command};
use clap_mangen::Man;

use crate::cli::exit::Exit;

/// What the examples stand under in each `--help`.
const EXAMPLES: &str = "Examples:";

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  importwatch man ~/.local/share/man/man1
  man importwatch-add")]
pub(super) struct Arguments {
    /// The directory that importwatch.1 and one page for each command are written to; it is made if
    /// it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Writes the pages of `program`.
pub(super) fn run(program: Command, arguments: &Arguments) -> anyhow::Result<Exit> {
    let directory = &arguments.directory;
    let failed = || {
        format!(
            "cannot write manual pages to {}; name a directory that you may write to",
            directory.display()
        )
    };
    fs::create_dir_all(directory).with_context(failed)?;
    let mut program = program.disable_help_subcommand(true);
    program.build();
    write_page(&program, directory).with_context(failed)?;
    for command in program.get_subcommands() {
        write_page(command, directory).with_context(failed)?;
    }
    Ok(Exit::Done)
}

fn write_page(command: &Command, directory: &Path) -> io::Result<()> {
    let name = command.get_display_name();
    let name = name.unwrap_or_else(|| command.get_name());
    let man = Man::new(command.clone())
        .title(name)
        .source(concat!("importwatch ", env!("CARGO_PKG_VERSION")))
        .manual("importwatch");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(text) = command.get_after_help() {
        page.extend_from_slice(notes(&text.to_string()).as_bytes());
    }
    fs::write(directory.join(man.get_filename()), page)
}

/// What stands below the options in `--help`, as sections: prose is filled, and what is indented, as
/// examples are, stays line by line.
fn notes(text: &str) -> String {
    let mut page = String::new();
    let mut begins = true;
    let mut is_verbatim = false;
    for line in text.lines() {
        let is_indented = line.starts_with("  ");
        if is_verbatim != is_indented {
            page.push_str(if is_indented { ".PP\n.nf\n" } else { ".fi\n" });
            is_verbatim = is_indented;
        }
        if line == EXAMPLES {
            page.push_str(".SH EXAMPLES\n");
        } else {
            if begins {
                page.push_str(".SH NOTES\n");
            }
            let line = if line.is_empty() {
                ".PP".to_owned()
            } else {
                escaped(line)
            };
            page.push_str(&line);
            page.push('\n');
        }
        begins = false;
    }
    if is_verbatim {
        page.push_str(".fi\n");
    }
    page
}

/// A line of text as roff(7) has it.
fn escaped(line: &str) -> String {
    let text = line.replace('\\', "\\e").replace('-', "\\-");
    // A point or a quote at the start would be a request.
    if text.starts_with(['.', '\'']) {
        return format!("\\&{text}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_stay_line_by_line_and_prose_does_not() {
        let text = "It does.\n.so it is\n  A  B\nAnd more.\n\nExamples:\n  a --b    c\n  d \\";
        assert_eq!(
            notes(text),
            ".SH NOTES\nIt does.\n\\&.so it is\n.PP\n.nf\n  A  B\n.fi\nAnd more.\n.PP\n\
             .SH EXAMPLES\n.PP\n.nf\n  a \\-\\-b    c\n  d \\e\n.fi\n"
        );
        assert!(notes("Examples:\n  x").starts_with(".SH EXAMPLES\n"));
    }
}
