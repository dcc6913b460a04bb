// What a program with node's mysql2 does: host, port, user and password are its arguments.
const assert = require('assert');
const mysql = require('mysql2/promise');

const [host, port, user, password] = process.argv.slice(2);

(async () => {
  const c = await mysql.createConnection({ host, port: Number(port), user, password, supportBigNumbers: true });
  await c.query('CREATE DATABASE IF NOT EXISTS js');
  await c.query('USE js');
  await c.query('CREATE TABLE t (id BIGINT PRIMARY KEY, name VARCHAR(20), x DOUBLE, j JSON, at DATETIME(3))');
  const at = new Date(2026, 1, 28, 12, 34, 56, 789);
  const [done] = await c.execute('INSERT INTO t VALUES (?, ?, ?, ?, ?)', [1, 'ü', 0.1, '{"a": [1]}', at]);
  assert.strictEqual(done.affectedRows, 1);
  // It sends numbers as texts there.
  const [limited] = await c.execute('SELECT 5 AS x UNION SELECT 6 LIMIT ? OFFSET ?', ['1', '1']);
  assert.deepEqual(limited.map((r) => Number(r.x)), [6]);
  // And as DOUBLE.
  const [counted] = await c.execute('SELECT 5 AS x UNION SELECT 6 LIMIT ? OFFSET ?', [1, 1]);
  assert.deepEqual(counted.map((r) => Number(r.x)), [6]);
  await c.execute('CREATE TABLE noted (at VARCHAR(20), raw BLOB)');
  await c.execute('INSERT INTO noted VALUES (?, ?)', [new Date(2026, 1, 28, 12, 34, 56), new Date(2026, 1, 28, 12, 34, 56)]);
  const [noted] = await c.query('SELECT at, CAST(raw AS CHAR) AS raw FROM noted');
  assert.deepEqual({ ...noted[0] }, { at: '2026-02-28 12:34:56', raw: '2026-02-28 12:34:56' });
  const [rows] = await c.execute('SELECT * FROM t WHERE id = ? AND name = ?', [1, 'ü']);
  assert.deepStrictEqual(rows[0].j, { a: [1] });
  assert.strictEqual(rows[0].x, 0.1);
  assert.strictEqual(rows[0].at.getTime(), at.getTime());
  await c.beginTransaction();
  await c.query('UPDATE t SET name = ? WHERE id = ?', ['y', 1]);
  await c.rollback();
  const [again] = await c.query('SELECT name FROM t LIMIT ?', [1]);
  assert.strictEqual(again[0].name, 'ü');
  await assert.rejects(c.query('SELECT * FROM nosuch'), (e) => e.errno === 1146 && e.sqlState === '42S02');
  await c.query("CREATE PROCEDURE p(n INT) BEGIN IF n > 1 THEN SELECT n; END IF; SELECT 'end' AS e; END");
  const [sets] = await c.query('CALL p(2)');
  assert.deepStrictEqual([sets[0][0].n, sets[1][0].e], [2, 'end']);
  const [prepared] = await c.execute('CALL p(?)', [1]);
  assert.strictEqual(prepared[0][0].e, 'end');
  await c.end();
  console.log('fine');
})().catch((e) => { console.error(e); process.exit(1); });
