//! The two text formats of metrics: OpenMetrics 1.0 for who asks for it, Prometheus 0.0.4 for everybody else.
//!
//! Metrics are written once, as OpenMetrics; the older format is made of that text. They differ in what a metric is called:
//! OpenMetrics names the family (`x`, whose sample is `x_total`), Prometheus the sample. Prometheus knows no type `info`.

/// A format of `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    OpenMetrics,
    Prometheus,
}

impl Format {
    /// What this Accept header likes best; Prometheus where both are liked the same without being named.
    pub(super) fn wanted(accept: &str) -> Format {
        let open = liked(accept, &["application/openmetrics-text"]);
        let classic = liked(accept, &["text/plain", "text/*", "*/*"]);
        if open > 0.0 && open >= classic { Format::OpenMetrics } else { Format::Prometheus }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// This OpenMetrics text in the format.
    pub(super) fn write(self, open_metrics: String) -> String {
        match self {
            Format::OpenMetrics => open_metrics,
            Format::Prometheus => classic(&open_metrics),
        }
    }
}

/// The greatest weight that a header gives to one of these media types; 0: none of them.
fn liked(accept: &str, types: &[&str]) -> f64 {
    let weight = |range: &str| {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        if !types.iter().any(|t| t.eq_ignore_ascii_case(kind)) {
            return 0.0;
        }
        let q = parts.find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q=")));
        q.map_or(1.0, |q| q.trim().parse().unwrap_or(0.0))
    };
    accept.split(',').map(weight).fold(0.0, f64::max)
}

/// OpenMetrics text as Prometheus 0.0.4 writes it.
fn classic(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    // HELP stands before TYPE, which decides the name.
    let mut help = None;
    for line in open_metrics.lines() {
        let words = |rest: &'static str| line.strip_prefix(rest).and_then(|l| l.split_once(' '));
        if let Some((_, about)) = words("# HELP ") {
            help = Some(about);
        } else if let Some((family, kind)) = words("# TYPE ") {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                kind => ("", kind),
            };
            if let Some(help) = help.take() {
                text += &format!("# HELP {family}{suffix} {help}\n");
            }
            text += &format!("# TYPE {family}{suffix} {kind}\n");
        } else if !line.starts_with('#') {
            text += line;
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_for_who_asks_for_it() {
        let old_prometheus =
            "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let new_prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                              application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;q=0.3,\
                              text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        for (accept, want) in [
            ("", Format::Prometheus),
            ("*/*", Format::Prometheus),
            ("text/plain", Format::Prometheus),
            ("text/plain;version=0.0.4", Format::Prometheus),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Prometheus),
            ("application/openmetrics-text;q=0", Format::Prometheus),
            ("text/plain;q=0.9, application/openmetrics-text;q=0.1", Format::Prometheus),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("Application/OpenMetrics-Text; version=1.0.0", Format::OpenMetrics),
            (old_prometheus, Format::OpenMetrics),
            (new_prometheus, Format::OpenMetrics),
        ] {
            assert_eq!(Format::wanted(accept), want, "{accept}");
        }
    }

    #[test]
    fn the_older_format_names_samples_and_knows_no_info() {
        let open = "# HELP p2pdb_ready 1 when ready.\n# TYPE p2pdb_ready gauge\np2pdb_ready 1\n\
                    # HELP p2pdb_bytes Bytes.\n# TYPE p2pdb_bytes counter\n# UNIT p2pdb_bytes bytes\np2pdb_bytes_total 7\n\
                    # TYPE p2pdb_s histogram\np2pdb_s_bucket{le=\"+Inf\"} 1\np2pdb_s_sum 0.5\np2pdb_s_count 1\n\
                    # TYPE p2pdb_state info\np2pdb_state_info{node=\"# TYPE x counter\"} 1\n# EOF\n";
        let want = "# HELP p2pdb_ready 1 when ready.\n# TYPE p2pdb_ready gauge\np2pdb_ready 1\n\
                    # HELP p2pdb_bytes_total Bytes.\n# TYPE p2pdb_bytes_total counter\np2pdb_bytes_total 7\n\
                    # TYPE p2pdb_s histogram\np2pdb_s_bucket{le=\"+Inf\"} 1\np2pdb_s_sum 0.5\np2pdb_s_count 1\n\
                    # TYPE p2pdb_state_info gauge\np2pdb_state_info{node=\"# TYPE x counter\"} 1\n";
        assert_eq!(Format::Prometheus.write(open.to_owned()), want);
        assert_eq!(Format::OpenMetrics.write(open.to_owned()), open);
    }
}
