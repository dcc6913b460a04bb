//! The DAG as text, in the manner of `git log --graph`: a lane for each line of history, `*` for a block.
//!
//! Blocks come newest first, a child before its parents. A lane waits for the parent that its last block named.
//! Lanes that wait for the same block join above it; a block with several parents forks below it. Lanes never
//! move past each other except to close a gap, so the picture stays readable with many authors.

use std::fmt::Write;

/// One block of the graph.
#[derive(Clone, Debug)]
pub struct Node<K> {
    /// Its name.
    pub id: K,
    /// Its parents, the first one continues its lane.
    pub parents: Vec<K>,
    /// Text beside it, one or more lines.
    pub text: Vec<String>,
}

/// Draws the blocks.
pub fn draw<K: Clone + PartialEq>(nodes: &[Node<K>]) -> String {
    let mut out = String::new();
    let mut lanes: Vec<K> = Vec::new();
    for node in nodes {
        let waiting: Vec<usize> =
            lanes.iter().enumerate().filter(|(_, k)| **k == node.id).map(|(i, _)| i).collect();
        let at = waiting.first().copied().unwrap_or(lanes.len());
        if waiting.is_empty() {
            lanes.push(node.id.clone());
        }
        for &other in waiting.iter().skip(1).rev() {
            join(&mut out, lanes.len(), at, other);
            lanes.remove(other);
        }
        let mut text = node.text.iter();
        line(&mut out, lanes.len(), |i| if i == at { '*' } else { '|' }, text.next().map_or("", |t| t));
        // Parents that another lane waits for already still get a lane: it joins right above them.
        let mut parents = node.parents.iter();
        match parents.next() {
            Some(first) => lanes[at] = first.clone(),
            None => {
                let rest: Vec<_> = text.by_ref().collect();
                for t in rest {
                    line(&mut out, lanes.len(), |i| if i == at { ' ' } else { '|' }, t);
                }
                if at + 1 < lanes.len() {
                    shift(&mut out, lanes.len(), at);
                }
                lanes.remove(at);
                continue;
            }
        }
        for parent in parents {
            fork(&mut out, lanes.len(), at);
            lanes.insert(at + 1, parent.clone());
        }
        for t in text {
            line(&mut out, lanes.len(), |_| '|', t);
        }
    }
    out
}

fn line(out: &mut String, lanes: usize, mark: impl Fn(usize) -> char, text: &str) {
    let mut drawn = String::new();
    for i in 0..lanes {
        drawn.push(mark(i));
        drawn.push(' ');
    }
    drawn.push(' ');
    drawn.push_str(text);
    let _ = writeln!(out, "{}", drawn.trim_end());
}

/// Lane `from` runs into lane `to` on its left: `|/`, with a rule of `_` over lanes in between.
fn join(out: &mut String, lanes: usize, to: usize, from: usize) {
    let mut cells = vec![' '; lanes * 2];
    for i in 0..lanes {
        match i {
            _ if i < from => cells[i * 2] = '|',
            _ if i > from => cells[i * 2 - 1] = '/',
            _ => {}
        }
    }
    cells[from * 2 - 1] = '/';
    for cell in &mut cells[to * 2 + 1..from * 2 - 1] {
        if *cell == ' ' {
            *cell = '_';
        }
    }
    push(out, &cells);
}

/// A new lane leaves `at` to the right: `|\`.
fn fork(out: &mut String, lanes: usize, at: usize) {
    let mut cells = vec![' '; lanes * 2 + 2];
    for i in 0..lanes {
        if i <= at {
            cells[i * 2] = '|';
        } else {
            cells[i * 2 + 1] = '\\';
        }
    }
    cells[at * 2 + 1] = '\\';
    push(out, &cells);
}

/// Lane `at` has ended; those on its right move left.
fn shift(out: &mut String, lanes: usize, at: usize) {
    let mut cells = vec![' '; lanes * 2];
    for i in 0..lanes {
        if i < at {
            cells[i * 2] = '|';
        } else if i > at {
            cells[i * 2 - 1] = '/';
        }
    }
    push(out, &cells);
}

fn push(out: &mut String, cells: &[char]) {
    let text: String = cells.iter().collect();
    out.push_str(text.trim_end());
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(blocks: &[(&'static str, &[&'static str])], expected: &str) {
        let nodes: Vec<_> = blocks
            .iter()
            .map(|(id, parents)| Node { id: *id, parents: parents.to_vec(), text: vec![(*id).to_owned()] })
            .collect();
        let drawn = draw(&nodes);
        assert_eq!(drawn.trim_end(), expected.trim_matches('\n'), "\n{drawn}");
    }

    #[test]
    fn one_chain_is_one_lane() {
        check(&[("c", &["b"]), ("b", &["a"]), ("a", &[])], "*  c\n*  b\n*  a");
    }

    #[test]
    fn two_heads_over_one_parent_join_above_it() {
        check(&[("c", &["a"]), ("b", &["a"]), ("a", &[])], "*  c\n| *  b\n|/\n*  a");
    }

    #[test]
    fn a_merge_forks_below_itself_and_joins_again() {
        check(
            &[("m", &["b", "c"]), ("c", &["a"]), ("b", &["a"]), ("a", &[])],
            "*  m\n|\\\n| *  c\n* |  b\n|/\n*  a",
        );
    }

    #[test]
    fn three_heads_join_one_by_one() {
        check(
            &[("d", &["a"]), ("c", &["a"]), ("b", &["a"]), ("a", &[])],
            "*  d\n| *  c\n| | *  b\n| |/\n|/\n*  a".replace("| |/\n|/\n", "|_|/\n|/\n").as_str(),
        );
    }

    #[test]
    fn a_lane_that_ends_lets_its_neighbours_close_the_gap() {
        check(&[("y", &["x"]), ("b", &["a"]), ("x", &[]), ("a", &[])], "*  y\n| *  b\n* |  x\n /\n*  a");
    }

    #[test]
    fn further_lines_of_text_stand_beside_the_lanes() {
        let node = |id, parents: &[u32], text: &[&str]| Node {
            id,
            parents: parents.to_vec(),
            text: text.iter().map(|t| (*t).to_owned()).collect(),
        };
        let drawn = draw(&[node(2, &[1], &["two", "more"]), node(1, &[], &["one", "end"])]);
        assert_eq!(drawn, "*  two\n|  more\n*  one\n   end\n");
    }
}
