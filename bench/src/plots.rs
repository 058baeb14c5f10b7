//! Figures as pictures: one SVG for each workload.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use serde_json::{Map, Value};

use crate::part::Failure;
use crate::report::in_order;

/// Wide enough for names and figures beside the bars.
const WIDTH: u32 = 860;

/// The height of a bar with its gap.
const ROW: u32 = 28;

/// The height of a picture of lines.
const HEIGHT: u32 = 460;

/// Procession, the limits, and the peers.
const COLOURS: [RGBColor; 3] = [RGBColor(31, 119, 180), RGBColor(90, 90, 90), RGBColor(214, 150, 70)];

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws a workload, if there is a picture for its kind.
pub(crate) fn draw(folder: &Path, name: &str, value: &Value) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)?;
    let file = |name: &str| folder.join(format!("{name}.svg"));
    match value {
        Value::Object(fields) if fields.contains_key("spread") => bars(&file(name), name, fields),
        Value::Object(fields) if fields.contains_key("rates") => {
            let rates = fields["rates"].as_object().into_iter().flatten();
            for (rate, value) in rates.chain([(&"closed_loop".to_owned(), &fields["closed_loop"])]) {
                let title = format!("{name}, {rate} requests a second")
                    .replace("closed_loop requests a second", "closed loop");
                tails(&file(&format!("{name}-{rate}")), &title, value)?;
            }
            Ok(())
        }
        Value::Object(fields) if fields.contains_key("actors") => {
            for among in ["processes", "actors"] {
                growth(&file(&format!("{name}-{among}")), among, &fields[among])?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Horizontal bars on a logarithmic scale, since the subjects lie orders of magnitude apart.
fn bars(file: &Path, name: &str, fields: &Map<String, Value>) -> Result<(), Failure> {
    let Some(Value::Object(spread)) = fields.get("spread") else { return Ok(()) };
    let unit = fields.get("unit").and_then(Value::as_str).unwrap_or_default();
    let rows: Vec<(&str, f64)> =
        in_order(spread).into_iter().filter_map(|name| Some((name, fields.get(name)?.as_f64()?))).collect();
    let (least, most) = range(rows.iter().map(|(_, value)| *value));
    let count = u32::try_from(rows.len())?;
    let root = SVGBackend::new(file, (WIDTH, ROW * count + 90)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(format!("{name}, {unit}"), ("sans-serif", 20))
        .margin_right(90)
        .margin_left(10)
        .x_label_area_size(30)
        .y_label_area_size(180)
        .build_cartesian_2d((least..most).log_scale(), (0..count).into_segmented())?;
    let label = |at: &SegmentValue<u32>| match at {
        // The first row is on top.
        SegmentValue::CenterOf(row) => {
            let row = usize::try_from(*row).ok().and_then(|row| rows.iter().rev().nth(row));
            row.map_or("", |row| row.0).to_owned()
        }
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_label_formatter(&label)
        .y_labels(rows.len())
        .label_style(("sans-serif", 16))
        .draw()?;
    for (row, (name, value)) in rows.iter().rev().enumerate() {
        let row = u32::try_from(row)?;
        let colour = colour(name);
        let area = [(least, SegmentValue::Exact(row)), (*value, SegmentValue::Exact(row + 1))];
        let mut bar = Rectangle::new(area, colour.filled());
        bar.set_margin(4, 4, 0, 0);
        chart.draw_series([bar])?;
        let text = Text::new(
            format!(" {}", short(*value)),
            (*value, SegmentValue::CenterOf(row)),
            ("sans-serif", 14),
        );
        chart.draw_series([text])?;
    }
    Ok(root.present()?)
}

/// The quantiles of each subject.
fn tails(file: &Path, title: &str, value: &Value) -> Result<(), Failure> {
    const QUANTILES: [&str; 4] = ["p50", "p90", "p99", "p99_9"];
    let Some(Value::Object(details)) = value.get("details") else { return Ok(()) };
    let series = in_order(details).into_iter().map(|name| {
        let quantiles = QUANTILES.iter().enumerate().filter_map(|(place, quantile)| {
            // A closed loop's figure is its median.
            let value = details[name].get(quantile).or_else(|| value.get(name).filter(|_| place == 0));
            Some((place as f64, value?.as_f64()?))
        });
        (name.to_owned(), quantiles.collect())
    });
    let series: Vec<Series> = series.collect();
    let root = SVGBackend::new(file, (WIDTH, HEIGHT)).into_drawing_area();
    let label = |at: &f64| {
        let place = QUANTILES.iter().enumerate().find(|(place, _)| (*at - *place as f64).abs() < 0.01);
        place.map_or(String::new(), |(_, name)| name.replace('_', "."))
    };
    lines(&root, &format!("{title}, µs"), (0.0, 3.2), QUANTILES.len(), &label, &series)
}

/// What a message costs, by how many there are.
fn growth(file: &Path, among: &str, steps: &Value) -> Result<(), Failure> {
    let Some(steps) = steps.as_object() else { return Ok(()) };
    let mut counts: Vec<(f64, &Value)> =
        steps.iter().filter_map(|(count, step)| Some((count.parse().ok()?, step))).collect();
    counts.sort_by(|one, other| one.0.total_cmp(&other.0));
    let costs = ["ask64_ns", "tell_ns", "in_turn_ask64_ns", "in_turn_tell_ns"];
    let series = costs.iter().map(|cost| {
        let points =
            counts.iter().filter_map(|(count, step)| Some((count.log10(), step.get(cost)?.as_f64()?)));
        ((*cost).to_owned(), points.collect::<Vec<_>>())
    });
    let series: Vec<Series> = series.filter(|(_, points)| !points.is_empty()).collect();
    let most = counts.last().map_or(1.0, |(count, _)| count.log10());
    let root = SVGBackend::new(file, (WIDTH, HEIGHT)).into_drawing_area();
    let label = |at: &f64| format!("{:.0}", 10_f64.powf(*at));
    lines(&root, &format!("ns for a message, by {among}"), (0.0, most * 1.02), 6, &label, &series)
}

/// A name, and its points.
type Series = (String, Vec<(f64, f64)>);

fn lines(
    root: &Canvas<'_>,
    title: &str,
    across: (f64, f64),
    labels: usize,
    label: &dyn Fn(&f64) -> String,
    series: &[Series],
) -> Result<(), Failure> {
    let (least, most) = range(series.iter().flat_map(|(_, points)| points).map(|(_, value)| *value));
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(root)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(30)
        .y_label_area_size(70)
        .build_cartesian_2d(across.0..across.1, (least..most).log_scale())?;
    chart.configure_mesh().disable_x_mesh().x_labels(labels).x_label_formatter(label).draw()?;
    for (place, (name, points)) in series.iter().enumerate() {
        let colour = Palette99::pick(place).to_rgba();
        chart
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(3))?
            .label(name.clone())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    let place = SeriesLabelPosition::UpperLeft;
    chart.configure_series_labels().position(place).background_style(WHITE).border_style(BLACK).draw()?;
    Ok(root.present()?)
}

fn colour(name: &str) -> RGBColor {
    let kind = if name.starts_with("procession") { 0 } else { 1 + usize::from(!name.starts_with("limit")) };
    COLOURS[kind]
}

/// A little more than all of the values.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let positive: Vec<f64> = values.filter(|value| *value > 0.0).collect();
    let least = positive.iter().copied().fold(f64::INFINITY, f64::min);
    let most = positive.iter().copied().fold(0.0, f64::max);
    if positive.is_empty() { (0.1, 1.0) } else { (least / 2.0, most * 1.5) }
}

fn short(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_kind_of_workload_has_its_pictures() {
        let folder = std::env::temp_dir().join(format!("procession-bench-plots-{}", std::process::id()));
        let compared = json!({
            "unit": "µs", "procession": 2.0, "limit": 40.0,
            "spread": { "procession": [1.0, 3.0], "limit": [30.0, 50.0] },
            "details": { "procession": { "p50": 1.0, "p99": 9.0 }, "limit": { "p50": 2.0, "p99": 3.0 } },
        });
        draw(&folder, "ask", &compared).expect("bars");
        draw(&folder, "latency", &json!({ "rates": { "1000": compared }, "closed_loop": compared }))
            .expect("lines");
        let steps = json!({ "1": { "tell_ns": 100.0 }, "1000": { "tell_ns": 120.0 } });
        draw(&folder, "growth", &json!({ "processes": steps, "actors": steps })).expect("lines");
        draw(&folder, "pipes", &json!({ "sizes": {} })).expect("nothing");
        let mut drawn: Vec<_> = std::fs::read_dir(&folder).expect("a folder").flatten().collect();
        drawn.sort_by_key(std::fs::DirEntry::file_name);
        let names: Vec<_> =
            drawn.iter().map(|file| file.file_name().into_string().expect("a name")).collect();
        let wanted = [
            "ask.svg",
            "growth-actors.svg",
            "growth-processes.svg",
            "latency-1000.svg",
            "latency-closed_loop.svg",
        ];
        assert_eq!(names, wanted);
        let ask = std::fs::read_to_string(folder.join("ask.svg")).expect("a picture");
        assert!(ask.contains("<svg") && ask.contains("procession") && ask.contains("40"), "{ask}");
        std::fs::remove_dir_all(&folder).expect("removed");
    }
}
