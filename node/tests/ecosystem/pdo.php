<?php
// PDO with PHP's own MySQL driver: emulated and real prepared statements, types, errors, transactions.

$at = 'mysql:host=' . getenv('DB_HOST') . ';port=' . getenv('DB_PORT') . ';dbname=' . getenv('DB_NAME') . ';charset=utf8mb4';
echo 'version PHP ' . PHP_VERSION . "\n";

function check(string $name, callable $run): void {
    try {
        $run();
        echo "ok $name\n";
    } catch (Throwable $e) {
        echo "not ok $name: " . preg_replace('/\s+/', ' ', $e->getMessage()) . "\n";
    }
}

function same($expected, $actual): void {
    if ($expected !== $actual) {
        throw new Exception('expected ' . json_encode($expected) . ', got ' . json_encode($actual));
    }
}

function connect(string $at, bool $emulate): PDO {
    return new PDO($at, getenv('DB_USER'), getenv('DB_PASSWORD'), [
        PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_EMULATE_PREPARES => $emulate,
        PDO::ATTR_STRINGIFY_FETCHES => false, PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_ASSOC,
        PDO::MYSQL_ATTR_INIT_COMMAND => "SET sql_mode=(SELECT CONCAT(@@sql_mode, ',NO_ZERO_DATE')), time_zone='+00:00'",
    ]);
}

foreach (['emulated' => true, 'prepared' => false] as $how => $emulate) {
    $db = connect($at, $emulate);
    check("$how: create table", function () use ($db) {
        $db->exec('DROP TABLE IF EXISTS kinds');
        $db->exec("CREATE TABLE kinds (id INT AUTO_INCREMENT PRIMARY KEY, d DECIMAL(20,5), f DOUBLE, at DATETIME(3),
            j JSON, b BLOB, big BIGINT UNSIGNED, e ENUM('x','y'), n VARCHAR(10) UNIQUE, flag BOOLEAN DEFAULT TRUE)");
    });
    check("$how: a row of every kind", function () use ($db) {
        $s = $db->prepare('INSERT INTO kinds (d, f, at, j, b, big, e, n) VALUES (:d, :f, :at, :j, :b, :big, :e, :n)');
        $s->bindValue('d', '123456789012345.12345');
        $s->bindValue('f', 1.5);
        $s->bindValue('at', '2024-02-29 01:02:03.456');
        $s->bindValue('j', '{"b":1,"a":[true,null]}');
        $s->bindValue('b', "\0\xff'\\", PDO::PARAM_LOB);
        $s->bindValue('big', '18446744073709551615');
        $s->bindValue('e', 'y');
        $s->bindValue('n', 'né😀');
        same(true, $s->execute());
        same('1', $db->lastInsertId());
        $s = $db->prepare('SELECT * FROM kinds WHERE id = ?');
        $s->bindValue(1, 1, PDO::PARAM_INT);
        $s->execute();
        same(['id' => 1, 'd' => '123456789012345.12345', 'f' => 1.5, 'at' => '2024-02-29 01:02:03.456',
            'j' => '{"a": [true, null], "b": 1}', 'b' => bin2hex("\0\xff'\\"), 'big' => '18446744073709551615', 'e' => 'y',
            'n' => 'né😀', 'flag' => 1], array_merge($r = $s->fetch(), ['b' => bin2hex($r['b'])]));
    });
    check("$how: LIMIT by parameters", function () use ($db) {
        $s = $db->prepare('SELECT id FROM kinds ORDER BY id LIMIT :skip, :take');
        $s->bindValue('skip', 0, PDO::PARAM_INT);
        $s->bindValue('take', 5, PDO::PARAM_INT);
        $s->execute();
        same([1], $s->fetchAll(PDO::FETCH_COLUMN));
    });
    check("$how: duplicate key", function () use ($db) {
        try {
            $db->prepare('INSERT INTO kinds (n) VALUES (?)')->execute(['NÉ😀']);
        } catch (PDOException $e) {
            same(['23000', 1062, " for key 'kinds.n'"], [$e->errorInfo[0], $e->errorInfo[1], strstr($e->errorInfo[2], ' for key')]);
            return;
        }
        throw new Exception('no error');
    });
    check("$how: rowCount counts changed rows", function () use ($db) {
        $s = $db->prepare('UPDATE kinds SET f = ?');
        $s->execute([2.5]);
        same(1, $s->rowCount());
        $s->execute([2.5]);
        same(0, $s->rowCount());
    });
    check("$how: transactions", function () use ($db) {
        $db->beginTransaction();
        $db->exec("INSERT INTO kinds (n) VALUES ('a')");
        $db->rollBack();
        $db->beginTransaction();
        $db->exec("INSERT INTO kinds (n) VALUES ('b')");
        $db->commit();
        same(['b', 'né😀'], $db->query('SELECT n FROM kinds ORDER BY n')->fetchAll(PDO::FETCH_COLUMN));
    });
    check("$how: fetch modes", function () use ($db) {
        same(['b' => 'y', 'né😀' => 'y'], $db->query("SELECT n, COALESCE(e, 'y') FROM kinds ORDER BY n")->fetchAll(PDO::FETCH_KEY_PAIR));
        $meta = $db->query('SELECT d, n FROM kinds')->getColumnMeta(0);
        same(['NEWDECIMAL', 'kinds', 'd'], [$meta['native_type'], $meta['table'], $meta['name']]);
    });
}
check('several statements in one', function () use ($at) {
    $s = connect($at, true)->query('SELECT 1 AS a; SELECT 2 AS b');
    same([['a' => 1]], $s->fetchAll());
    same(true, $s->nextRowset());
    same([['b' => 2]], $s->fetchAll());
});
check('unbuffered query', function () use ($at) {
    $db = connect($at, true);
    $db->setAttribute(PDO::MYSQL_ATTR_USE_BUFFERED_QUERY, false);
    $sum = 0;
    foreach ($db->query('WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 500) SELECT i FROM n') as $row) {
        $sum += $row['i'];
    }
    same(125250, $sum);
});
check('mysqli: prepared, metadata, multi query', function () {
    mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
    $db = new mysqli(getenv('DB_HOST'), getenv('DB_USER'), getenv('DB_PASSWORD'), getenv('DB_NAME'), (int) getenv('DB_PORT'));
    $db->set_charset('utf8mb4');
    same([['id' => 1]], $db->execute_query('SELECT id FROM kinds WHERE n = ?', ['né😀'])->fetch_all(MYSQLI_ASSOC));
    $db->multi_query('SELECT 1; SELECT 2');
    same([['1']], $db->store_result()->fetch_all());
    $db->next_result();
    same([['2']], $db->store_result()->fetch_all());
    same(true, $db->ping());
});
echo "done\n";
