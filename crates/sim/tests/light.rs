//! Large worlds in a small form: every scenario with 60 light nodes. By hand they run with 1,000 (`docs/simulation.md`).

use p2pdb_model::ids::NodeId;
use p2pdb_sim::light::figures::kind;
use p2pdb_sim::light::scenario::{SCENARIOS, play};
use p2pdb_sync::{Bundle, Message};
use serde_bytes::ByteBuf;

const NODES: usize = 60;

#[test]
fn light_nodes_become_equal_in_every_scenario() {
    for seed in [1, 2] {
        for scenario in &SCENARIOS {
            let figures = match play(scenario, NODES, seed, false) {
                Ok(figures) => figures,
                Err(failure) => panic!("seed {seed}, {} fails: {failure}", scenario.name),
            };
            assert!(figures.applied > 0, "{}: nothing spread", scenario.name);
        }
    }
}

#[test]
fn a_scenario_played_twice_gives_the_same_trace() {
    for name in ["writers-rough", "parts-10", "churn"] {
        let scenario = SCENARIOS.iter().find(|s| s.name == name).expect("a scenario of this name");
        let trace = |seed| play(scenario, 20, seed, false).map(|f| f.trace).expect("figures");
        let first = trace(3);
        assert_eq!(first, trace(3), "{name}");
        assert_ne!(first, trace(4), "{name}: the seed decides");
    }
}

#[test]
fn the_kind_of_a_message_is_told_from_its_first_bytes() {
    let bundle = Bundle { round: 1, number: 2, raw_bytes: 3, last: true, data: ByteBuf::from(vec![4; 5]) };
    let messages = [
        Message::GetFrontier,
        Message::Frontier(p2pdb_dag::Frontier::default()),
        Message::Want { round: 1, have: p2pdb_dag::Frontier::default(), credits: 1 },
        Message::Narrow { round: 1, gaps: Vec::new() },
        Message::Bundle(bundle),
        Message::Credit { round: 1, bundles: 1 },
        Message::Stop { round: 1, server: true, reason: None },
        Message::Push(Vec::new()),
        Message::Announce { cids: Vec::new(), ask: true },
        Message::GetTips(NodeId([1; 32])),
        Message::Tips { author: NodeId([1; 32]), tips: Vec::new() },
    ];
    for message in messages {
        assert_eq!(kind(&message.encode()), message.name());
    }
    assert_eq!(kind(b""), "other");
    assert_eq!(kind(&[0xa1, 0x77, b'P']), "other");
}
