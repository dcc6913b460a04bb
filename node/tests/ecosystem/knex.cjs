// Knex: schema builder, migrations from objects, query builder, transactions.
const { assert, server, program, version } = require('./check.cjs');

const migrations = [
  { name: '01_tables', async up(knex) {
    await knex.schema.createTable('owners', (t) => {
      t.increments('id');
      t.string('email', 100).notNullable().unique();
      t.timestamps(true, true);
    });
    await knex.schema.createTable('things', (t) => {
      t.bigIncrements('id');
      t.integer('owner_id').unsigned().references('owners.id').onDelete('CASCADE').index();
      t.decimal('price', 12, 3).defaultTo(0);
      t.json('data');
      t.datetime('at', { precision: 6 });
      t.enu('state', ['new', 'old']).defaultTo('new');
      t.uuid('key');
      t.text('note', 'mediumtext').comment('free text');
      t.boolean('ok').defaultTo(true);
      t.binary('raw');
      t.index(['state', 'price'], 'by_state');
    });
  }, async down(knex) { await knex.schema.dropTable('things').dropTable('owners'); } },
  { name: '02_alter', async up(knex) {
    await knex.schema.alterTable('things', (t) => {
      t.string('label', 30).notNullable().defaultTo('none').after('id');
      t.renameColumn('note', 'notes');
      t.dropIndex(['state', 'price'], 'by_state');
      t.unique(['label', 'owner_id'], { indexName: 'uq_label' });
      t.bigInteger('count').unsigned();
    });
    await knex.schema.alterTable('things', (t) => t.string('label', 60).notNullable().alter());
  }, async down(knex) { await knex.schema.alterTable('things', (t) => { t.dropUnique(['label', 'owner_id'], 'uq_label'); t.dropColumns('label', 'count'); t.renameColumn('notes', 'note'); }); } },
];
const source = { getMigrations: async () => migrations, getMigrationName: (m) => m.name, getMigration: async (m) => m };

program(version('knex'), async (check) => {
  const knex = require('knex')({ client: 'mysql2', connection: { ...server, timezone: 'Z' }, migrations: { migrationSource: source } });
  await check('migrate up', async () => assert.deepEqual((await knex.migrate.latest())[1], ['01_tables', '02_alter']));
  await check('migrate list and version', async () => {
    assert.equal(await knex.migrate.currentVersion(), '02');
    assert.deepEqual((await knex.migrate.list())[1], []);
  });
  await check('hasTable, hasColumn, columnInfo', async () => {
    assert.equal(await knex.schema.hasTable('things'), true);
    assert.equal(await knex.schema.hasColumn('things', 'notes'), true);
    const info = await knex('things').columnInfo();
    assert.deepEqual([info.label.type, info.label.maxLength, info.label.nullable, info.price.type], ['varchar', 60, false, 'decimal']);
  });
  await check('insert, select with joins, CTE, subquery, window', async () => {
    const [owner] = await knex('owners').insert({ email: 'a@x' });
    await knex('things').insert([1, 2, 3].map((n) => ({ label: `t${n}`, owner_id: owner, price: n + 0.125, data: JSON.stringify({ n }), at: new Date(`2024-01-0${n}T00:00:00.500Z`) })));
    const rows = await knex.with('c', knex('things').where('price', '>', 1.5)).select('c.label', 'o.email', knex.raw('row_number() over (order by c.price desc) as r'))
      .from('c').join('owners as o', 'o.id', 'c.owner_id').orderBy('r');
    assert.deepEqual(rows.map((r) => [r.label, r.email, Number(r.r)]), [['t3', 'a@x', 1], ['t2', 'a@x', 2]]);
    const first = await knex('things').whereIn('owner_id', knex('owners').select('id')).orderBy('id').first();
    assert.deepEqual([first.price, first.data, first.at.toISOString(), first.state, first.ok], ['1.125', { n: 1 }, '2024-01-01T00:00:00.500Z', 'new', 1]);
    assert.equal((await knex('things').whereJsonPath('data', '$.n', '=', 2)).length, 1);
  });
  await check('aggregates, group, having, union', async () => {
    const [sum] = await knex('things').sum('price as s').avg('price as a').countDistinct('state as c');
    assert.deepEqual([sum.s, sum.a, Number(sum.c)], ['6.375', '2.1250000', 1]);
    const union = await knex('things').select('label').where('id', 1).union([knex('things').select('label').where('id', 2)], true);
    assert.equal(union.length, 2);
  });
  await check('onConflict merge and ignore', async () => {
    await knex('owners').insert({ email: 'a@x', id: 77 }).onConflict('email').ignore();
    await knex('things').insert({ label: 't1', owner_id: 1, price: 50 }).onConflict().merge(['price']);
    assert.equal((await knex('things').where({ label: 't1' }).first()).price, '50.000');
  });
  await check('update with increment and returning count', async () => assert.equal(await knex('things').where('price', '<', 10).increment('price', 1), 2));
  await check('errors carry code', () => assert.rejects(knex('owners').insert({ email: 'A@X' }), (e) => e.code === 'ER_DUP_ENTRY' && e.sqlState === '23000'));
  await check('transactions with savepoints', async () => {
    await knex.transaction(async (trx) => {
      await trx('owners').insert({ email: 'b@x' });
      await assert.rejects(trx.transaction(async (inner) => { await inner('owners').insert({ email: 'c@x' }); throw new Error('no'); }), /no/);
    });
    assert.deepEqual((await knex('owners').orderBy('id').pluck('email')), ['a@x', 'b@x']);
  });
  await check('forUpdate and a stream', async () => {
    await knex.transaction((trx) => trx('things').where('id', 1).forUpdate());
    let n = 0;
    for await (const _ of knex('things').stream()) n += 1;
    assert.equal(n, 3);
  });
  await check('cascade on delete', async () => {
    await knex('owners').where({ email: 'a@x' }).del();
    assert.equal(Number((await knex('things').count('* as n'))[0].n), 0);
  });
  await check('migrate down', async () => { await knex.migrate.rollback(undefined, true); assert.equal(await knex.schema.hasTable('things'), false); });
});
