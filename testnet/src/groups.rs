//! Groups of a partition as typed: `1,2|3`.

use anyhow::bail;

/// Reads groups; every one of `nodes` must be in exactly one.
pub(crate) fn parse(text: &str, nodes: &[u32]) -> anyhow::Result<Vec<Vec<u32>>> {
    let mut groups = Vec::new();
    let mut seen = Vec::new();
    for part in text.split('|') {
        let mut group = Vec::new();
        for word in part.split(',').map(str::trim).filter(|w| !w.is_empty()) {
            let Some(node) = word.parse().ok().filter(|n| nodes.contains(n)) else {
                bail!("'{word}' is not a node; write groups of node numbers, such as '1,2|3'");
            };
            if seen.contains(&node) {
                bail!("node {node} is named twice");
            }
            seen.push(node);
            group.push(node);
        }
        if group.is_empty() {
            bail!("a group is empty; write groups of node numbers, such as '1,2|3'");
        }
        groups.push(group);
    }
    if let Some(missing) = nodes.iter().find(|n| !seen.contains(n)) {
        bail!("node {missing} is in no group; every node must be in one");
    }
    if groups.len() < 2 {
        bail!("one group is no partition; write at least two, such as '1,2|3'");
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_cover_every_node_once() {
        assert_eq!(parse("1,2|3", &[1, 2, 3]).expect("groups"), [vec![1, 2], vec![3]]);
        assert_eq!(parse(" 3 | 1 , 2 ", &[1, 2, 3]).expect("groups"), [vec![3], vec![1, 2]]);
        for wrong in ["", "1|2", "1,2,3", "1,2|3,1", "1,2|4", "1,2|", "x|1,2,3"] {
            assert!(parse(wrong, &[1, 2, 3]).is_err(), "{wrong}");
        }
    }
}
