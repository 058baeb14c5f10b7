//! `procession graph`: a topology as the text of a picture.

use std::process::ExitCode;

use procession::topology::{Checked, Topology, graph};

use crate::arguments::{Graph, GraphFormat};
use crate::catalog::Unasked;
use crate::console::{self, Stream};
use crate::failure::Failure;
use crate::{code, findings, source};

pub(crate) fn run(arguments: &Graph) -> Result<ExitCode, Failure> {
    let file = source::read(&arguments.file)?;
    let Checked { plan, findings } =
        Topology::check_toml(&file.text, &file.path, &Unasked { by_anybody: true });
    let Some(plan) = plan else {
        findings::show(Stream::Stderr, &findings);
        let found = findings::count(&findings);
        return Err(Failure::NotSound(format!("`{}` can't be drawn: {found}", file.path.display())));
    };
    let picture = match arguments.format {
        GraphFormat::Mermaid => graph::mermaid(&plan),
        GraphFormat::Graphviz => graph::graphviz(&plan),
    };
    console::say(Stream::Stdout, &picture);
    Ok(ExitCode::from(code::DONE))
}
