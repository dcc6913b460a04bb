// Drizzle: its migrator on SQL files of its kind, queries, relations, transactions.
const { mkdtempSync, mkdirSync, writeFileSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const mysql = require('mysql2/promise');
const { drizzle } = require('drizzle-orm/mysql2');
const { migrate } = require('drizzle-orm/mysql2/migrator');
const { eq, desc, sql, relations, and, gt } = require('drizzle-orm');
const t = require('drizzle-orm/mysql-core');
const { assert, server, program, version } = require('./check.cjs');

const users = t.mysqlTable('users', {
  id: t.serial('id').primaryKey(),
  name: t.varchar('name', { length: 64 }).notNull().unique('users_name_unique'),
  balance: t.decimal('balance', { precision: 30, scale: 8 }),
  big: t.bigint('big', { mode: 'bigint' }),
  profile: t.json('profile'),
  seen: t.datetime('seen', { fsp: 3 }),
  made: t.timestamp('made').defaultNow().onUpdateNow(),
  active: t.boolean('active').default(true),
});
const posts = t.mysqlTable('posts', {
  id: t.int('id').autoincrement().primaryKey(),
  author: t.bigint('author', { mode: 'number', unsigned: true }).notNull().references(() => users.id, { onDelete: 'cascade' }),
  title: t.text('title').notNull(),
}, (x) => [t.index('by_author').on(x.author)]);
const usersRelations = relations(users, ({ many }) => ({ posts: many(posts) }));
const postsRelations = relations(posts, ({ one }) => ({ writer: one(users, { fields: [posts.author], references: [users.id] }) }));

const migration = [
  'CREATE TABLE `users` (\n\t`id` serial AUTO_INCREMENT NOT NULL,\n\t`name` varchar(64) NOT NULL,\n\t`balance` decimal(30,8),\n\t`big` bigint,\n\t`profile` json,\n\t`seen` datetime(3),\n\t`made` timestamp DEFAULT (now()) ON UPDATE CURRENT_TIMESTAMP,\n\t`active` boolean DEFAULT true,\n\tCONSTRAINT `users_id` PRIMARY KEY(`id`),\n\tCONSTRAINT `users_name_unique` UNIQUE(`name`)\n);\n',
  'CREATE TABLE `posts` (\n\t`id` int AUTO_INCREMENT NOT NULL,\n\t`author` bigint unsigned NOT NULL,\n\t`title` text NOT NULL,\n\tCONSTRAINT `posts_id` PRIMARY KEY(`id`)\n);\n',
  'ALTER TABLE `posts` ADD CONSTRAINT `posts_author_users_id_fk` FOREIGN KEY (`author`) REFERENCES `users`(`id`) ON DELETE cascade ON UPDATE no action;',
  'CREATE INDEX `by_author` ON `posts` (`author`);',
];

program(version('drizzle-orm'), async (check) => {
  const pool = mysql.createPool({ ...server });
  const db = drizzle(pool, { schema: { users, posts, usersRelations, postsRelations }, mode: 'default' });
  const folder = mkdtempSync(join(tmpdir(), 'drizzle-'));
  mkdirSync(join(folder, 'meta'));
  writeFileSync(join(folder, '0000_first.sql'), migration.join('--> statement-breakpoint\n'));
  writeFileSync(join(folder, 'meta/_journal.json'), JSON.stringify({ version: '7', dialect: 'mysql', entries: [{ idx: 0, version: '5', when: 1700000000000, tag: '0000_first', breakpoints: true }] }));
  await check('migrate', () => migrate(db, { migrationsFolder: folder }));
  await check('migrate again does nothing', () => migrate(db, { migrationsFolder: folder }));
  rmSync(folder, { recursive: true });
  await check('insert returning id, and every type back', async () => {
    const [made] = await db.insert(users).values({ name: 'Ann', balance: '1234567890123456789.12345678', big: -9223372036854775808n, profile: { a: ['ü'] }, seen: new Date('2024-06-01T01:02:03.456Z') }).$returningId();
    const [got] = await db.select().from(users).where(eq(users.id, made.id));
    assert.deepEqual([got.balance, got.big, got.profile, got.seen.toISOString(), got.active], ['1234567890123456789.12345678', -9223372036854775808n, { a: ['ü'] }, '2024-06-01T01:02:03.456Z', true]);
    assert.equal(got.made instanceof Date, true);
  });
  await check('joins, aggregates, subquery, prepared placeholders', async () => {
    await db.insert(posts).values([{ author: 1, title: 'one' }, { author: 1, title: 'two' }]);
    const rows = await db.select({ name: users.name, n: sql`count(*)`.mapWith(Number) }).from(users).leftJoin(posts, eq(posts.author, users.id)).groupBy(users.id).having(gt(sql`count(*)`, 1));
    assert.deepEqual(rows, [{ name: 'Ann', n: 2 }]);
    const prepared = db.select().from(posts).where(and(eq(posts.author, sql.placeholder('a')))).orderBy(desc(posts.id)).limit(sql.placeholder('l')).prepare();
    assert.deepEqual((await prepared.execute({ a: 1, l: 1 })).map((p) => p.title), ['two']);
  });
  await check('relational query (LATERAL and JSON aggregation)', async () => {
    const got = await db.query.users.findMany({ with: { posts: { orderBy: desc(posts.id), columns: { title: true } } } });
    assert.deepEqual(got[0].posts, [{ title: 'two' }, { title: 'one' }]);
  });
  await check('relational query in planetscale mode (subqueries)', async () => {
    const other = drizzle(pool, { schema: { users, posts, usersRelations, postsRelations }, mode: 'planetscale' });
    const got = await other.query.posts.findMany({ with: { writer: { columns: { name: true } } }, orderBy: posts.id });
    assert.deepEqual(got.map((p) => p.writer.name), ['Ann', 'Ann']);
  });
  await check('onDuplicateKeyUpdate', async () => {
    await db.insert(users).values({ name: 'Ann', balance: '1' }).onDuplicateKeyUpdate({ set: { balance: sql`values(${users.balance}) + 1` } });
    assert.equal((await db.select().from(users))[0].balance, '2.00000000');
  });
  await check('unique violation', () => assert.rejects(db.insert(users).values({ name: 'ann' }), (e) => (e.cause ?? e).errno === 1062));
  await check('transactions, nested, rolled back', async () => {
    await assert.rejects(db.transaction(async (tx) => {
      await tx.insert(users).values({ name: 'Bob' });
      await tx.transaction(async (inner) => { await inner.insert(users).values({ name: 'Cid' }); });
      tx.rollback();
    }));
    assert.equal(await db.$count(users), 1);
  });
  await check('delete cascades', async () => { await db.delete(users); assert.equal(await db.$count(posts), 0); });
  await check('introspection as drizzle-kit does it', async () => {
    const [columns] = await pool.query(`select * from information_schema.columns where table_schema = '${server.database}' and table_name != '__drizzle_migrations' order by table_name, ordinal_position`);
    assert.equal(columns.find((c) => c.COLUMN_NAME === 'id' && c.TABLE_NAME === 'users').COLUMN_TYPE, 'bigint unsigned');
    const [keys] = await pool.query(`SELECT kcu.TABLE_SCHEMA, kcu.TABLE_NAME, kcu.CONSTRAINT_NAME, kcu.COLUMN_NAME, kcu.REFERENCED_TABLE_NAME, kcu.REFERENCED_COLUMN_NAME, rc.UPDATE_RULE, rc.DELETE_RULE
      FROM INFORMATION_SCHEMA.KEY_COLUMN_USAGE kcu LEFT JOIN information_schema.referential_constraints rc ON kcu.CONSTRAINT_NAME = rc.CONSTRAINT_NAME
      WHERE kcu.TABLE_SCHEMA = '${server.database}' AND kcu.CONSTRAINT_NAME != 'PRIMARY' AND kcu.REFERENCED_TABLE_NAME IS NOT NULL`);
    assert.deepEqual([keys[0].REFERENCED_TABLE_NAME, keys[0].DELETE_RULE], ['users', 'CASCADE']);
    const [indexes] = await pool.query(`select * from INFORMATION_SCHEMA.STATISTICS WHERE INFORMATION_SCHEMA.STATISTICS.TABLE_SCHEMA = '${server.database}' and INFORMATION_SCHEMA.STATISTICS.INDEX_NAME != 'PRIMARY'`);
    assert.deepEqual(indexes.map((i) => i.INDEX_NAME).filter((n) => n !== 'id').sort(), ['by_author', 'users_name_unique']);
  });
  await pool.end();
});
