"""Adminer over HTTP, as a browser uses it: log in, create, insert, edit, browse, alter, export, drop."""

import html
import http.cookiejar
import os
import re
import sys
import urllib.parse
import urllib.request

base, server = sys.argv[1], f"{os.environ['DB_HOST']}:{os.environ['DB_PORT']}"
database = os.environ["DB_NAME"]
browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
browser.addheaders = [("User-Agent", "ecosystem"), ("Accept-Language", "en")]


def get(**query):
    return page(urllib.request.Request(address(query)))


def address(query):
    query = {"server": server, "username": os.environ["DB_USER"], "db": database} | query
    return base + "?" + urllib.parse.urlencode({k: v for k, v in query.items() if v is not None})


def page(request):
    text = browser.open(request, timeout=30).read().decode()
    errors = re.findall(r"<(?:p|div) class=['\"]error['\"]>(.*?)(?:</p>|</div>|\n)", text, re.S)
    if errors:
        raise AssertionError(html.unescape(re.sub(r"<[^>]+>", " ", errors[0]))[:300])
    return text


def post(fields, **query):
    """Submits a form of this page: its token, and these fields."""
    token = re.search(r"name=['\"]token['\"] value=['\"]([^'\"]+)", get(**query))[1]
    body = urllib.parse.urlencode([*fields, ("token", token)]).encode()
    return page(urllib.request.Request(address(query), body))


def check(name, body):
    try:
        body()
        print("ok", name)
    except Exception as error:
        print(f"not ok {name}: {type(error).__name__}: {' '.join(str(error).split())[:400]}")


def has(text, *parts):
    for part in parts:
        if part not in text:
            raise AssertionError(f"{part!r} is not in the page: {html.unescape(re.sub(r'<[^>]+>', ' ', text))[-300:]}")


def column(n, name, kind, length="", **more):
    fields = {"field": name, "orig": "", "type": kind, "length": length, "unsigned": "", "collation": "", "on_delete": "",
              "default": "", "comment": ""} | more
    return [(f"fields[{n}][{key}]", value) for key, value in fields.items()]


def log_in():
    login = {"auth[driver]": "server", "auth[server]": server, "auth[username]": os.environ["DB_USER"],
             "auth[password]": os.environ["DB_PASSWORD"], "auth[db]": database}
    text = page(urllib.request.Request(base, urllib.parse.urlencode(login).encode()))
    has(text, "Logout")
    print("version", re.search(r"class=['\"]version['\"]>\s*([\d.]+)", text)[1])


def create_table():
    fields = column(1, "id", "int") + column(2, "name", "varchar", "50", comment="who") + column(3, "at", "datetime", "3", null="1")
    fields += column(4, "kind", "enum", "'a','b'", null="1")
    has(post([("name", "people"), ("Engine", "InnoDB"), ("Collation", ""), ("Comment", "all"), ("auto_increment_col", "1"), ("Auto_increment", ""), *fields], create=""),
        "Table has been created")


def insert():
    has(post([("function[id]", "NULL"), ("fields[id]", ""), ("function[name]", ""), ("fields[name]", "Zoë's 😀"), ("function[at]", "now"), ("fields[at]", ""),
              ("function[kind]", ""), ("fields[kind]", "b"), ("insert", "1")], edit="people"), "has been inserted")


check("log in", log_in)
check("create a table", create_table)
check("insert a row", insert)
check("browse", lambda: has(html.unescape(get(select="people")), "Zoë's 😀"))
check("search and sort", lambda: has(html.unescape(get(**{"select": "people", "where[0][col]": "name", "where[0][op]": "LIKE %%", "where[0][val]": "zoe", "order[0]": "id", "desc[0]": "1"})), "Zoë's 😀"))
check("edit the row", lambda: has(post([("function[name]", ""), ("fields[name]", "Changed"), ("save", "1")], edit="people", **{"where[id]": "1"}), "has been updated"))
check("structure of the table", lambda: has(get(table="people"), "varchar(50)", "PRIMARY", "datetime(3)", "who"))
check("add an index", lambda: has(post([("indexes[1][type]", "PRIMARY"), ("indexes[1][columns][1]", "id"), ("indexes[1][lengths][1]", ""),
                                        ("indexes[2][type]", "INDEX"), ("indexes[2][columns][1]", "name"), ("indexes[2][lengths][1]", "10"), ("indexes[2][name]", "by_name")], indexes="people"), "altered"))
check("alter the table", lambda: has(post([("name", "people"), ("Engine", "InnoDB"), ("Collation", ""), ("Comment", ""), ("auto_increment_col", "1"), ("Auto_increment", ""),
                                           *column(1, "id", "int", orig="id"), *column(2, "name", "varchar", "80", orig="name"), *column(3, "at", "datetime", "3", orig="at", null="1"),
                                           *column(4, "kind", "enum", "'a','b'", orig="kind", null="1"), *column(5, "more", "decimal", "10,2", null="1")], create="people"), "has been altered"))
check("SQL command", lambda: has(html.unescape(post([("query", "SELECT name, 1 + 1 AS two FROM people; UPDATE people SET more = 1.5"), ("limit", "")], sql="")), "Changed", "two", "1 row affected"))
check("EXPLAIN of a query", lambda: has(post([("query", "EXPLAIN SELECT * FROM people"), ("limit", "")], sql=""), "select_type"))
check("create a view", lambda: has(post([("name", "names"), ("select", "SELECT name FROM people")], view=""), "View has been created"))
check("export as SQL", lambda: has(post([("output", "text"), ("format", "sql"), ("db_style", "DROP+CREATE"), ("table_style", "DROP+CREATE"), ("data_style", "INSERT"),
                                         ("tables[]", "people"), ("data[]", "people"), ("tables[]", "names")], dump=""), "CREATE TABLE `people`", "INSERT INTO `people`", "'Changed'", "names"))
check("the database's schema", lambda: has(get(schema=""), "people"))
check("process list, variables, status", lambda: (has(get(processlist="", db=None), "SHOW FULL PROCESSLIST"), has(get(variables="", db=None), "sql_mode"), has(get(status="", db=None), "Uptime")))
check("all databases", lambda: has(get(db=None), database))
check("drop the table", lambda: has(post([("tables[]", "people"), ("drop", "1")]), "dropped"))
print("done")
