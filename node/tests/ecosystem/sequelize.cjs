// Sequelize: sync, migrations by its query interface, relations, transactions, types, its error classes.
const { Sequelize, DataTypes, Op, UniqueConstraintError, ForeignKeyConstraintError, DatabaseError } = require('sequelize');
const { assert, server, program, version } = require('./check.cjs');

program(version('sequelize'), async (check) => {
  const db = new Sequelize(server.database, server.user, server.password,
    { host: server.host, port: server.port, dialect: 'mysql', logging: false });
  const User = db.define('User', {
    name: { type: DataTypes.STRING(50), allowNull: false, unique: 'uq_name' },
    balance: DataTypes.DECIMAL(20, 4), big: DataTypes.BIGINT, born: DataTypes.DATEONLY, seen: DataTypes.DATE(6),
    settings: DataTypes.JSON, kind: DataTypes.ENUM('a', 'b'), key: { type: DataTypes.UUID, defaultValue: DataTypes.UUIDV4 },
    raw: DataTypes.BLOB, ok: { type: DataTypes.BOOLEAN, defaultValue: true }, price: DataTypes.DOUBLE,
  }, { indexes: [{ fields: ['kind', 'born'] }], comment: 'users of it', paranoid: true });
  const Post = db.define('Post', { title: DataTypes.STRING, body: DataTypes.TEXT });
  const Tag = db.define('Tag', { name: { type: DataTypes.STRING, primaryKey: true } });
  User.hasMany(Post, { onDelete: 'CASCADE', foreignKey: { allowNull: false } });
  Post.belongsTo(User);
  Post.belongsToMany(Tag, { through: 'PostTags' });
  Tag.belongsToMany(Post, { through: 'PostTags' });
  await check('sync', () => db.sync({ force: true }));
  await check('sync again with alter', () => db.sync({ alter: true }));
  await check('create and read back every type', async () => {
    const made = await User.create({ name: 'Ann', balance: '1234567890123456.7891', big: '9007199254740993', born: '1990-05-17',
      seen: new Date('2024-03-01T10:20:30.123Z'), settings: { a: [1, 2], b: null, c: { d: 'x' } }, kind: 'b', raw: Buffer.from('xyz'), price: 0.1 });
    const got = await User.findByPk(made.id);
    assert.equal(got.balance, '1234567890123456.7891');
    assert.equal(String(got.big), '9007199254740993');
    assert.equal(got.born, '1990-05-17');
    assert.equal(got.seen.toISOString(), '2024-03-01T10:20:30.123Z');
    assert.deepEqual(got.settings, { a: [1, 2], b: null, c: { d: 'x' } });
    assert.equal(`${got.kind} ${got.raw} ${got.ok} ${got.price}`, 'b xyz true 0.1');
  });
  await check('relations: nested create, include, order, limit', async () => {
    const user = await User.create({ name: 'Bob', Posts: [{ title: 'one' }, { title: 'two' }] }, { include: Post });
    const post = (await user.getPosts({ order: [['title', 'DESC']] }))[0];
    await post.addTags(await Promise.all(['x', 'y'].map((name) => Tag.create({ name }))));
    const found = await User.findAll({ include: [{ model: Post, include: [Tag], where: { title: { [Op.like]: 't%' } } }], limit: 5, order: [['name', 'ASC']] });
    assert.deepEqual(found.map((u) => [u.name, u.Posts[0].title, u.Posts[0].Tags.map((t) => t.name).sort()]), [['Bob', 'two', ['x', 'y']]]);
  });
  await check('findAndCountAll, aggregates, group', async () => {
    const { count, rows } = await Post.findAndCountAll({ include: [{ model: User, required: true }], limit: 1, distinct: true });
    assert.equal(`${count} ${rows.length}`, '2 1');
    const groups = await Post.findAll({ attributes: ['UserId', [db.fn('COUNT', db.col('id')), 'n']], group: ['UserId'], raw: true });
    assert.equal(Number(groups[0].n), 2);
    assert.equal(Number(await User.sum('balance')) > 1e15, true);
  });
  await check('JSON path in where', async () => {
    assert.equal((await User.findAll({ where: { settings: { c: { d: 'x' } } } })).length, 1);
  });
  await check('upsert, bulkCreate with updateOnDuplicate, increment', async () => {
    await User.upsert({ name: 'Ann', kind: 'a' });
    await User.bulkCreate([{ name: 'Cid', price: 1 }, { name: 'Ann', price: 3 }], { updateOnDuplicate: ['price'] });
    const ann = await User.findOne({ where: { name: 'Ann' } });
    await ann.increment('price', { by: 2 });
    await ann.reload();
    assert.equal(`${ann.kind} ${ann.price}`, 'a 5');
  });
  await check('findOrCreate', async () => {
    const [, created] = await User.findOrCreate({ where: { name: 'Dan' } });
    const [, again] = await User.findOrCreate({ where: { name: 'Dan' } });
    assert.deepEqual([created, again], [true, false]);
  });
  await check('unique violation is UniqueConstraintError with its field', () =>
    assert.rejects(User.create({ name: 'ann' }), (e) => e instanceof UniqueConstraintError && e.fields.name === 'ann'));
  await check('missing parent is ForeignKeyConstraintError with table and column', () =>
    assert.rejects(Post.create({ title: 'z', UserId: 999 }), (e) => e instanceof ForeignKeyConstraintError && e.table === 'Users' && e.fields[0] === 'UserId'));
  await check('too long is DatabaseError 1406', () =>
    assert.rejects(Post.create({ title: 'z'.repeat(300), UserId: 1 }), (e) => e instanceof DatabaseError && e.original.errno === 1406));
  await check('transactions: managed rollback, nested, lock', async () => {
    await assert.rejects(db.transaction(async (transaction) => {
      await Tag.create({ name: 'gone' }, { transaction });
      throw new Error('back');
    }), /back/);
    await db.transaction({ isolationLevel: 'READ COMMITTED' }, async (transaction) => {
      const ann = await User.findOne({ where: { name: 'Ann' }, lock: transaction.LOCK.UPDATE, transaction });
      await ann.update({ price: 9 }, { transaction });
    });
    assert.equal(await Tag.count(), 2);
  });
  await check('paranoid delete and cascade', async () => {
    const bob = await User.findOne({ where: { name: 'Bob' } });
    await bob.destroy();
    assert.equal(await User.count({ where: { name: 'Bob' } }), 0);
    await bob.destroy({ force: true });
    assert.equal(await Post.count(), 0);
  });
  await check('query interface: describe, indexes, foreign keys, tables', async () => {
    const q = db.getQueryInterface();
    const users = await q.describeTable('Users');
    assert.equal(`${users.id.primaryKey} ${users.name.type} ${users.name.allowNull} ${users.balance.type}`, 'true VARCHAR(50) false DECIMAL(20,4)');
    assert.deepEqual((await q.showIndex('Users')).map((i) => i.name).sort(), ['PRIMARY', 'uq_name', 'users_kind_born']);
    assert.equal((await q.getForeignKeyReferencesForTable('Posts'))[0].referencedTableName, 'Users');
    assert.deepEqual((await q.showAllTables()).length >= 4, true);
  });
  await check('query interface: migration steps', async () => {
    const q = db.getQueryInterface();
    await q.addColumn('Posts', 'views', { type: DataTypes.INTEGER, allowNull: false, defaultValue: 0, after: 'title' });
    await q.changeColumn('Posts', 'views', { type: DataTypes.BIGINT, allowNull: true });
    await q.renameColumn('Posts', 'views', 'hits');
    await q.addIndex('Posts', ['hits', 'title'], { name: 'by_hits' });
    await q.addConstraint('Posts', { fields: ['title', 'hits'], type: 'unique', name: 'uq_hits' });
    await q.removeConstraint('Posts', 'uq_hits');
    await q.removeIndex('Posts', 'by_hits');
    await q.removeColumn('Posts', 'hits');
    await q.renameTable('Posts', 'Articles');
    await q.renameTable('Articles', 'Posts');
  });
  await check('drop all', () => db.drop());
});
