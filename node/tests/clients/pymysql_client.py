"""What a program with PyMySQL does: host, port, user and password are its arguments."""
import datetime
import decimal
import sys

import pymysql

host, port, user, password = sys.argv[1:5]
c = pymysql.connect(host=host, port=int(port), user=user, password=password, autocommit=False)
with c.cursor() as q:
    q.execute("CREATE DATABASE IF NOT EXISTS py")
    q.execute("USE py")
    q.execute("CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(20), price DECIMAL(8,2), day DATE,"
              " at DATETIME(6), raw BLOB, flag BOOL)")
    row = ("ä'\"\\", decimal.Decimal("12.50"), datetime.date(2026, 2, 28),
           datetime.datetime(2026, 2, 28, 1, 2, 3, 456789), b"\x00\xff", True)
    q.execute("INSERT INTO t (name, price, day, at, raw, flag) VALUES (%s, %s, %s, %s, %s, %s)", row)
    assert q.lastrowid > 0, q.lastrowid
    c.commit()
    q.execute("SELECT name, price, day, at, raw, flag FROM t")
    found = q.fetchone()
    assert found == row[:5] + (1,), found
    q.executemany("INSERT INTO t (name) VALUES (%s)", [(f"n{i}",) for i in range(100)])
    assert q.rowcount == 100, q.rowcount
    c.rollback()
    q.execute("SELECT COUNT(*) FROM t")
    assert q.fetchone() == (1,)
    try:
        q.execute("SELECT nosuch FROM t")
        raise SystemExit("no error")
    except pymysql.err.OperationalError as e:
        assert e.args[0] == 1054, e
    try:
        q.execute("INSERT INTO t (id) SELECT id FROM t")
        raise SystemExit("no error")
    except pymysql.err.IntegrityError as e:
        assert e.args[0] == 1062, e
with c.cursor() as q:
    q.execute("CREATE PROCEDURE doubled(IN n INT, OUT twice INT) BEGIN SET twice = n * 2; SELECT n; SELECT 'x', n; END")
    q.callproc("doubled", (21, 0))
    assert q.fetchall() == ((21,),)
    assert q.nextset() and q.fetchall() == (("x", 21),)
    while q.nextset():
        pass
    q.execute("SELECT @_doubled_1")
    assert q.fetchone() == (42,)
c.close()
# A connection in latin1: texts are converted, the bytes of binary strings are not.
c = pymysql.connect(host=host, port=int(port), user=user, password=password, database="py", charset="latin1")
with c.cursor() as q:
    q.execute("CREATE TABLE l (id INT PRIMARY KEY, b BLOB, v VARBINARY(9), t VARCHAR(9))")
    q.execute(b"INSERT INTO l VALUES (1, '\xff\xd8', '\x80', '\xe9\x80')")
    q.execute("SELECT HEX(b), HEX(v), HEX(t), HEX('\xe9'), MD5('\xe9') = MD5(x'E9'), b, v, t FROM l")
    assert q.fetchone() == ("FFD8", "80", "C3A9E282AC", "E9", 1, b"\xff\xd8", b"\x80", "\xe9\x80".encode("latin1").decode("cp1252"))
    for condition in (b"b = '\xff\xd8'", b"v = '\x80'", b"t = '\xe9\x80'", b"b IN ('\xff\xd8')"):
        q.execute(b"SELECT id FROM l WHERE " + condition)
        assert q.fetchall() == ((1,),), condition
    q.execute(b"INSERT INTO l SET id = 2, b = '\xfe', v = CONCAT('\xfd', 'a'), t = NOW() > 0")
    q.execute(b"INSERT INTO l (id, b, v) SELECT 3, '\xfe', '\xfd'")
    q.execute("SELECT HEX(b), HEX(v) FROM l WHERE id > 1 ORDER BY id")
    assert q.fetchall() == (("FE", "FD61"), ("FE", "FD")), q._rows
    q.execute("DELETE FROM l WHERE id > 1")
    q.execute(b"UPDATE l SET b = '\xfe' WHERE v = '\x80'")
    q.execute("SELECT b FROM l")
    assert q.fetchone() == (b"\xfe",)
c.close()


def field_list(table, wildcard=b""):
    """COM_FIELD_LIST: the columns' default values, as text."""
    c._execute_command(4, table + b"\0" + wildcard)
    found = {}
    while not (packet := c._read_packet()).is_eof_packet():
        names = [packet.read_length_coded_string() for _ in range(6)]
        packet.advance(13)
        found[names[4].decode()] = packet.read_length_coded_string()
    return found


c = pymysql.connect(host=host, port=int(port), user=user, password=password, database="py")
with c.cursor() as q:
    q.execute("""CREATE TABLE d (id INT AUTO_INCREMENT PRIMARY KEY, i INT DEFAULT 7, z INT(5) ZEROFILL NOT NULL DEFAULT 42,
        n INT NOT NULL, u BIGINT UNSIGNED DEFAULT 18446744073709551615, d DECIMAL(6,2) NOT NULL, e DECIMAL(6,2) DEFAULT 1.5,
        f DOUBLE DEFAULT 0.25, v VARCHAR(9) DEFAULT 'ä', s VARCHAR(9) NOT NULL, t TEXT, b BINARY(3) DEFAULT 'a',
        bits BIT(9) DEFAULT b'101', day DATE DEFAULT '2026-02-03', at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
        ts TIMESTAMP(2) NULL DEFAULT '2026-02-03 04:05:06.78', tm TIME DEFAULT '-10:00:00', y YEAR NOT NULL,
        en ENUM('x', 'y') NOT NULL, em ENUM('x', 'y') DEFAULT 'y', st SET('p', 'q') DEFAULT 'p,q', j JSON,
        x INT DEFAULT (1 + 1), g INT AS (i + 1))""")
    # A TIMESTAMP's default is in the time of whoever inserts.
    q.execute("SET time_zone = '+05:00'")
    q.execute("CREATE DATABASE other")
    q.execute("CREATE TABLE other.i (id INT NOT NULL, t INT DEFAULT 11)")
    q.execute("CREATE TABLE i (id INT, t VARCHAR(9) DEFAULT 'mine')")
    q.execute("CREATE VIEW v AS SELECT id, t, t + 1 AS more, COUNT(*) AS n FROM other.i GROUP BY id, t")
found = field_list(b"d")
assert found == {
    "id": b"0", "i": b"7", "z": b"00042", "n": b"0", "u": b"18446744073709551615", "d": b"0.00", "e": b"1.50", "f": b"0.25",
    "v": "ä".encode(), "s": b"", "t": None, "b": b"a\0\0", "bits": b"\0\x05", "day": b"2026-02-03", "at": b"0000-00-00 00:00:00",
    "ts": b"2026-02-03 04:05:06.78", "tm": b"-10:00:00", "y": b"0000", "en": b"x", "em": b"y", "st": b"p,q", "j": None,
    "x": None, "g": None}, found
assert field_list(b"d", b"E%") == {"e": b"1.50", "en": b"x", "em": b"y"}
assert field_list(b"d", b"%\\_%") == {}
assert field_list(b"v") == {"id": b"0", "t": b"11", "more": None, "n": b"0"}, field_list(b"v")
c.close()
print("fine")
