// mysql2 by itself: text and prepared statements, pools, types, errors, streams.
const mysql = require('mysql2/promise');
const { assert, server, program, version } = require('./check.cjs');

program(version('mysql2'), async (check) => {
  const c = await mysql.createConnection({ ...server, supportBigNumbers: true, multipleStatements: true, timezone: 'Z' });
  await check('create table', () => c.query(
    `CREATE TABLE kinds (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, d DECIMAL(30,10), f DOUBLE, j JSON,
     at DATETIME(6), day DATE, t TIME(3), b VARBINARY(20), bits BIT(9), e ENUM('x','y'), s SET('a','b','c'),
     txt LONGTEXT, flag TINYINT(1), y YEAR, UNIQUE KEY uq_f (f))`));
  const row = ['12345678901234567890.0123456789', 1.5, '{"b": [1, null], "a": "ü"}', '2024-02-29 23:59:59.123456',
    '2024-02-29', '-12:34:56.789', Buffer.from([0, 255, 39]), 257, 'y', 'a,c', '😀', true, 2024];
  const columns = 'd, f, j, at, day, t, b, bits, e, s, txt, flag, y';
  for (const how of ['query', 'execute']) {
    await check(`${how}: a row of every kind`, async () => {
      await c.query('DELETE FROM kinds');
      const [done] = await c[how](`INSERT INTO kinds (${columns}) VALUES (${row.map(() => '?').join()})`, row);
      assert.equal(done.affectedRows, 1);
      const [[got]] = await c[how]('SELECT * FROM kinds WHERE id = ?', [done.insertId]);
      assert.equal(got.d, row[0]);
      assert.equal(got.f, 1.5);
      assert.deepEqual(got.j, { a: 'ü', b: [1, null] });
      assert.equal(got.at.toISOString(), '2024-02-29T23:59:59.123Z');
      assert.equal(got.t, '-12:34:56.789');
      assert.deepEqual([...got.b], [0, 255, 39]);
      assert.deepEqual([...got.bits], [1, 1]);
      assert.equal(`${got.e} ${got.s} ${got.txt} ${got.flag} ${got.y}`, 'y a,c 😀 1 2024');
    });
  }
  await check('bigint over its whole range', async () => {
    await c.execute('CREATE TABLE wide (u BIGINT UNSIGNED PRIMARY KEY, s BIGINT)');
    await c.execute('INSERT INTO wide VALUES (?, ?)', ['18446744073709551615', '-9223372036854775808']);
    const [[got]] = await c.execute('SELECT * FROM wide WHERE u = ?', ['18446744073709551615']);
    assert.equal(String(got.u), '18446744073709551615');
    assert.equal(String(got.s), '-9223372036854775808');
  });
  await check('duplicate key has code and key name', async () => {
    await assert.rejects(c.query('INSERT INTO kinds (f) VALUES (1.5)'), (e) =>
      e.code === 'ER_DUP_ENTRY' && e.errno === 1062 && e.sqlState === '23000' && /key 'kinds.uq_f'/.test(e.message));
  });
  await check('bulk insert with nested arrays', async () => {
    const [done] = await c.query('INSERT INTO kinds (f, txt) VALUES ?', [[[10, 'a'], [11, 'b'], [12, null]]]);
    assert.equal(done.affectedRows, 3);
  });
  await check('several statements, several results', async () => {
    const [results] = await c.query('SELECT 1 AS a; SELECT 2 AS b; UPDATE kinds SET flag = 0 WHERE f = 10');
    assert.equal(results.length, 3);
    assert.equal(results[2].changedRows, 1);
  });
  await check('transaction: rollback, savepoint, commit', async () => {
    await c.beginTransaction();
    await c.query('INSERT INTO kinds (f) VALUES (20)');
    await c.query('SAVEPOINT s1');
    await c.query('INSERT INTO kinds (f) VALUES (21)');
    await c.query('ROLLBACK TO SAVEPOINT s1');
    await c.commit();
    await c.beginTransaction();
    await c.query('INSERT INTO kinds (f) VALUES (22)');
    await c.rollback();
    const [rows] = await c.query('SELECT f FROM kinds WHERE f >= 20');
    assert.deepEqual(rows, [{ f: 20 }]);
  });
  await check('a stream of rows', async () => {
    const stream = c.connection.query('WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT i FROM n').stream();
    let sum = 0;
    for await (const { i } of stream) sum += i;
    assert.equal(sum, 405450);
  });
  await check('a pool, changeUser, resetting', async () => {
    const pool = mysql.createPool({ ...server, connectionLimit: 3 });
    const sums = await Promise.all([1, 2, 3, 4, 5, 6].map((n) => pool.execute('SELECT ? + 1 AS n', [n])));
    assert.deepEqual(sums.map(([[r]]) => Number(r.n)), [2, 3, 4, 5, 6, 7]);
    const one = await pool.getConnection();
    await one.query('SET @x = 1');
    await one.changeUser({ database: 'information_schema' });
    const [[got]] = await one.query('SELECT @x AS x, DATABASE() AS d');
    assert.deepEqual(got, { x: null, d: 'information_schema' });
    one.release();
    await pool.end();
  });
});
