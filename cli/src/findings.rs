//! Shows what is wrong with a topology: to people as snippets of the file, to programs as objects.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use procession::topology::{Diagnostic, Diagnostics, Severity};
use serde_json::{Value, json};

use crate::console::{self, Stream};

/// Shows every finding with the line it is about.
pub(crate) fn show(stream: Stream, findings: &Diagnostics) {
    let renderer = renderer(stream);
    let text = findings.source().map_or("", |source| source.text());
    for finding in findings {
        console::say(stream, &format!("{}\n\n", snippet(&renderer, finding, text)));
    }
    let shown = findings.iter().count();
    if findings.len() > shown {
        console::say(stream, &format!("and {} more\n\n", findings.len() - shown));
    }
}

/// Shows an error that is not about a place in a file.
pub(crate) fn show_error(stream: Stream, message: &str, help: Option<&str>) {
    let help = help.map(|help| Level::HELP.message(help));
    let report = [Level::ERROR.primary_title(message).elements(help)];
    console::say(stream, &format!("{}\n", renderer(stream).render(&report)));
}

/// How many there are of which kind: "2 errors, 1 warning".
pub(crate) fn count(findings: &Diagnostics) -> String {
    let warnings = findings.iter().filter(|finding| finding.severity == Severity::Warning).count();
    let counted = |count: usize, word: &str| match count {
        0 => None,
        1 => Some(format!("1 {word}")),
        _ => Some(format!("{count} {word}s")),
    };
    let parts = [counted(findings.len() - warnings, "error"), counted(warnings, "warning")];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A finding for programs.
pub(crate) fn to_json(finding: &Diagnostic) -> Value {
    let place = finding.place.as_ref();
    json!({
        "severity": finding.severity.to_string(),
        "message": finding.message,
        "help": finding.help,
        "path": finding.path.to_string(),
        "file": place.map(|place| place.file.display().to_string()),
        "line": place.map(|place| place.line),
        "column": place.map(|place| place.column),
        "span": place.map(|place| [place.span.start, place.span.end]),
    })
}

fn renderer(stream: Stream) -> Renderer {
    match console::colours(stream) {
        true => Renderer::styled(),
        false => Renderer::plain(),
    }
}

fn snippet(renderer: &Renderer, finding: &Diagnostic, text: &str) -> String {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(&finding.message);
    let help = finding.help.as_ref().map(|help| Level::HELP.message(help));
    let Some(place) = &finding.place else {
        return renderer.render(&[title.elements(help)]);
    };
    // A finding about the whole file has no bytes of its own and points at the first line.
    let span = place.span.start..first_line_end(text, place.span.clone());
    let file = place.file.display().to_string();
    let source = Snippet::source(text).path(file).annotation(AnnotationKind::Primary.span(span));
    renderer.render(&[title.element(source).elements(help)])
}

/// The end of a span, but not beyond its first line: a table over many lines is meant by how it begins.
fn first_line_end(text: &str, span: std::ops::Range<usize>) -> usize {
    let meant = text.get(span.clone()).unwrap_or("");
    span.start + meant.find('\n').unwrap_or(meant.len())
}
