//! Functions of dates and times whose result type follows from their arguments.

use p2pdb_model::Value;
use p2pdb_model::decimal::Decimal;

use super::call::wrong_count;
use super::{Binder, Bound, coercibility};
use crate::error::SqlError;
use crate::field::FieldType;
use crate::types::Class;

impl Binder<'_> {
    /// GREATEST and LEAST of dates and others, which are read as dates. The answer is a text.
    pub(super) fn extreme_date(&mut self, greatest: bool, args: &[Bound], ty: FieldType) -> Bound {
        let date = !args.iter().any(|a| a.class().is_temporal() && a.class() != Class::Date);
        let fsp = args.iter().map(|a| self.fsp_of(a)).max().unwrap_or(0);
        let mut sqls = vec![u8::from(greatest).to_string(), u8::from(date).to_string(), fsp.to_string()];
        for a in args {
            let a =
                if a.class().is_temporal() { self.to(a, &FieldType::datetime(6)) } else { self.text_of(a) };
            sqls.push(self.sql(&a));
        }
        let mut b = Bound::new(format!("p_extreme_date({})", sqls.join(",")), ty);
        b.coercibility = args.iter().map(|a| a.coercibility).min().unwrap_or(coercibility::NUMERIC);
        b
    }

    pub(super) fn temporal_call(&mut self, name: &str, args: &[Bound]) -> Result<Option<Bound>, SqlError> {
        let count = |n: usize| if args.len() == n { Ok(()) } else { Err(wrong_count(name)) };
        Ok(Some(match name {
            "TIME" => {
                count(1)?;
                let fsp = self.fsp_of(&args[0]);
                self.to(&args[0], &FieldType::time(fsp))
            }
            "TIMESTAMP" if args.len() == 1 => {
                let fsp = self.fsp_of(&args[0]);
                self.to(&args[0], &FieldType::datetime(fsp))
            }
            "ADDTIME" | "SUBTIME" | "TIMESTAMP" => {
                count(2)?;
                let sign = if name == "SUBTIME" { -1 } else { 1 };
                let t = self.to(&args[1], &FieldType::time(6));
                let fsp = self.fsp_of(&args[0]).max(self.fsp_of(&args[1]));
                let time = args[0].class() == Class::Time && name != "TIMESTAMP";
                if args[0].class() == Class::Text && name != "TIMESTAMP" {
                    let (x, t) = (self.sql(&args[0]), self.sql(&t));
                    let sql = format!("p_addtime_text({x},{t},{sign})");
                    let ty = FieldType::text(29, self.session.collation);
                    Bound::new(sql, FieldType { kind: crate::field::FieldKind::Char, ..ty })
                } else if time {
                    let (x, t) = (self.sql(&args[0]), self.sql(&t));
                    Bound::new(format!("p_addtime({x},{t},{sign})"), FieldType::time(fsp))
                } else {
                    let x = self.to(&args[0], &FieldType::datetime(6));
                    let (x, t) = (self.sql(&x), self.sql(&t));
                    Bound::new(format!("p_adddatetime({x},{t},{sign})"), FieldType::datetime(fsp))
                }
            }
            "TIMEDIFF" => {
                count(2)?;
                let fsp = self.fsp_of(&args[0]).max(self.fsp_of(&args[1]));
                if args.iter().all(|a| a.class().has_date()) {
                    let (x, y) = (self.argument(&args[0], b'd', name), self.argument(&args[1], b'd', name));
                    let sql = format!("p_timediff_dt({},{})", self.sql(&x), self.sql(&y));
                    Bound::new(sql, FieldType::time(fsp))
                } else if args.iter().all(|a| a.class() == Class::Text || a.class().is_temporal())
                    && !args.iter().all(|a| a.class() == Class::Time)
                {
                    // A text may be either, and is what the other one is.
                    let (x, y) = (self.text_of(&args[0]), self.text_of(&args[1]));
                    let sql = format!("p_timediff_text({},{})", self.sql(&x), self.sql(&y));
                    Bound::new(sql, FieldType::time(fsp))
                } else {
                    let (x, y) = (self.argument(&args[0], b'T', name), self.argument(&args[1], b'T', name));
                    let sql = format!("p_timediff({},{})", self.sql(&x), self.sql(&y));
                    Bound::new(sql, FieldType::time(fsp))
                }
            }
            "MAKETIME" => {
                count(3)?;
                let (h, m) = (self.argument(&args[0], b'i', name), self.argument(&args[1], b'i', name));
                let s = self.argument(&args[2], b'n', name);
                let fsp = self.fsp_of(&args[2]);
                let sql = format!("p_maketime({},{},{})", self.sql(&h), self.sql(&m), self.sql(&s));
                Bound::new(sql, FieldType::time(fsp))
            }
            "UNIX_TIMESTAMP" => {
                count(1)?;
                let fsp = self.fsp_of(&args[0]);
                let x = self.to(
                    &args[0],
                    &FieldType { kind: crate::field::FieldKind::Timestamp, ..FieldType::datetime(6) },
                );
                let sql = self.sql(&x);
                let (call, ty) = match fsp {
                    0 => (format!("p_unix({sql})"), FieldType::int()),
                    _ => (format!("p_unix_dec({sql})"), FieldType::decimal(11 + u32::from(fsp), fsp)),
                };
                // Text that is no date counts as the epoch.
                if args[0].class() == Class::Text {
                    let (text, zero) = (self.sql(&args[0]), Decimal::new(0, u32::from(fsp)));
                    let zero =
                        self.constant(if fsp == 0 { Value::Int(0) } else { Value::Blob(zero.encode()) });
                    let sql = format!("(CASE WHEN {text} IS NOT NULL THEN coalesce({call},{zero}) END)");
                    Bound::new(sql, ty)
                } else {
                    Bound::new(call, ty)
                }
            }
            "FROM_UNIXTIME" => {
                if !(1..=2).contains(&args.len()) {
                    return Err(wrong_count(name));
                }
                let fsp = args[0].ty.fsp();
                let x = self.to(&args[0], &FieldType::decimal(65, 6));
                let t = Bound::new(format!("p_from_unixtime({})", self.sql(&x)), FieldType::datetime(fsp));
                match args.get(1) {
                    Some(f) => self.call("DATE_FORMAT", vec![t, f.clone()])?,
                    None => t,
                }
            }
            "STR_TO_DATE" => {
                count(2)?;
                let (x, f) = (self.argument(&args[0], b't', name), self.argument(&args[1], b't', name));
                let kind = match self.constant_text(&args[1]) {
                    Some(t) => crate::functions::temporal::format_kind(&t),
                    None => FieldType::datetime(6),
                };
                let code = kind.code().pack();
                Bound::new(format!("p_str_to_date({},{},{code})", self.sql(&x), self.sql(&f)), kind)
            }
            _ => return self.json_call(name, args),
        }))
    }
}
