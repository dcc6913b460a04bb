//! What the benchmarks print, and write as JSON for `scripts/bench`.

use anyhow::Result;

/// Figures with their units, in the order in which they were measured.
#[derive(Default)]
pub struct Figures(Vec<(String, f64, &'static str)>);

impl Figures {
    /// Prints one and keeps it.
    pub fn note(&mut self, name: &str, value: f64, unit: &'static str) {
        println!("{name:66} {value:12.1} {unit}");
        self.0.push((name.to_owned(), value, unit));
    }

    /// Writes all of them where `--json FILE` says, if it is among the arguments.
    pub fn write(&self, args: &[String]) -> Result<()> {
        let Some(path) = args.iter().position(|a| a == "--json").and_then(|i| args.get(i + 1)) else {
            return Ok(());
        };
        let figure = |(name, value, unit): &(String, f64, &str)| {
            (name.clone(), serde_json::json!({ "value": value, "unit": unit }))
        };
        let map: serde_json::Map<_, _> = self.0.iter().map(figure).collect();
        Ok(std::fs::write(path, serde_json::to_string_pretty(&map)?)?)
    }
}
