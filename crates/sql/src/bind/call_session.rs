//! Functions that read syntax, the session or the clock.

use std::rc::Rc;

use p2pdb_model::types::Collation;
use p2pdb_model::{ObjectId, Value};
use sqlparser::ast::Expr;

use super::call::{Call, wrong_count};
use super::{Binder, Bound, Repr, Scope, coercibility};
use crate::error::SqlError;
use crate::field::{FieldKind, FieldType};
use crate::plan::{Coerce, NowKind, RandomKind, SessionInfo, Slot, Source};

/// What CURRENT_ROLE() may give, as its type says it.
const ROLE_CHARS: u32 = 50_331_648;

impl Binder<'_> {
    /// Functions that read syntax, the session or the clock.
    pub(super) fn special(&mut self, call: &Call<'_>, s: &Rc<Scope>) -> Result<Option<Bound>, SqlError> {
        let args = &call.args;
        let name = call.name.as_str();
        let none = |what: Result<Bound, SqlError>| {
            if args.is_empty() { what.map(Some) } else { Err(wrong_count(name)) }
        };
        let slot = |source: Source, ty: FieldType| {
            let mut b = Bound::slot(Slot { source, coerce: Coerce::None }, ty);
            b.not_null = true;
            b
        };
        if let Some(n) = name.strip_prefix(crate::statement::calls::CALL) {
            // `n:id` of a stored function, `n` and a letter for what else a call gives.
            let letter = n.chars().last().filter(char::is_ascii_uppercase);
            let n = n.trim_end_matches(|c: char| c.is_ascii_uppercase());
            let (n, id) = n.split_once(':').map_or((n, None), |(n, id)| (n, Some(id)));
            let routine = id.and_then(ObjectId::from_hex).and_then(|id| self.catalog.routine_by_id(id));
            let ty = match routine {
                Some(r) => crate::routine::returns_of(r)?.map(|ty| FieldType::of_column(&ty)),
                None => Some(match letter {
                    Some('U' | 'V') => FieldType::uint(),
                    Some('B') => FieldType::boolean(),
                    _ => FieldType::int(),
                }),
            };
            let (Ok(n), Some(ty)) = (n.parse(), ty) else { return Ok(None) };
            let mut b = Bound::slot(Slot { source: Source::Call(n), coerce: Coerce::None }, ty);
            if b.class().is_text() {
                b.coercibility = coercibility::COLUMN;
            }
            b.not_null = matches!(letter, Some('N' | 'V'));
            return Ok(Some(b));
        }
        if name == "DEFAULT" {
            let [column] = args.as_slice() else { return Err(wrong_count(name)) };
            return self.default_of(column, s).map(Some);
        }
        Ok(match name {
            "NOW" | "CURRENT_TIMESTAMP" | "LOCALTIME" | "LOCALTIMESTAMP" | "SYSDATE" => {
                let fsp = self.fsp(args)?;
                Some(slot(Source::Now(NowKind::DateTime(fsp)), FieldType::datetime(fsp)))
            }
            "UTC_TIMESTAMP" => {
                let fsp = self.fsp(args)?;
                Some(slot(Source::Now(NowKind::Utc(fsp)), FieldType::datetime(fsp)))
            }
            "CURTIME" | "CURRENT_TIME" => {
                let fsp = self.fsp(args).map_err(|e| e.renamed("'now'", "'curtime'"))?;
                let ty = FieldType {
                    length: 8 + if fsp > 0 { u32::from(fsp) + 1 } else { 0 },
                    ..FieldType::time(fsp)
                };
                Some(slot(Source::Now(NowKind::Time(fsp)), ty))
            }
            "UTC_TIME" => {
                let fsp = self.fsp(args)?;
                let length = 8 + if fsp > 0 { u32::from(fsp) + 1 } else { 0 };
                Some(slot(Source::Now(NowKind::UtcTime(fsp)), FieldType { length, ..FieldType::time(fsp) }))
            }
            "CURDATE" | "CURRENT_DATE" => none(Ok(slot(Source::Now(NowKind::Date), FieldType::date())))?,
            "UTC_DATE" => none(Ok(slot(Source::Now(NowKind::UtcDate), FieldType::date())))?,
            "UNIX_TIMESTAMP" if args.is_empty() => Some(slot(Source::Now(NowKind::Unix), FieldType::int())),
            "DATABASE" | "SCHEMA" => {
                let ty = FieldType::text(64, Collation::Utf8mb4GeneralCi);
                none(Ok(self.session_slot(Source::SessionInfo(SessionInfo::Database), ty)))?
            }
            "USER" | "SESSION_USER" | "SYSTEM_USER" => {
                let ty = FieldType::text(288, Collation::Utf8mb4GeneralCi);
                none(Ok(self.session_slot(Source::SessionInfo(SessionInfo::User), ty).not_null(false)))?
            }
            "CURRENT_USER" => {
                let ty = FieldType::text(288, Collation::Utf8mb4GeneralCi);
                none(Ok(self.session_slot(Source::SessionInfo(SessionInfo::CurrentUser), ty)))?
            }
            "CURRENT_ROLE" => {
                let ty = FieldType::text(ROLE_CHARS, Collation::Utf8mb4GeneralCi);
                none(Ok(self
                    .session_slot(Source::SessionInfo(SessionInfo::CurrentRole), ty)
                    .not_null(false)))?
            }
            "VERSION" => {
                let source = Source::SystemVariable { name: "version".to_owned(), global: false };
                none(Ok(self.session_slot(source, FieldType::text(60, Collation::Utf8mb4GeneralCi))))?
            }
            "CONNECTION_ID" => none(Ok(self.session_slot(Source::ConnectionId, FieldType::uint())))?,
            "LAST_INSERT_ID" if args.is_empty() => {
                Some(self.session_slot(Source::LastInsertId, FieldType::uint()))
            }
            "LAST_INSERT_ID" => {
                let [e] = args.as_slice() else { return Err(wrong_count(name)) };
                let b = self.expr(e, s)?;
                let id = self.to(&b, &FieldType::int());
                let sql = format!("p_last_insert_id({})", self.sql(&id));
                // Each row evaluates it.
                Some(Bound::new(sql, FieldType::uint()).not_null(b.not_null).with_parts([&b]))
            }
            "ROW_COUNT" => none(Ok(self.session_slot(Source::RowCount, FieldType::int())))?,
            "FOUND_ROWS" => none(Ok(self.session_slot(Source::FoundRows, FieldType::int())))?,
            "UUID" => {
                let mut b =
                    slot(Source::Random(RandomKind::Uuid), FieldType::text(36, Collation::Utf8mb4GeneralCi));
                if self.per_row || !s.relations.is_empty() {
                    // One per row.
                    let seed = self.sql(&b);
                    b.repr = Repr::Sql(format!("p_uuid({seed})"));
                }
                b.not_null = !self.mode().strict();
                none(Ok(b))?
            }
            "UUID_SHORT" => none(Ok(slot(Source::Random(RandomKind::UuidShort), FieldType::uint())))?,
            "RAND" => {
                let call = match args.as_slice() {
                    [] => {
                        let seed = slot(Source::Random(RandomKind::Seed), FieldType::int());
                        format!("p_rand({})", self.sql(&seed))
                    }
                    [e] => {
                        let b = self.expr(e, s)?;
                        let constant = u8::from(b.is_slot());
                        let seed = self.to(&b, &FieldType::int());
                        self.aliases += 1;
                        let n = self.aliases;
                        format!("p_rand_of({n},coalesce({},0),{constant})", self.sql(&seed))
                    }
                    _ => return Err(wrong_count(name)),
                };
                Some(Bound::new(call, FieldType::double()).not_null(true))
            }
            "DATE_ADD" | "DATE_SUB" | "ADDDATE" | "SUBDATE" => Some(self.date_add(name, args, s)?),
            "TIMESTAMPADD" => Some(self.timestamp_add(args, s)?),
            "TIMESTAMPDIFF" => Some(self.timestamp_diff(args, s)?),
            "CHARSET" | "COLLATION" => {
                let [e] = args.as_slice() else { return Err(wrong_count(name)) };
                let b = self.type_only(e, s)?;
                let c = match b.class() {
                    c if c.is_text() => b.ty.collation,
                    _ => Collation::Binary,
                };
                let text = if name == "CHARSET" { c.charset() } else { c.name() };
                let p = self.constant(Value::Text(text.to_owned()));
                Some(
                    Bound::new(p, FieldType::text(64, Collation::Utf8mb4GeneralCi))
                        .not_null(!self.mode().strict()),
                )
            }
            "COERCIBILITY" => {
                let [e] = args.as_slice() else { return Err(wrong_count(name)) };
                let b = self.type_only(e, s)?;
                Some(self.small(i64::from(b.coercibility)))
            }
            "VALUES" => {
                let [Expr::Identifier(i)] = args.as_slice() else { return Err(wrong_count(name)) };
                Some(s.resolve(&["values()", &i.value]).map_err(|e| {
                    if e.code == 1054 { SqlError::unknown_column(&i.value, s.clause) } else { e }
                })?)
            }
            "GET_FORMAT" => {
                let [Expr::Identifier(kind), style] = args.as_slice() else { return Err(wrong_count(name)) };
                let kind = match kind.value.to_ascii_uppercase().as_str() {
                    "TIMESTAMP" => "DATETIME".to_owned(),
                    kind @ ("DATE" | "TIME" | "DATETIME") => kind.to_owned(),
                    other => return Err(SqlError::syntax(other, 1)),
                };
                let b = self.expr(style, s)?;
                let style = self.text_of(&b);
                let sql = format!("p_get_format('{kind}',{})", self.sql(&style));
                let mut out = Bound::new(sql, FieldType::text(17, self.session.collation)).with_parts([&b]);
                out.coercibility = coercibility::LITERAL;
                Some(out)
            }
            "ANY_VALUE" => {
                let [e] = args.as_slice() else { return Err(wrong_count(name)) };
                let mut b = self.expr(e, s)?;
                b.free.retain(|f| f.scope != s.id);
                b.field = None;
                if b.ty.kind == FieldKind::Char {
                    b.ty.kind = FieldKind::VarChar;
                }
                Some(b)
            }
            "NAME_CONST" => {
                let [given, e] = args.as_slice() else { return Err(wrong_count(name)) };
                self.name_const(given, e)?;
                // The literal alone is what it is, and its type as exact as its value.
                let pinned = std::mem::replace(&mut self.pin_literals, true);
                let b = self.expr(e, s);
                self.pin_literals = pinned;
                Some(b?.not_null(false))
            }
            "ROW" => return Err(super::expr::operand_columns(1)),
            _ => None,
        })
    }

    /// An expression of which only the type is asked for: its parameters are not kept.
    fn type_only(&mut self, e: &Expr, s: &Rc<Scope>) -> Result<Bound, SqlError> {
        let kept = self.slots.len();
        let b = self.expr(e, s)?;
        self.slots.truncate(kept);
        Ok(b)
    }

    /// The digits of `NOW(3)`.
    fn fsp(&mut self, args: &[&Expr]) -> Result<u8, SqlError> {
        match args {
            [] => Ok(0),
            [Expr::Value(v)] => match self.literal_value(v)?.value {
                Value::Int(n @ 0..=6) => Ok(n as u8),
                Value::Int(n) => Err(SqlError::new(
                    1426,
                    "42000",
                    format!("Too-big precision {n} specified for 'now'. Maximum is 6."),
                )),
                _ => Err(SqlError::syntax("", 1)),
            },
            _ => Err(SqlError::syntax("", 1)),
        }
    }
}
