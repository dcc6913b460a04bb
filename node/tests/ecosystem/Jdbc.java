// JDBC: statements, types, generated keys, batches, metadata, transactions, errors, streams.

import java.math.BigDecimal;
import java.math.BigInteger;
import java.sql.*;
import java.util.*;

public class Jdbc {
    interface Check { void run() throws Exception; }

    static void check(String name, Check body) {
        try {
            body.run();
            System.out.println("ok " + name);
        } catch (Throwable e) {
            System.out.println("not ok " + name + ": " + String.valueOf(e).replaceAll("\\s+", " "));
        }
    }

    static void same(Object expected, Object actual) {
        if (!Objects.equals(expected, actual)) throw new AssertionError("expected " + expected + ", got " + actual);
    }

    static Connection connect(String more) throws SQLException {
        return DriverManager.getConnection("jdbc:mariadb://" + System.getenv("DB_HOST") + ":" + System.getenv("DB_PORT") + "/"
            + System.getenv("DB_NAME") + "?user=" + System.getenv("DB_USER") + "&password=" + System.getenv("DB_PASSWORD") + more);
    }

    static List<String> column(ResultSet rows, String name) throws SQLException {
        List<String> all = new ArrayList<>();
        while (rows.next()) all.add(rows.getString(name));
        return all;
    }

    public static void main(String[] arguments) throws Exception {
        for (String more : List.of("", "&useServerPrepStmts=true", "&rewriteBatchedStatements=true")) {
            try (Connection c = connect(more)) {
                if (more.isEmpty()) System.out.println("version " + c.getMetaData().getDriverName() + " " + c.getMetaData().getDriverVersion());
                run(c, more.isEmpty() ? "text" : more.substring(1).split("=")[0]);
            }
        }
        System.out.println("done");
    }

    static void run(Connection c, String how) throws Exception {
        try (Statement s = c.createStatement()) {
            s.execute("DROP TABLE IF EXISTS child");
            s.execute("DROP TABLE IF EXISTS kinds");
            s.execute("CREATE TABLE kinds (id BIGINT AUTO_INCREMENT PRIMARY KEY, d DECIMAL(40,20), u BIGINT UNSIGNED, f DOUBLE, "
                + "at DATETIME(6), ts TIMESTAMP(3) NULL, day DATE, t TIME, j JSON, b VARBINARY(30), n VARCHAR(20) NOT NULL UNIQUE, ok BIT(1), e ENUM('x','y'))");
            s.execute("CREATE TABLE child (id INT PRIMARY KEY, kind BIGINT, CONSTRAINT fk_kind FOREIGN KEY (kind) REFERENCES kinds(id) ON DELETE SET NULL)");
        }
        check(how + ": a row of every kind, generated key", () -> {
            try (PreparedStatement p = c.prepareStatement("INSERT INTO kinds (d,u,f,at,ts,day,t,j,b,n,ok,e) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", Statement.RETURN_GENERATED_KEYS)) {
                p.setBigDecimal(1, new BigDecimal("12345678901234567890.12345678901234567890"));
                p.setObject(2, new BigInteger("18446744073709551615"));
                p.setDouble(3, 0.1);
                p.setTimestamp(4, Timestamp.valueOf("2024-02-29 01:02:03.123456"));
                p.setTimestamp(5, Timestamp.valueOf("2024-02-29 01:02:03.123"));
                p.setDate(6, java.sql.Date.valueOf("2024-02-29"));
                p.setTime(7, Time.valueOf("23:59:58"));
                p.setString(8, "{\"b\": [1, null], \"a\": \"ü\"}");
                p.setBytes(9, new byte[] {0, -1, 39, 92});
                p.setString(10, "né'😀");
                p.setBoolean(11, true);
                p.setString(12, "y");
                same(1, p.executeUpdate());
                ResultSet keys = p.getGeneratedKeys();
                keys.next();
                same(1L, keys.getLong(1));
            }
            try (PreparedStatement p = c.prepareStatement("SELECT * FROM kinds WHERE n = ?")) {
                p.setString(1, "né'😀");
                ResultSet r = p.executeQuery();
                r.next();
                same(new BigDecimal("12345678901234567890.12345678901234567890"), r.getBigDecimal("d"));
                same(new BigInteger("18446744073709551615"), r.getObject("u"));
                same(0.1, r.getDouble("f"));
                same(Timestamp.valueOf("2024-02-29 01:02:03.123456"), r.getTimestamp("at"));
                same("2024-02-29", r.getDate("day").toString());
                same("23:59:58", r.getTime("t").toString());
                same("{\"a\": \"ü\", \"b\": [1, null]}", r.getString("j"));
                same(Arrays.toString(new byte[] {0, -1, 39, 92}), Arrays.toString(r.getBytes("b")));
                same(true, r.getBoolean("ok"));
                same("BIGINT UNSIGNED", r.getMetaData().getColumnTypeName(3));
                same(Types.DECIMAL, r.getMetaData().getColumnType(2));
                same(40, r.getMetaData().getPrecision(2));
                same("kinds", r.getMetaData().getTableName(1));
            }
        });
        check(how + ": batch", () -> {
            try (PreparedStatement p = c.prepareStatement("INSERT INTO kinds (n, f) VALUES (?, ?)")) {
                for (int i = 0; i < 50; i++) {
                    p.setString(1, "batch" + i);
                    p.setInt(2, i);
                    p.addBatch();
                }
                same(50, p.executeBatch().length);
            }
            try (ResultSet r = c.createStatement().executeQuery("SELECT COUNT(*), SUM(f) FROM kinds WHERE n LIKE 'batch%'")) {
                r.next();
                same("50 1225.0", r.getInt(1) + " " + r.getDouble(2));
            }
        });
        check(how + ": integrity errors are SQLIntegrityConstraintViolationException", () -> {
            try (Statement s = c.createStatement()) {
                s.executeUpdate("INSERT INTO kinds (n) VALUES ('batch1')");
                throw new AssertionError("no error");
            } catch (SQLIntegrityConstraintViolationException e) {
                same("1062 23000", e.getErrorCode() + " " + e.getSQLState());
            }
            try (Statement s = c.createStatement()) {
                s.executeUpdate("INSERT INTO child VALUES (1, 999)");
                throw new AssertionError("no error");
            } catch (SQLIntegrityConstraintViolationException e) {
                same(1452, e.getErrorCode());
            }
        });
        check(how + ": transactions and savepoints", () -> {
            c.setAutoCommit(false);
            c.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
            Statement s = c.createStatement();
            s.executeUpdate("INSERT INTO child VALUES (1, 1)");
            Savepoint point = c.setSavepoint("p1");
            s.executeUpdate("INSERT INTO child VALUES (2, 1)");
            c.rollback(point);
            c.commit();
            s.executeUpdate("DELETE FROM child");
            c.rollback();
            same(List.of("1"), column(s.executeQuery("SELECT id FROM child"), "id"));
            c.setAutoCommit(true);
            same(Connection.TRANSACTION_READ_COMMITTED, c.getTransactionIsolation());
        });
        check(how + ": updatable result set", () -> {
            try (Statement s = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
                ResultSet r = s.executeQuery("SELECT id, f FROM kinds WHERE n = 'batch7'");
                r.next();
                r.updateDouble("f", 77.5);
                r.updateRow();
            }
            same(List.of("77.5"), column(c.createStatement().executeQuery("SELECT f FROM kinds WHERE n = 'batch7'"), "f"));
        });
        check(how + ": metadata of tables, columns, keys, indexes", () -> {
            DatabaseMetaData m = c.getMetaData();
            String db = c.getCatalog();
            same(List.of("child", "kinds"), column(m.getTables(db, null, "%", new String[] {"TABLE"}), "TABLE_NAME"));
            ResultSet columns = m.getColumns(db, null, "kinds", "d");
            columns.next();
            same("DECIMAL 40 20 YES", columns.getString("TYPE_NAME") + " " + columns.getInt("COLUMN_SIZE") + " " + columns.getInt("DECIMAL_DIGITS") + " " + columns.getString("IS_NULLABLE"));
            same(List.of("id"), column(m.getPrimaryKeys(db, null, "kinds"), "COLUMN_NAME"));
            same(List.of("fk_kind"), column(m.getImportedKeys(db, null, "child"), "FK_NAME"));
            same(List.of("child"), column(m.getExportedKeys(db, null, "kinds"), "FKTABLE_NAME"));
            same(List.of("n"), column(m.getIndexInfo(db, null, "kinds", true, false), "COLUMN_NAME").stream().filter("n"::equals).toList());
            same(true, column(m.getCatalogs(), "TABLE_CAT").contains(db));
            same(true, m.getTypeInfo().next());
            same(true, column(m.getFunctions(db, null, "%"), "FUNCTION_NAME").isEmpty());
        });
        check(how + ": rows one at a time", () -> {
            try (Statement s = c.createStatement()) {
                s.setFetchSize(10);
                ResultSet r = s.executeQuery("WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 700) SELECT i FROM n");
                int sum = 0;
                while (r.next()) sum += r.getInt(1);
                same(245350, sum);
            }
        });
        check(how + ": query timeout", () -> {
            try (Statement s = c.createStatement()) {
                s.setQueryTimeout(5);
                same(true, s.execute("SELECT 1"));
            }
        });
        check(how + ": delete sets the reference NULL", () -> {
            c.createStatement().executeUpdate("DELETE FROM kinds WHERE id = 1");
            ResultSet r = c.createStatement().executeQuery("SELECT kind FROM child");
            r.next();
            same(null, r.getObject(1));
        });
    }
}
