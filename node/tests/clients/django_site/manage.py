"""A Django project on one node: `manage.py HOST PORT USER PASSWORD COMMAND …`. Its own application is the folder `shelves`.

Beside Django's commands there is `use NAME`: what people do with the site, through the admin. PyMySQL stands in for mysqlclient,
which is not pure Python.
"""

import os
import sys

import pymysql

sys.dont_write_bytecode = True
pymysql.install_as_MySQLdb()
# Django looks at the version of the client that PyMySQL stands in for.
pymysql.version_info, pymysql.__version__ = (2, 2, 1, "final", 0), "2.2.1"

import django  # noqa: E402
from django.conf import settings  # noqa: E402

HOST, PORT, USER, PASSWORD, COMMAND = sys.argv[1:6]

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
settings.configure(
    SECRET_KEY="only for tests",
    ROOT_URLCONF="shelves.urls",
    ALLOWED_HOSTS=["testserver"],
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    DATABASES={"default": {
        "ENGINE": "django.db.backends.mysql", "HOST": HOST, "PORT": PORT, "USER": USER, "PASSWORD": PASSWORD, "NAME": "site",
        "OPTIONS": {"charset": "utf8mb4"},
    }},
    INSTALLED_APPS=["django.contrib." + name for name in (
        "admin", "auth", "contenttypes", "sessions", "messages", "staticfiles", "sites", "flatpages", "redirects")] + ["shelves"],
    SITE_ID=1,
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.common.CommonMiddleware",
                "django.contrib.auth.middleware.AuthenticationMiddleware", "django.contrib.messages.middleware.MessageMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {"context_processors": [
        "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages"]}}],
    STATIC_URL="/static/",
)
django.setup()


def same(expected, actual):
    if expected != actual:
        raise AssertionError(f"expected {expected!r}, got {actual!r}")


def use(name):
    """Somebody of this name comes, works in the admin, and cleans up."""
    from django.contrib.admin.models import LogEntry
    from django.contrib.auth.models import Permission, User
    from django.test import Client
    from django.test.utils import setup_test_environment

    from shelves.models import Author, Book

    setup_test_environment()
    boss = User.objects.create_superuser(name, f"{name}@example.org", "secret")
    client = Client()

    def post(url, values):
        answer = client.post(url, values)
        if answer.status_code != 302:
            raise AssertionError(f"{url}: {answer.status_code} {answer.context and answer.context.get('errors')}")

    post("/admin/login/?next=/admin/", {"username": name, "password": "secret"})
    same(200, client.get("/admin/").status_code)
    post("/admin/shelves/author/add/", {"name": f"Ursula {name}"})
    author = Author.objects.get(name=f"Ursula {name}")
    book = {"title": f"Dispossessed {name}", "author": author.pk, "price": "12.34", "tags": []}
    post("/admin/shelves/book/add/", book)
    found = Book.objects.get(title=book["title"])
    post(f"/admin/shelves/book/{found.pk}/change/", book | {"price": "1.50"})
    same("1.50", str(Book.objects.get(pk=found.pk).price))
    same(200, client.get(f"/admin/shelves/book/?q={name}&author__id__exact={author.pk}").status_code)
    same(200, client.get(f"/admin/shelves/book/{found.pk}/history/").status_code)
    same(3, LogEntry.objects.filter(user=boss).count())
    # A user with one permission may do that and nothing else.
    clerk = User.objects.create_user(f"clerk-{name}", password="secret", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(content_type__app_label="shelves", codename="view_book"))
    client.logout()
    post("/admin/login/?next=/admin/", {"username": clerk.username, "password": "secret"})
    same([200, 403], [client.get(f"/admin/shelves/{model}/").status_code for model in ("book", "author")])
    client.logout()
    post("/admin/login/?next=/admin/", {"username": name, "password": "secret"})
    post(f"/admin/shelves/author/{author.pk}/delete/", {"post": "yes"})
    same(0, Book.objects.filter(pk=found.pk).count())


if COMMAND == "use":
    use(sys.argv[6])
else:
    from django.core.management import execute_from_command_line

    execute_from_command_line(["manage.py", *sys.argv[5:]])
