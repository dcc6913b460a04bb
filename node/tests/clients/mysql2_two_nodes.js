// A program with node's mysql2 that writes on one node and reads on another: host, port, user and password of each are its
// arguments. What a commit is called it hears with its OK.
const assert = require('assert');
const mysql = require('mysql2/promise');

const connect = ([host, port, user, password]) =>
  mysql.createConnection({ host, port: Number(port), user, password, database: 'shop' });

const names = process.argv.slice(2);

(async () => {
  const [here, there] = [await connect(names.slice(0, 4)), await connect(names.slice(4))];
  await here.query('SET session_track_gtids = OWN_GTID');
  const waits = 'SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 20) AS late';
  for (let id = 1; id <= 50; id++) {
    // By text and prepared, in a transaction of its own and in a longer one.
    let done;
    if (id % 3 === 0) {
      await here.beginTransaction();
      [done] = await here.query('INSERT INTO till VALUES (?, 0)', [id]);
      assert.strictEqual(done.stateChanges, undefined, 'nothing is committed yet');
      await here.execute('UPDATE till SET v = v + ? WHERE id = ?', [id, id]);
      [done] = await here.query('COMMIT');
    } else {
      [done] = await here[id % 2 ? 'query' : 'execute']('INSERT INTO till VALUES (?, ?)', [id, id]);
    }
    const [gtid, ...more] = done.stateChanges.gtids;
    assert.match(gtid, /^[0-9a-f-]{36}:[0-9]+$/);
    assert.strictEqual(more.length, 0);
    const [[wait]] = await there.query(waits, [gtid]);
    assert.strictEqual(wait.late, 0);
    const [rows] = await there.execute('SELECT v FROM till WHERE id = ?', [id]);
    assert.deepStrictEqual(rows.map((r) => r.v), [id], `its own write ${id} is not to be read`);
  }
  const [read] = await here.query('UPDATE till SET v = v WHERE id = 1');
  assert.strictEqual(read.stateChanges, undefined, 'what changes nothing has no name');
  await here.query('SET session_track_gtids = ALL_GTIDS');
  const [last] = await here.query('DELETE FROM till WHERE id = 1');
  const [[{ all }]] = await here.query('SELECT @@gtid_executed AS `all`');
  assert.strictEqual(last.stateChanges.gtids.join(), all.replace(/\s/g, ''));
  await Promise.all([here.end(), there.end()]);
  console.log('fine');
})().catch((e) => {
  console.error(e);
  process.exit(1);
});
