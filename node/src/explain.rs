//! An error as a person reads it: what happened, why, and what to do, each said once.

/// The error and its causes on one line, then the hints. A cause that an outer message has told already is left out.
pub fn explain(error: &anyhow::Error) -> String {
    let (mut told, mut hints) = (String::new(), Vec::new());
    for cause in error.chain() {
        let text = cause.to_string();
        let (lines, hint): (Vec<&str>, Vec<&str>) =
            text.lines().partition(|l| !l.trim_start().starts_with("hint:"));
        hints.extend(hint.into_iter().map(|h| h.trim().to_owned()));
        let said = lines.join("\n");
        if !told.contains(&said) {
            let colon = if told.is_empty() { "" } else { ": " };
            told = format!("{told}{colon}{said}");
        }
    }
    hints.dedup();
    hints.iter().fold(told, |text, hint| format!("{text}\n  {hint}"))
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::explain;

    #[test]
    fn hints_come_last_and_nothing_is_said_twice() {
        let io = std::io::Error::other("no space");
        let told = anyhow!(io)
            .context("cannot write x: no space")
            .context("hint: free some")
            .context("the start failed");
        assert_eq!(explain(&told), "the start failed: cannot write x: no space\n  hint: free some");
        assert_eq!(explain(&anyhow!("port 1 is taken\n  hint: another")), "port 1 is taken\n  hint: another");
        assert_eq!(explain(&anyhow!("inner").context("outer")), "outer: inner");
    }
}
