//! Aggregates: state machines that also go backwards, so that they serve as window functions.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use p2pdb_model::decimal::Decimal;
use p2pdb_model::types::Collation;
use p2pdb_model::{Value, ValueRef};

use super::bits::ByteBits;
use super::rows::Rows;
use super::{Answer, bytes_of, number, real_of, str_of};
use crate::collate;
use crate::error::SqlError;
use crate::execute::context;

/// The state of an aggregate over a group.
pub trait Accumulator: Send {
    /// Takes a row in.
    fn step(&mut self, args: &[ValueRef<'_>]) -> Result<(), SqlError>;
    /// Takes the oldest row out again.
    fn inverse(&mut self, args: &[ValueRef<'_>]) -> Result<(), SqlError>;
    /// The result so far.
    fn value(&self) -> Answer;
}

/// An aggregate function.
#[derive(Clone, Copy)]
pub struct AggregateFunction {
    /// Its name in SQL.
    pub name: &'static str,
    /// Number of arguments.
    pub args: i32,
    /// Makes the state of a new group.
    pub make: fn() -> Box<dyn Accumulator>,
}

/// All of them.
pub fn aggregates() -> &'static [AggregateFunction] {
    const fn f(name: &'static str, args: i32, make: fn() -> Box<dyn Accumulator>) -> AggregateFunction {
        AggregateFunction { name, args, make }
    }
    const ALL: &[AggregateFunction] = &[
        f("p_sum_int", 1, || Box::new(Sum { average: false, integers: true, ..Sum::default() })),
        f("p_avg_int", 1, || Box::new(Sum { average: true, integers: true, ..Sum::default() })),
        f("p_sum_dec", 1, || Box::new(Sum { average: false, ..Sum::default() })),
        f("p_avg_dec", 1, || Box::new(Sum { average: true, ..Sum::default() })),
        f("p_bit_and", 1, || Box::new(Bits { op: Op::And, ..Bits::default() })),
        f("p_bit_or", 1, || Box::new(Bits { op: Op::Or, ..Bits::default() })),
        f("p_bit_xor", 1, || Box::new(Bits { op: Op::Xor, ..Bits::default() })),
        f("p_bytes_bit_and", 1, || Box::new(ByteBits { op: |x, y| x & y, state: None })),
        f("p_bytes_bit_or", 1, || Box::new(ByteBits { op: |x, y| x | y, state: None })),
        f("p_bytes_bit_xor", 1, || Box::new(ByteBits { op: |x, y| x ^ y, state: None })),
        f("p_var_pop", 1, || Box::new(Variance { sample: false, root: false, ..Variance::default() })),
        f("p_var_samp", 1, || Box::new(Variance { sample: true, root: false, ..Variance::default() })),
        f("p_stddev_pop", 1, || Box::new(Variance { sample: false, root: true, ..Variance::default() })),
        f("p_stddev_samp", 1, || Box::new(Variance { sample: true, root: true, ..Variance::default() })),
        f("p_gc", 1, || Box::new(Pieces::default())),
        f("p_json_arrayagg", 1, || Box::new(JsonArray::default())),
        f("p_json_min", 1, || Box::new(JsonExtreme { greatest: false, ..JsonExtreme::default() })),
        f("p_json_max", 1, || Box::new(JsonExtreme { greatest: true, ..JsonExtreme::default() })),
        f("p_json_objectagg", 2, || Box::new(JsonObject::default())),
        f("p_count_rows", -1, || Box::new(DistinctRows::default())),
        f("p_rows", -1, || Box::new(Rows::default())),
        f("p_one", 1, || Box::new(One::default())),
        f("p_ft_result", 8, super::search::result),
    ];
    ALL
}

/// COUNT(DISTINCT a, b, …): rows without NULL, equal where their texts are under the collations whose numbers come first.
#[derive(Default)]
struct DistinctRows(BTreeSet<Vec<Compared>>);

/// A value with the collation that it is compared under.
struct Compared(Value, Collation);

impl Ord for Compared {
    fn cmp(&self, other: &Self) -> Ordering {
        let class = |v: &Value| match v {
            Value::Null => 0,
            Value::Int(_) => 1,
            Value::Real(_) => 2,
            Value::Text(_) => 3,
            Value::Blob(_) => 4,
        };
        match (&self.0, &other.0) {
            (Value::Int(a), Value::Int(b)) => a.cmp(b),
            (Value::Real(a), Value::Real(b)) => a.total_cmp(b),
            (Value::Text(a), Value::Text(b)) => collate::function(self.1)(a, b),
            (Value::Blob(a), Value::Blob(b)) => a.cmp(b),
            (a, b) => class(a).cmp(&class(b)),
        }
    }
}

impl PartialOrd for Compared {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Compared {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Compared {}

impl Accumulator for DistinctRows {
    fn step(&mut self, args: &[ValueRef<'_>]) -> Result<(), SqlError> {
        let Some((ids, values)) = args.split_first() else { return Ok(()) };
        if super::any_null(values) {
            return Ok(());
        }
        let ids = str_of(ids).split(' ').map(|n| collate::by_id(n.parse().unwrap_or_default()));
        self.0.insert(values.iter().zip(ids).map(|(v, c)| Compared(v.to_value(), c)).collect());
        Ok(())
    }

    fn inverse(&mut self, _: &[ValueRef<'_>]) -> Result<(), SqlError> {
        Err(SqlError::unsupported("DISTINCT in a window function"))
    }

    fn value(&self) -> Answer {
        Ok(Value::Int(self.0.len() as i64))
    }
}

/// SUM and AVG of integers and decimals, exact.
#[derive(Default)]
struct Sum {
    average: bool,
    /// Blobs are unsigned integers beyond 2^63.
    integers: bool,
    count: u64,
    small: i128,
    large: Option<Decimal>,
}

impl Sum {
    fn add(&mut self, v: &ValueRef<'_>, sign: i128) {
        match v {
            ValueRef::Null => return,
            ValueRef::Int(i) => self.small += sign * i128::from(*i),
            v => {
                let d =
                    if self.integers { number::wide(v).map(|n| Decimal::new(n, 0)) } else { number::dec(v) };
                let d = d.unwrap_or(Decimal::ZERO);
                let d = if sign < 0 { d.negated() } else { d };
                self.large = Some(match self.large.take() {
                    Some(sum) => sum.add(&d),
                    None => d,
                });
            }
        }
        self.count = if sign > 0 { self.count + 1 } else { self.count.saturating_sub(1) };
    }
}

impl Accumulator for Sum {
    fn step(&mut self, args: &[ValueRef<'_>]) -> Result<(), SqlError> {
        self.add(&args[0], 1);
        Ok(())
    }

    fn inverse(&mut self, args: &[ValueRef<'_>]) -> Result<(), SqlError> {
        self.add(&args[0], -1);
        Ok(())
    }

    fn value(&self) -> Answer {
        if self.count == 0 {
            return Ok(Value::Null);
        }
        let mut sum = Decimal::new(self.small, 0);
        if let Some(d) = &self.large {
            sum = sum.add(d);
        }
        if !self.average {
            return Ok(Value::Blob(sum.encode()));
        }
        let mut out = self.count.to_be_bytes().to_vec();
        out.extend_from_slice(&sum.encode());
        Ok(Value::Blob(out))
    }
}

#[derive(Clone, Copy, Default)]
enum Op {
    #[default]
    And,
    Or,
    Xor,
}

/// Counts how many rows have each bit, so that rows can be taken out again.
struct Bits {
    op: Op,
    rows: u64,
    set: [u64; 64],
}

impl Default for Bits {
    fn default() -> Self {
        Bits { op: Op::And, rows: 0, set: [0; 64] }
    }
}

impl Bits {
    fn add(&mut self, v: &ValueRef<'_>, sign: i64) {
        let Some(n) = number::wide(v) else { return };
        let n = n as u64;
        self.rows = self.rows.wrapping_add_signed(sign);
        for (i, c) in self.set.iter_mut().enumerate() {
            if n >> i & 1 == 1 {
                *c = c.wrapping_add_signed(sign);
            }
        }
    }
}

impl Accumulator for Bits {
    fn step(&mut self, args: &[ValueRef<'_>]) -> Result<(), SqlError> {
        self.add(&args[0], 1);
        Ok(())
    }

    fn inverse(&mut self, args: &[ValueRef<'_>]) -> Result<(), SqlError> {
        self.add(&args[0], -1);
        Ok(())
    }

    fn value(&self) -> Answer {
        let mut n = 0u64;
        for (i, c) in self.set.iter().enumerate() {
            let bit = match self.op {
                Op::And => *c == self.rows,
                Op::Or => *c > 0,
                Op::Xor => c % 2 == 1,
            };
            n |= u64::from(bit) << i;
        }
        Ok(Value::from_u64(n))
    }
}

/// Welford's online variance (Knuth, TAOCP 2, 4.2.2).
#[derive(Default)]
struct Variance {
    sample: bool,
    root: bool,
    n: f64,
    mean: f64,
    m2: f64,
}

impl Accumulator for Variance {
    fn step(&mut self, args: &[ValueRef<'_>]) -> Result<(), SqlError> {
        if matches!(args[0], ValueRef::Null) {
            return Ok(());
        }
        let x = real_of(&args[0]);
        self.n += 1.0;
        let d = x - self.mean;
        self.mean += d / self.n;
        self.m2 += d * (x - self.mean);
        Ok(())
    }

    fn inverse(&mut self, args: &[ValueRef<'_>]) -> Result<(), SqlError> {
        if matches!(args[0], ValueRef::Null) {
            return Ok(());
        }
        let x = real_of(&args[0]);
        if self.n <= 1.0 {
            (self.n, self.mean, self.m2) = (0.0, 0.0, 0.0);
            return Ok(());
        }
        let before = self.mean;
        self.mean = (self.n * self.mean - x) / (self.n - 1.0);
        self.m2 -= (x - before) * (x - self.mean);
        self.n -= 1.0;
        Ok(())
    }

    fn value(&self) -> Answer {
        let by = if self.sample { self.n - 1.0 } else { self.n };
        if by <= 0.0 {
            return Ok(Value::Null);
        }
        let v = (self.m2 / by).max(0.0);
        Ok(Value::Real(if self.root { v.sqrt() } else { v }))
    }
}

/// GROUP_CONCAT's pieces, to be joined by `p_gcjoin`.
#[derive(Default)]
struct Pieces {
    out: Vec<u8>,
}

impl Accumulator for Pieces {
    fn step(&mut self, args: &[ValueRef<'_>]) -> Result<(), SqlError> {
        if matches!(args[0], ValueRef::Null) {
            return Ok(());
        }
        // What joining would cut off anyway is not kept.
        if self.out.len() > context::read(|c| c.group_concat_bytes_max).saturating_mul(10).saturating_add(64)
        {
            return Ok(());
        }
        let is_text = matches!(args[0], ValueRef::Text(_));
        if self.out.is_empty() {
            self.out.push(u8::from(is_text));
        }
        let b = bytes_of(&args[0]);
        self.out.extend_from_slice(&(b.len() as u64).to_be_bytes());
        self.out.extend_from_slice(b);
        Ok(())
    }

    fn inverse(&mut self, _: &[ValueRef<'_>]) -> Result<(), SqlError> {
        Err(SqlError::unsupported("GROUP_CONCAT as a window function"))
    }

    fn value(&self) -> Answer {
        Ok(if self.out.is_empty() { Value::Null } else { Value::Blob(self.out.clone()) })
    }
}

#[derive(Default)]
struct JsonArray {
    items: std::collections::VecDeque<String>,
}

impl Accumulator for JsonArray {
    fn step(&mut self, args: &[ValueRef<'_>]) -> Result<(), SqlError> {
        let item = if matches!(args[0], ValueRef::Null) { "null" } else { str_of(&args[0]) };
        self.items.push_back(item.to_owned());
        Ok(())
    }

    fn inverse(&mut self, _: &[ValueRef<'_>]) -> Result<(), SqlError> {
        self.items.pop_front();
        Ok(())
    }

    fn value(&self) -> Answer {
        if self.items.is_empty() {
            return Ok(Value::Null);
        }
        let all: Vec<&str> = self.items.iter().map(String::as_str).collect();
        Ok(Value::Text(format!("[{}]", all.join(", "))))
    }
}

/// MIN and MAX of JSON, in the order in which JSON is compared.
#[derive(Default)]
struct JsonExtreme {
    greatest: bool,
    /// Rows taken in, and out again.
    rows: (u64, u64),
    /// What may still become the result, each with its row's number and what it is ordered by: the result stands first.
    candidates: std::collections::VecDeque<(u64, Vec<u8>, String)>,
}

impl Accumulator for JsonExtreme {
    fn step(&mut self, args: &[ValueRef<'_>]) -> Result<(), SqlError> {
        let row = self.rows.0;
        self.rows.0 += 1;
        if matches!(args[0], ValueRef::Null) {
            return Ok(());
        }
        let key = super::json::order_of(&args[0])?;
        let beaten = |old: &Vec<u8>| if self.greatest { *old < key } else { *old > key };
        while self.candidates.back().is_some_and(|(_, old, _)| beaten(old)) {
            self.candidates.pop_back();
        }
        self.candidates.push_back((row, key, str_of(&args[0]).to_owned()));
        Ok(())
    }

    fn inverse(&mut self, _: &[ValueRef<'_>]) -> Result<(), SqlError> {
        let gone = self.rows.1;
        self.rows.1 += 1;
        if self.candidates.front().is_some_and(|(row, ..)| *row == gone) {
            self.candidates.pop_front();
        }
        Ok(())
    }

    fn value(&self) -> Answer {
        Ok(self.candidates.front().map_or(Value::Null, |(_, _, json)| Value::Text(json.clone())))
    }
}

#[derive(Default)]
struct JsonObject {
    items: std::collections::VecDeque<(String, String)>,
}

impl Accumulator for JsonObject {
    fn step(&mut self, args: &[ValueRef<'_>]) -> Result<(), SqlError> {
        if matches!(args[0], ValueRef::Null) {
            return Err(SqlError::new(3158, "22032", "JSON documents may not contain NULL member names."));
        }
        let item = if matches!(args[1], ValueRef::Null) { "null" } else { str_of(&args[1]) };
        self.items.push_back((str_of(&args[0]).to_owned(), item.to_owned()));
        Ok(())
    }

    fn inverse(&mut self, _: &[ValueRef<'_>]) -> Result<(), SqlError> {
        self.items.pop_front();
        Ok(())
    }

    fn value(&self) -> Answer {
        if self.items.is_empty() {
            return Ok(Value::Null);
        }
        super::json::object(self.items.iter().map(|(k, v)| (k.as_str(), v.as_str()))).map(Value::Text)
    }
}

/// A subquery's only row: error 1242 for a second one.
#[derive(Default)]
struct One {
    value: Option<Value>,
}

impl Accumulator for One {
    fn step(&mut self, args: &[ValueRef<'_>]) -> Result<(), SqlError> {
        if self.value.is_some() {
            return Err(SqlError::new(1242, "21000", "Subquery returns more than 1 row"));
        }
        self.value = Some(args[0].to_value());
        Ok(())
    }

    fn inverse(&mut self, _: &[ValueRef<'_>]) -> Result<(), SqlError> {
        self.value = None;
        Ok(())
    }

    fn value(&self) -> Answer {
        Ok(self.value.clone().unwrap_or(Value::Null))
    }
}
