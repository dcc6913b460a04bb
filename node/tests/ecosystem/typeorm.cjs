// TypeORM: synchronize, migrations, relations, transactions, schema changes found by introspection, its error class.
require('reflect-metadata');
const { DataSource, EntitySchema, QueryFailedError, Table, TableColumn, TableIndex, TableForeignKey, MoreThan } = require('typeorm');
const { assert, server, program, version } = require('./check.cjs');

const Author = new EntitySchema({ name: 'Author', columns: {
  id: { type: 'int', primary: true, generated: true },
  name: { type: 'varchar', length: 80, unique: true },
  balance: { type: 'decimal', precision: 20, scale: 6, nullable: true },
  big: { type: 'bigint', nullable: true },
  meta: { type: 'json', nullable: true },
  kind: { type: 'enum', enum: ['a', 'b'], default: 'a' },
  tags: { type: 'simple-array', nullable: true },
  at: { type: 'datetime', precision: 6, nullable: true },
  made: { type: 'datetime', precision: 6, createDate: true },
  changed: { type: 'datetime', precision: 6, updateDate: true },
  version: { type: 'int', version: true },
}, relations: { books: { type: 'one-to-many', target: 'Book', inverseSide: 'author' } } });
const Book = new EntitySchema({ name: 'Book', columns: {
  id: { type: 'varchar', primary: true, generated: 'uuid' },
  title: { type: 'text' },
  year: { type: 'smallint', unsigned: true, default: 2000, comment: 'first print' },
}, indices: [{ name: 'by_year', columns: ['year'] }], relations: {
  author: { type: 'many-to-one', target: 'Author', inverseSide: 'books', onDelete: 'CASCADE', joinColumn: true },
  genres: { type: 'many-to-many', target: 'Genre', joinTable: true, cascade: true },
} });
const Genre = new EntitySchema({ name: 'Genre', columns: { id: { type: 'int', primary: true, generated: true }, name: { type: 'varchar' } } });

class AddShelf1700000000000 {
  async up(q) {
    await q.createTable(new Table({ name: 'shelf', columns: [{ name: 'id', type: 'int', isPrimary: true, isGenerated: true, generationStrategy: 'increment' }, { name: 'place', type: 'varchar', length: '20' }] }), true);
    await q.addColumn('shelf', new TableColumn({ name: 'author_id', type: 'int', isNullable: true }));
    await q.createForeignKey('shelf', new TableForeignKey({ columnNames: ['author_id'], referencedTableName: 'author', referencedColumnNames: ['id'], onDelete: 'SET NULL' }));
    await q.createIndex('shelf', new TableIndex({ name: 'uq_place', columnNames: ['place'], isUnique: true }));
    await q.changeColumn('shelf', 'place', new TableColumn({ name: 'spot', type: 'varchar', length: '40', default: "'here'" }));
    await q.renameTable('shelf', 'shelves');
  }
  async down(q) { await q.dropTable('shelves'); }
}

program(version('typeorm'), async (check) => {
  const source = new DataSource({ type: 'mysql', connectorPackage: 'mysql2', host: server.host, port: server.port, username: server.user,
    password: server.password, database: server.database, entities: [Author, Book, Genre], migrations: [AddShelf1700000000000], timezone: 'Z' });
  await source.initialize();
  await check('synchronize', () => source.synchronize());
  await check('a second synchronize finds nothing to change', async () => {
    const log = await source.driver.createSchemaBuilder().log();
    assert.deepEqual(log.upQueries.map((q) => q.query), []);
  });
  await check('run migrations', async () => assert.equal((await source.runMigrations()).length, 1));
  await check('show and undo migrations', async () => { assert.equal(await source.showMigrations(), false); await source.undoLastMigration(); });
  const authors = source.getRepository('Author'), books = source.getRepository('Book');
  await check('save and read back every type', async () => {
    const made = await authors.save({ name: 'Ann', balance: '12345678901234.123456', big: '9223372036854775807', meta: { x: [1] }, kind: 'b', tags: ['p', 'q'], at: new Date('2024-01-02T03:04:05.678Z') });
    const got = await authors.findOneByOrFail({ id: made.id });
    assert.deepEqual([got.balance, got.big, got.meta, got.kind, got.tags, got.at.toISOString(), got.version], ['12345678901234.123456', '9223372036854775807', { x: [1] }, 'b', ['p', 'q'], '2024-01-02T03:04:05.678Z', 1]);
    got.kind = 'a';
    await authors.save(got);
    assert.equal((await authors.findOneByOrFail({ id: made.id })).version, 2);
  });
  await check('relations with cascade; take and skip', async () => {
    const author = await authors.findOneByOrFail({ name: 'Ann' });
    await books.save([{ title: 'T1', year: 1990, author, genres: [{ name: 'g1' }, { name: 'g2' }] }, { title: 'T2', author }]);
    const [found, count] = await authors.findAndCount({ relations: { books: { genres: true } }, where: { books: { year: MoreThan(1900) } }, take: 1, order: { name: 'ASC' } });
    assert.deepEqual([count, found[0].books.length, found[0].books.flatMap((b) => b.genres).length], [1, 2, 2]);
  });
  await check('query builder: subquery, group, raw, lock', async () => {
    const rows = await books.createQueryBuilder('b').select('b.year', 'year').addSelect('COUNT(*)', 'n').where((q) => `b.authorId IN ${q.subQuery().select('a.id').from('Author', 'a').getQuery()}`).groupBy('b.year').orderBy('b.year').getRawMany();
    assert.deepEqual(rows.map((r) => [r.year, Number(r.n)]), [[1990, 1], [2000, 1]]);
    await source.transaction((m) => m.createQueryBuilder('Author', 'a').setLock('pessimistic_write').where('a.id = 1').getOne());
  });
  await check('orUpdate and orIgnore', async () => {
    await authors.createQueryBuilder().insert().values([{ name: 'Ann', big: '5' }, { name: 'Bob', big: '6' }]).orUpdate(['big'], ['name']).updateEntity(false).execute();
    assert.equal((await authors.findOneByOrFail({ name: 'Ann' })).big, '5');
    await authors.createQueryBuilder().insert().values({ name: 'Bob' }).orIgnore().updateEntity(false).execute();
    assert.equal(await authors.count(), 2);
  });
  await check('unique violation is QueryFailedError with 1062', () =>
    assert.rejects(authors.insert({ name: 'ANN' }), (e) => e instanceof QueryFailedError && e.driverError.errno === 1062));
  await check('transactions: rollback and SERIALIZABLE', async () => {
    await assert.rejects(source.transaction('SERIALIZABLE', async (m) => { await m.insert('Author', { name: 'Gone' }); throw new Error('back'); }), /back/);
    assert.equal(await authors.countBy({ name: 'Gone' }), 0);
  });
  await check('delete cascades', async () => { await authors.delete({ name: 'Ann' }); assert.equal(await books.count(), 0); });
  await check('drop the database objects', () => source.dropDatabase());
  await source.destroy();
});
