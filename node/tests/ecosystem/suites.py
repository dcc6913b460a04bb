"""How each suite is installed, run and read. The order is that in which people meet them.

A suite is a function of `tools.Suite`. Versions are pinned here, so that a result can be had again.
"""

import json
import os
import re

from tools import HERE, debian, debian_source, python_source, run, venv


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
    suite.fresh_databases(suite.database, "test_schema")
    tests = ["test/dialect/test_suite.py", "test/dialect/mysql"]
    if suite.short:
        tests = ["test/dialect/mysql/test_dialect.py", "test/dialect/mysql/test_query.py",
                 "test/dialect/mysql/test_on_duplicate.py", "test/dialect/mysql/test_types.py"]
    url = suite.server.url("mysql+pymysql", suite.database) + "?charset=utf8mb4"
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
    suite.sql("".join(f"DROP DATABASE IF EXISTS test_{suite.database}{more};" for more in ["", "_2"]))
    done = run([python, "runtests.py", "--settings=django_settings", "--parallel=1", "--noinput", *labels],
               cwd=source / "tests", env=suite.environment | {"PYTHONPATH": f"{HERE}{os.pathsep}{source}",
                                                             "PYTHONDONTWRITEBYTECODE": "1"}, check=False)
    read_unittest(suite, done.stdout + done.stderr)


DJANGO_LABELS = [
    "aggregation", "annotations", "backends", "basic", "bulk_create", "constraints", "custom_columns", "datatypes",
    "dates", "datetimes", "db_functions", "defer", "delete", "delete_regress", "expressions", "expressions_case",
    "expressions_window", "field_defaults", "fixtures", "get_or_create", "indexes", "inspectdb", "introspection",
    "lookup", "m2m_through", "many_to_many", "many_to_one", "migrations", "model_fields", "model_inheritance",
    "null_queries", "one_to_one", "or_lookups", "ordering", "prefetch_related", "queries", "raw_query", "schema",
    "select_for_update", "select_related", "timezones", "transaction_hooks", "transactions", "update", "validation",
]


def read_unittest(suite, text):
    """Counts what Python's unittest says at its end, and names the failures: `ERROR: test (module.Class.test)`."""
    ran = re.search(r"^Ran (\d+) tests? in", text, re.M)
    if not ran:
        raise RuntimeError("no test ran: " + text[-600:])
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
    suite.skipped = counted.get("skipped", 0) + counted.get(" skipped", 0)
    suite.passed = int(ran[1]) - len(failed) - suite.skipped


SUITES = {
    "pymysql": pymysql,
    "sqlalchemy": sqlalchemy,
    "django-tests": django_tests,
}
