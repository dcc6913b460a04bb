"""How each suite is installed, run and read. The order is that in which people meet them.

A suite is a function of `tools.Suite`. Versions are pinned here, so that a result can be had again.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from dump import SQL
from tools import CACHE, HERE, debian, debian_source, npm, python_source, run, venv


def pymysql(suite):
    """PyMySQL's own tests, from the upstream source that Debian keeps: what PyPI carries has none."""
    source = debian_source("python-pymysql", "trixie")
    suite.version = re.search(r"\d+(\.\d+)+", source.name)[0]
    python = venv("pymysql", "pytest==9.2.0", "cryptography")
    server = suite.server
    login = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
    suite.fresh_databases("eco_pymysql", "eco_pymysql_2")
    databases = [login | {"database": "eco_pymysql", "use_unicode": True, "local_infile": True},
                 login | {"database": "eco_pymysql_2"}]
    (source / "pymysql/tests/databases.json").write_text(json.dumps(databases))
    suite.pytest(python, source, "pymysql")


def sqlalchemy(suite):
    """SQLAlchemy's dialect compliance suite (`sqlalchemy.testing.suite`) and its own tests of the MySQL dialect."""
    suite.version = "2.1.9"
    python = venv("sqlalchemy", f"sqlalchemy=={suite.version}", "pymysql==1.2.4", "pytest==9.2.0")
    source = python_source(python, f"sqlalchemy=={suite.version}")
    parts = [["test/dialect/test_suite.py"], ["test/dialect/mysql"]]
    if suite.short:
        parts = [["test/dialect/mysql/test_dialect.py", "test/dialect/mysql/test_query.py",
                 "test/dialect/mysql/test_on_duplicate.py", "test/dialect/mysql/test_types.py"]]
    url = suite.server.url("mysql+pymysql", suite.database) + "?charset=utf8mb4"
    for tests in parts:  # what a test leaves behind whose set-up failed is nothing to the other part
        suite.fresh_databases(suite.database, "test_schema")
        suite.pytest(python, source, "-p", "no:logging", "--maxfail=100000", "--dburi", url, *tests)
    suite.failed = [(re.sub(r"_mysql\+pymysql_[0-9_]+", "", test), reason) for test, reason in suite.failed]


DJANGO_VERSION = "5.2.19"


def django_tests(suite):
    """The parts of Django's own tests that are about the database."""
    suite.version = DJANGO_VERSION
    debian({"mariadb_config": "libmariadb-dev", "pkg-config": "pkg-config", "cc": "build-essential"})
    python = venv("django", f"django=={DJANGO_VERSION}", "mysqlclient==2.3.1")
    source = python_source(python, f"django=={DJANGO_VERSION}")
    labels = ["basic", "introspection"] if suite.short else DJANGO_LABELS
    environment = suite.environment | {"PYTHONPATH": f"{HERE}{os.pathsep}{source}", "PYTHONDONTWRITEBYTECODE": "1"}
    for label in labels:  # each by itself: models that cannot be created fail that part only
        suite.sql("".join(f"DROP DATABASE IF EXISTS test_{suite.database}{more};" for more in ["", "_2"]))
        done = run([python, "runtests.py", "--settings=django_settings", "--parallel=1", "--noinput", label],
                   cwd=source / "tests", env=environment, check=False)
        read_unittest(suite, done.stdout + done.stderr, label)


DJANGO_LABELS = [
    "aggregation", "annotations", "backends", "basic", "bulk_create", "constraints", "custom_columns", "datatypes",
    "dates", "datetimes", "db_functions", "defer", "delete", "delete_regress", "expressions", "expressions_case",
    "expressions_window", "field_defaults", "fixtures", "get_or_create", "indexes", "inspectdb", "introspection",
    "lookup", "m2m_through", "many_to_many", "many_to_one", "migrations", "model_fields", "model_inheritance",
    "null_queries", "one_to_one", "or_lookups", "ordering", "prefetch_related", "queries", "raw_query", "schema",
    "select_for_update", "select_related", "timezones", "transaction_hooks", "transactions", "update", "validation",
]


def read_unittest(suite, text, part="all"):
    """Counts what Python's unittest says at its end, and names the failures: `ERROR: test (module.Class.test)`."""
    ran = re.search(r"^Ran (\d+) tests? in", text, re.M)
    if not ran:
        suite.fail(f"({part}: no test ran)", text.strip().splitlines()[-1])
        return
    ending = text[ran.end():]
    counted = {word: int(number) for word, number in re.findall(r"([a-z ]+)=(\d+)", ending)}
    blocks = re.split(r"^={70}\n", text[:ran.start()], flags=re.M)[1:]
    failed = {}
    for block in blocks:
        head, _, trace = block.partition("-" * 70)
        name = re.match(r"(?:ERROR|FAIL): (\S+) \(([\w.]+)", head)
        if name:
            test = name[2] if name[2].endswith(name[1]) else f"{name[2]}.{name[1]}"
            failed.setdefault(test, trace.strip().split("\n\n")[0].splitlines()[-1])
    for test, reason in failed.items():
        suite.fail(test, reason)
    skipped = counted.get("skipped", 0) + counted.get(" skipped", 0)
    suite.skipped += skipped
    suite.passed += int(ran[1]) - len(failed) - skipped


def dump(suite):
    """mysqldump out of a database of every type, back into another one, and out again: the second dump is the same bytes."""
    debian({"mariadb": "mariadb-client", "mysqldump": "mariadb-client"})
    suite.version = re.search(r"(?:Distrib|from) ([\d.]+)", suite.client_version("mysqldump"))[1]
    other = suite.database + "_back"
    suite.fresh_databases(suite.database, other)
    suite.sql(SQL, suite.database)
    for name, options in {"plain": [], "single transaction": ["--single-transaction"],
                          "complete inserts, one row each": ["--complete-insert", "--skip-extended-insert"],
                          "replace": ["--replace", "--order-by-primary"]}.items():
        options = ["--skip-dump-date", "--hex-blob", "--routines", "--triggers", *options]
        first = run(suite.client("mysqldump", *options, suite.database), check=False)
        suite.expect(f"{name}: dump", first.returncode == 0 and not first.stderr, first.stderr)
        suite.fresh_databases(other)
        back = run(suite.client("mariadb", other), input=first.stdout, check=False)
        suite.expect(f"{name}: read back", back.returncode == 0, back.stderr)
        again = run(suite.client("mysqldump", *options, other), check=False).stdout.replace(other, suite.database)
        suite.expect(f"{name}: the second dump has the same bytes", again == first.stdout, first_difference(first.stdout, again))
    everything = run(suite.client("mysqldump", "--databases", suite.database, "--no-data", "--events"), check=False)
    suite.expect("--databases --no-data --events", everything.returncode == 0, everything.stderr)


def first_difference(a, b):
    for x, y in zip(a.splitlines(), b.splitlines()):
        if x != y:
            return f"{x[:150]} <> {y[:150]}"
    return f"{len(a)} and {len(b)} characters"


def mysqlclient(suite):
    """mysqlclient's own tests."""
    suite.version = "2.3.1"
    debian({"mariadb_config": "libmariadb-dev", "pkg-config": "pkg-config", "cc": "build-essential"})
    python = venv("mysqlclient", f"mysqlclient=={suite.version}", "pytest==9.2.0", "sqlalchemy==2.1.9")
    source = python_source(python, f"mysqlclient=={suite.version}")
    server = suite.server
    suite.fresh_databases()
    (source / "tests/default.cnf").write_text(
        f"[MySQLdb-tests]\nhost={server.host}\nport={server.port}\nuser={server.user}\npassword={server.password}\n"
        f"database={suite.database}\ndefault-character-set=utf8mb4\n")
    suite.pytest(python, source, "tests")


def connector_python(suite):
    """The tests of MySQL Connector/Python that talk to a server, in its pure Python form."""
    suite.version = "26.10.0"
    python = venv("connector", f"mysql-connector-python=={suite.version}")
    source = python_source(python, f"mysql-connector-python=={suite.version}")
    server = suite.server
    suite.sql("DROP DATABASE IF EXISTS myconnpy; CREATE DATABASE myconnpy")
    done = run([python, "unittests.py", "--use-external-server", f"--host={server.host}", f"--port={server.port}",
                f"--user={server.user}", f"--password={server.password}", "--unix-socket=", "--verbosity=0", "--skip-install",
                *(["--test", "cursor"] if suite.short else [])], cwd=source, check=False)
    read_unittest(suite, done.stdout + done.stderr)


def django_admin(suite):
    """A Django project: every contrib application migrated, its own models, the admin through the test client."""
    debian({"mariadb_config": "libmariadb-dev", "pkg-config": "pkg-config", "cc": "build-essential"})
    python = venv("django", f"django=={DJANGO_VERSION}", "mysqlclient==2.3.1")
    suite.fresh_databases()
    suite.checks([python, "-W", "ignore", HERE / "admin.py"])


NODE_PACKAGES = ["mysql2@3.24.5", "sequelize@6.37.8", "knex@3.3.0", "drizzle-orm@0.45.4", "typeorm@1.1.1", "reflect-metadata@0.2.2"]


def node_program(name):
    def suite_of_node(suite):
        debian({"node": "nodejs", "npm": "npm"})
        packages = npm(*NODE_PACKAGES)
        suite.fresh_databases()
        suite.checks(["node", HERE / f"{name}.cjs"], env={"NODE_PATH": str(packages / "node_modules")})
    return suite_of_node


def pdo(suite):
    """PHP's PDO and mysqli."""
    debian({"php": "php-cli", "/usr/share/php8.2-mysql": "php-mysql"})
    suite.fresh_databases()
    suite.checks(["php", HERE / "pdo.php"])


def adminer(suite):
    """Adminer over HTTP, from the upstream source that Debian keeps."""
    debian({"php": "php-cli", "/usr/share/php8.2-mysql": "php-mysql"})
    source = debian_source("adminer", "trixie")
    suite.fresh_databases()
    with php_server(source) as address:
        suite.checks([sys.executable, HERE / "adminer.py", f"{address}/adminer/index.php"])


def wordpress(suite):
    """WordPress: installed, then used through its own functions and over HTTP."""
    debian({"php": "php-cli", "/usr/share/php8.2-mysql": "php-mysql"})
    source = debian_source("wordpress", "trixie")
    suite.fresh_databases()
    server = suite.server
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder) / "wordpress"
        shutil.copytree(source, root)
        defines = {"DB_NAME": suite.database, "DB_USER": server.user, "DB_PASSWORD": server.password,
                   "DB_HOST": f"{server.host}:{server.port}", "DB_CHARSET": "utf8mb4", "DB_COLLATE": ""}
        lines = [f"define({json.dumps(name)}, {json.dumps(value)});" for name, value in defines.items()]
        lines += ["define('WP_HTTP_BLOCK_EXTERNAL', true);", "define('DISABLE_WP_CRON', true);", "$table_prefix = 'wp_';",
                  "if (!defined('ABSPATH')) { define('ABSPATH', __DIR__ . '/'); }", "require_once ABSPATH . 'wp-settings.php';"]
        (root / "wp-config.php").write_text("<?php\n" + "\n".join(lines) + "\n")
        program = ["php", "-d", "sendmail_path=/bin/true", HERE / "wordpress.php", root]
        suite.checks([*program, "install"])
        suite.checks(program)
        with php_server(root) as address:
            suite.sql(f"UPDATE wp_options SET option_value = '{address}' WHERE option_name IN ('siteurl', 'home')", suite.database)
            for name, path in {"front page": "/", "a post": "/?p=1", "feed": "/?feed=rss2", "search": "/?s=hello", "log-in page": "/wp-login.php"}.items():
                text = fetch(address + path)
                suite.expect(f"HTTP: {name}", "Site" in text and "database error" not in text, text[:300])


@contextlib.contextmanager
def php_server(folder):
    """PHP's own web server on a free port; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(["php", "-S", f"127.0.0.1:{port}", "-t", folder], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def fetch(address):
    try:
        return urllib.request.urlopen(address, timeout=60).read().decode()
    except urllib.error.HTTPError as error:
        return f"{error.code} " + error.read().decode()


def jdbc(suite):
    """JDBC by MariaDB Connector/J, the driver that Debian has (MySQL's own is not there, and needs Maven Central)."""
    jar = pathlib.Path("/usr/share/java/mariadb-java-client.jar")
    debian({"javac": "default-jdk-headless", str(jar): "libmariadb-java"})
    suite.fresh_databases()
    with tempfile.TemporaryDirectory() as classes:
        run(["javac", "-d", classes, HERE / "Jdbc.java"])
        suite.checks(["java", "-cp", f"{jar}:{classes}", "Jdbc"])


def sqlx(suite):
    """A program with sqlx, built in the cache."""
    folder = CACHE / "sqlx"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("Cargo.toml", "main.rs"):
        shutil.copy2(HERE / "sqlx" / name, folder / name)
    run(["cargo", "build", "--quiet"], cwd=folder, env={"CARGO_TARGET_DIR": str(CACHE / "sqlx-target"), "SQLX_VERSION": "0.8.6"})
    suite.fresh_databases()
    suite.checks([CACHE / "sqlx-target/debug/ecosystem-sqlx"])


SUITES = {
    "dump": dump,
    "pymysql": pymysql,
    "mysqlclient": mysqlclient,
    "connector-python": connector_python,
    "sqlalchemy": sqlalchemy,
    "django-admin": django_admin,
    "django-tests": django_tests,
    **{name: node_program(name) for name in ("mysql2", "sequelize", "knex", "drizzle", "typeorm")},
    "pdo": pdo,
    "adminer": adminer,
    "wordpress": wordpress,
    "jdbc": jdbc,
    "sqlx": sqlx,
}

# Those that CI runs: they need nothing but the package registries and what scripts/test has installed already.
SHORT = ["dump", "sqlalchemy", "connector-python", "django-admin", "mysql2", "sequelize", "knex", "drizzle", "typeorm"]
