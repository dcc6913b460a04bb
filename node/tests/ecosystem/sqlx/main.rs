//! sqlx: pools, prepared statements, every type, its migrator, transactions, error kinds, streams.

use std::future::Future;

use futures_util::TryStreamExt;
use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions};
use sqlx::types::chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use sqlx::types::{BigDecimal, Json};
use sqlx::{Acquire, Row};

type Checked = Result<(), Box<dyn std::error::Error>>;

async fn check(name: &str, body: impl Future<Output = Checked>) {
    match body.await {
        Ok(()) => println!("ok {name}"),
        Err(e) => println!("not ok {name}: {}", e.to_string().replace('\n', " ")),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(expected: T, actual: T) -> Checked {
    if expected == actual { Ok(()) } else { Err(format!("expected {expected:?}, got {actual:?}").into()) }
}

#[tokio::main]
async fn main() {
    println!("version {}", env!("SQLX_VERSION"));
    let var = |name: &str| std::env::var(name).expect("set by scripts/ecosystem");
    let options = MySqlConnectOptions::new()
        .host(&var("DB_HOST"))
        .port(var("DB_PORT").parse().expect("a port"))
        .username(&var("DB_USER"))
        .password(&var("DB_PASSWORD"))
        .database(&var("DB_NAME"));
    let pool = MySqlPoolOptions::new().max_connections(4).connect_with(options).await.expect("a connection");
    check("migrate", migrate(&pool)).await;
    check("a row of every kind", kinds(&pool)).await;
    check("derive FromRow, optional values", typed(&pool)).await;
    check("unique and foreign key violations are told apart", errors(&pool)).await;
    check("transactions and savepoints", transactions(&pool)).await;
    check("a stream of rows", stream(&pool)).await;
    check("describe knows types and nullability", describe(&pool)).await;
    check("many at once on a pool", concurrent(&pool)).await;
    println!("done");
}

async fn migrate(pool: &MySqlPool) -> Checked {
    let folder = std::env::temp_dir().join(format!("sqlx-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    std::fs::write(
        folder.join("1_kinds.sql"),
        "CREATE TABLE kinds (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, i INT, u BIGINT UNSIGNED, d DECIMAL(30,10), \
         f DOUBLE, ok BOOLEAN NOT NULL DEFAULT TRUE, n VARCHAR(40) UNIQUE, b BLOB, at DATETIME(6), ts TIMESTAMP(6) NULL, day DATE, \
         t TIME(6), j JSON, e ENUM('x','y'));\nCREATE TABLE child (kind BIGINT UNSIGNED NOT NULL, FOREIGN KEY (kind) REFERENCES kinds (id));",
    )?;
    std::fs::write(folder.join("2_more.sql"), "ALTER TABLE child ADD COLUMN note TEXT, ADD INDEX by_kind (kind);")?;
    let migrator = sqlx::migrate::Migrator::new(folder.as_path()).await?;
    migrator.run(pool).await?;
    migrator.run(pool).await?;
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

async fn kinds(pool: &MySqlPool) -> Checked {
    let at: NaiveDateTime = "2024-02-29T01:02:03.123456".parse()?;
    let ts: DateTime<Utc> = "2024-02-29T01:02:03.5Z".parse()?;
    let done = sqlx::query("INSERT INTO kinds (i, u, d, f, n, b, at, ts, day, t, j, e) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)")
        .bind(-5_i32)
        .bind(u64::MAX)
        .bind("12345678901234567890.0123456789".parse::<BigDecimal>()?)
        .bind(0.1_f64)
        .bind("né😀")
        .bind(vec![0_u8, 255, 39])
        .bind(at)
        .bind(ts)
        .bind("2024-02-29".parse::<NaiveDate>()?)
        .bind("23:59:59.000001".parse::<NaiveTime>()?)
        .bind(Json(vec![Some(1), None]))
        .bind("y")
        .execute(pool)
        .await?;
    same((1, 1), (done.rows_affected(), done.last_insert_id()))?;
    let row = sqlx::query("SELECT * FROM kinds WHERE id = ?").bind(1_u64).fetch_one(pool).await?;
    same(-5, row.try_get::<i32, _>("i")?)?;
    same(u64::MAX, row.try_get::<u64, _>("u")?)?;
    same("12345678901234567890.0123456789".parse()?, row.try_get::<BigDecimal, _>("d")?)?;
    same(0.1, row.try_get::<f64, _>("f")?)?;
    same(true, row.try_get::<bool, _>("ok")?)?;
    same("né😀".to_owned(), row.try_get::<String, _>("n")?)?;
    same(vec![0, 255, 39], row.try_get::<Vec<u8>, _>("b")?)?;
    same(at, row.try_get::<NaiveDateTime, _>("at")?)?;
    same(ts, row.try_get::<DateTime<Utc>, _>("ts")?)?;
    same("23:59:59.000001".parse()?, row.try_get::<NaiveTime, _>("t")?)?;
    same(vec![Some(1), None], row.try_get::<Json<Vec<Option<i32>>>, _>("j")?.0)?;
    same("y".to_owned(), row.try_get::<String, _>("e")?)
}

#[derive(sqlx::FromRow, Debug, PartialEq)]
struct Small {
    i: Option<i32>,
    n: Option<String>,
    total: BigDecimal,
    count: i64,
}

async fn typed(pool: &MySqlPool) -> Checked {
    let sql = "SELECT i, n, CAST(d AS DECIMAL(10,2)) - CAST(d AS DECIMAL(10,2)) + 2.50 AS total, (SELECT COUNT(*) FROM kinds) AS count \
               FROM (SELECT i, n, 1 AS d FROM kinds) x";
    let all: Vec<Small> = sqlx::query_as(sql).fetch_all(pool).await?;
    same(vec![Small { i: Some(-5), n: Some("né😀".into()), total: "2.50".parse()?, count: 1 }], all)
}

async fn errors(pool: &MySqlPool) -> Checked {
    let twice = sqlx::query("INSERT INTO kinds (n) VALUES (?)").bind("NÉ😀").execute(pool).await;
    let Err(sqlx::Error::Database(e)) = twice else { return Err("no error".into()) };
    same((true, Some("23000")), (e.is_unique_violation(), e.code().as_deref()))?;
    let orphan = sqlx::query("INSERT INTO child (kind) VALUES (77)").execute(pool).await;
    let Err(sqlx::Error::Database(e)) = orphan else { return Err("no error".into()) };
    same(true, e.is_foreign_key_violation())?;
    let empty = sqlx::query("INSERT INTO child (kind) VALUES (NULL)").execute(pool).await;
    let Err(sqlx::Error::Database(e)) = empty else { return Err("no error".into()) };
    same(true, matches!(e.kind(), sqlx::error::ErrorKind::NotNullViolation))
}

async fn transactions(pool: &MySqlPool) -> Checked {
    let mut tx = pool.begin().await?;
    sqlx::query("INSERT INTO child (kind, note) VALUES (1, 'kept')").execute(&mut *tx).await?;
    let mut inner = tx.begin().await?;
    sqlx::query("INSERT INTO child (kind, note) VALUES (1, 'gone')").execute(&mut *inner).await?;
    inner.rollback().await?;
    tx.commit().await?;
    let mut dropped = pool.begin().await?;
    sqlx::query("DELETE FROM child").execute(&mut *dropped).await?;
    drop(dropped);
    let notes: Vec<String> = sqlx::query_scalar("SELECT note FROM child").fetch_all(pool).await?;
    same(vec!["kept".to_owned()], notes)
}

async fn stream(pool: &MySqlPool) -> Checked {
    let sql = "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT i FROM n";
    let mut rows = sqlx::query_scalar::<_, i64>(sql).fetch(pool);
    let mut sum = 0;
    while let Some(i) = rows.try_next().await? {
        sum += i;
    }
    same(405_450, sum)
}

async fn describe(pool: &MySqlPool) -> Checked {
    use sqlx::{Column, Executor, TypeInfo};
    let described = (&mut *pool.acquire().await?).describe("SELECT id, n, d FROM kinds WHERE id = ?").await?;
    let types: Vec<_> = described.columns().iter().map(|c| format!("{} {}", c.name(), c.type_info().name())).collect();
    same(vec!["id BIGINT UNSIGNED".to_owned(), "n VARCHAR".into(), "d DECIMAL".into()], types)?;
    same((Some(false), Some(true)), (described.nullable(0), described.nullable(1)))
}

async fn concurrent(pool: &MySqlPool) -> Checked {
    let tasks: Vec<_> = (0..20)
        .map(|i| {
            let pool = pool.clone();
            tokio::spawn(async move { sqlx::query("INSERT INTO kinds (i) VALUES (?)").bind(i).execute(&pool).await })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    same(190_i64, sqlx::query_scalar("SELECT CAST(SUM(i) AS SIGNED) FROM kinds WHERE i >= 0").fetch_one(pool).await?)
}
