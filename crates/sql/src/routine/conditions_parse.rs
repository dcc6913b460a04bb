//! The grammar of conditions: DECLARE … HANDLER FOR, SIGNAL, RESIGNAL, GET DIAGNOSTICS.

use p2pdb_model::catalog::same_name;
use sqlparser::tokenizer::Token;

use super::conditions::{Condition, Diagnostics, Item, Signal, Target, Wanted};
use super::parse::Reader;
use crate::error::SqlError;

impl Reader<'_, '_, '_> {
    /// What a handler names.
    pub(super) fn handled(&mut self) -> Result<Condition, SqlError> {
        if self.c.eat("sqlwarning") {
            return Ok(Condition::Warning);
        }
        if self.c.eat("not found") {
            return Ok(Condition::NotFound);
        }
        if self.c.eat("sqlexception") {
            return Ok(Condition::Exception);
        }
        if self.c.is("sqlstate") || matches!(self.c.token(0), Token::Number(..)) {
            return self.condition_value();
        }
        let name = self.c.name()?;
        self.named_condition(&name)
    }

    fn named_condition(&self, name: &str) -> Result<Condition, SqlError> {
        let found = self.conditions.iter().rev().find(|(n, _)| same_name(n, name)).map(|(_, c)| c.clone());
        found.ok_or_else(|| SqlError::new(1319, "42000", format!("Undefined CONDITION: {name}")))
    }

    /// `SQLSTATE [VALUE] 'xxxxx'` or an error number.
    pub(super) fn condition_value(&mut self) -> Result<Condition, SqlError> {
        if self.c.is("sqlstate") {
            return self.state().map(Condition::State);
        }
        let code = self.c.number()?;
        match u16::try_from(code) {
            Ok(code) if code > 0 => Ok(Condition::Code(code)),
            _ => Err(SqlError::new(1500, "HY000", format!("Incorrect CONDITION value: '{code}'"))),
        }
    }

    fn state(&mut self) -> Result<String, SqlError> {
        self.c.expect("sqlstate")?;
        self.c.eat("value");
        let state = self.c.string()?;
        let good = state.len() == 5
            && state.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
            && !state.starts_with("00");
        if good { Ok(state) } else { Err(SqlError::new(1407, "42000", format!("Bad SQLSTATE: '{state}'"))) }
    }

    pub(super) fn signal(&mut self) -> Result<Signal, SqlError> {
        let again = self.c.eat_one(&["signal", "resignal"]) == Some("resignal");
        let state = if self.c.is("sqlstate") {
            Some(self.state()?)
        } else if self.c.at_name() && !self.c.is("set") {
            let name = self.c.name()?;
            match self.named_condition(&name)? {
                Condition::State(state) => Some(state),
                _ => {
                    let message = "SIGNAL/RESIGNAL can only use a CONDITION defined with SQLSTATE";
                    return Err(SqlError::new(1646, "HY000", message));
                }
            }
        } else if again {
            None
        } else {
            return Err(self.c.error());
        };
        let mut items: Vec<(Item, usize)> = Vec::new();
        if self.c.eat("set") {
            loop {
                let item = self.item()?;
                if item == Item::ReturnedState {
                    return Err(self.c.error());
                }
                if items.iter().any(|(i, _)| *i == item) {
                    let message = format!("Duplicate condition information item '{}'", item.name());
                    return Err(SqlError::new(1641, "42000", message));
                }
                self.c.expect_token(&Token::Eq)?;
                let value = self.expression()?;
                items.push((item, value));
                if !self.c.eat_token(&Token::Comma) {
                    break;
                }
            }
        }
        Ok(Signal { again, state, items })
    }

    fn item(&mut self) -> Result<Item, SqlError> {
        let found = Item::NAMES.iter().find(|(name, _)| self.c.is(name));
        let Some((_, item)) = found else { return Err(self.c.error()) };
        self.c.skip();
        Ok(*item)
    }

    pub(super) fn diagnostics(&mut self) -> Result<Diagnostics, SqlError> {
        self.c.expect("get")?;
        let stacked = self.c.eat_one(&["current", "stacked"]) == Some("stacked");
        self.c.expect("diagnostics")?;
        let what = if self.c.eat("condition") {
            let number = self.expression()?;
            let mut all = Vec::new();
            loop {
                let target = self.diagnostics_target()?;
                all.push((target, self.item()?));
                if !self.c.eat_token(&Token::Comma) {
                    break;
                }
            }
            Wanted::Condition(number, all)
        } else {
            let mut all = Vec::new();
            loop {
                let target = self.diagnostics_target()?;
                let number = match self.c.eat_one(&["number", "row_count"]) {
                    Some(word) => word == "number",
                    None => return Err(self.c.error()),
                };
                all.push((target, number));
                if !self.c.eat_token(&Token::Comma) {
                    break;
                }
            }
            Wanted::Statement(all)
        };
        Ok(Diagnostics { stacked, what })
    }

    fn diagnostics_target(&mut self) -> Result<Target, SqlError> {
        let target = match crate::statement::eat_user_variable(self.c)? {
            Some(name) => Target::User(name),
            None => {
                let name = self.c.name()?;
                Target::Local(self.declared(&name)?)
            }
        };
        self.c.expect_token(&Token::Eq)?;
        Ok(target)
    }
}
