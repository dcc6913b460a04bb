"""A Django project of one model file: migrate every contrib application, then use the admin through the test client."""

import os

import django
from django.apps import AppConfig
from django.conf import settings
from django.test.utils import setup_test_environment

settings.configure(
    DEBUG=False,
    SECRET_KEY="only for tests",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["testserver"],
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={"default": {
        "ENGINE": "django.db.backends.mysql", "HOST": os.environ["DB_HOST"], "PORT": os.environ["DB_PORT"],
        "USER": os.environ["DB_USER"], "PASSWORD": os.environ["DB_PASSWORD"], "NAME": os.environ["DB_NAME"],
        "OPTIONS": {"charset": "utf8mb4"},
    }},
    INSTALLED_APPS=["django.contrib." + name for name in (
        "admin", "auth", "contenttypes", "sessions", "messages", "staticfiles", "sites", "flatpages", "redirects", "humanize")]
        + ["__main__.Library"],
    SITE_ID=1,
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.common.CommonMiddleware",
                "django.contrib.auth.middleware.AuthenticationMiddleware", "django.contrib.messages.middleware.MessageMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {"context_processors": [
        "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages"]}}],
    STATIC_URL="/static/",
    MIGRATION_MODULES={"library": None},
)


class Library(AppConfig):
    name = "__main__"
    label = "library"
    path = os.path.dirname(os.path.abspath(__file__))


django.setup()

from django.contrib import admin  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import IntegrityError, connection, models, transaction  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402


class Author(models.Model):
    name = models.CharField(max_length=100, unique=True)
    born = models.DateField(null=True, blank=True)

    class Meta:
        app_label = "library"

    def __str__(self):
        return self.name


class Book(models.Model):
    title = models.CharField(max_length=200, db_index=True)
    author = models.ForeignKey(Author, on_delete=models.CASCADE)
    price = models.DecimalField(max_digits=12, decimal_places=3)
    meta = models.JSONField(default=dict, blank=True)
    added = models.DateTimeField(auto_now_add=True)
    slug = models.SlugField(default="none")
    notes = models.TextField(default="")

    class Meta:
        app_label = "library"
        constraints = [models.CheckConstraint(condition=models.Q(price__gte=0), name="price_not_negative"),
                       models.UniqueConstraint(fields=["author", "title"], name="one_title")]


@admin.register(Author)
class AuthorAdmin(admin.ModelAdmin):
    search_fields = ["name"]
    date_hierarchy = "born"


@admin.register(Book)
class BookAdmin(admin.ModelAdmin):
    list_display = ["title", "author", "price"]
    list_filter = ["author"]
    autocomplete_fields = ["author"]


urlpatterns = [path("admin/", admin.site.urls)]


def check(name, body):
    try:
        body()
        print("ok", name)
    except Exception as error:
        print(f"not ok {name}: {type(error).__name__}: {' '.join(str(error).split())[:400]}")


def same(expected, actual):
    if expected != actual:
        raise AssertionError(f"expected {expected!r}, got {actual!r}")


def main():
    print("version", django.get_version())
    setup_test_environment()
    for name in ("admin", "auth", "contenttypes", "sessions", "sites", "flatpages", "redirects"):
        check(f"migrate {name}", lambda: call_command("migrate", name, verbosity=0))
    check("migrate again finds nothing", lambda: call_command("migrate", "--check", "auth", verbosity=0))
    check("migrate the auth application back and forth", lambda: (
        call_command("migrate", "auth", "0008", verbosity=0), call_command("migrate", "auth", verbosity=0)))

    def first_models():
        with connection.schema_editor() as editor:
            editor.create_model(Author)
            bare = [f for f in Book._meta.local_fields if f.name not in ("slug", "notes")]
            Book._meta.local_fields, kept = bare, Book._meta.local_fields
            Book._meta._expire_cache()
            editor.create_model(Book)
            Book._meta.local_fields = kept
            Book._meta._expire_cache()
    check("create models with constraints", first_models)
    check("rows before a new column", lambda: connection.cursor().execute(
        "INSERT INTO library_author (id, name) VALUES (1, 'Zoë')") and connection.cursor().execute(
        "INSERT INTO library_book (title, author_id, price, meta, added) VALUES ('Old', 1, 1, '{}', NOW(6))"))

    def add_fields():
        with connection.schema_editor() as editor:
            editor.add_field(Book, Book._meta.get_field("slug"))
            editor.add_field(Book, Book._meta.get_field("notes"))
        same(("none", ""), tuple(Book.objects.values_list("slug", "notes").get()))
    check("add fields to a table that has rows", add_fields)

    from django.contrib.auth.models import User
    check("create a superuser", lambda: User.objects.create_superuser("boss", "boss@example.org", "secret"))
    client = Client()
    check("log in", lambda: same(302, client.post("/admin/login/?next=/admin/", {"username": "boss", "password": "secret"}).status_code))
    check("admin index", lambda: same(200, client.get("/admin/").status_code))

    def add(url, values):
        answer = client.post(url, values)
        if answer.status_code != 302:
            raise AssertionError(f"{answer.status_code} {answer.context and answer.context['errors']}")
    check("add an author", lambda: add("/admin/library/author/add/", {"name": "Ursula", "born": "1929-10-21"}))
    check("add a book", lambda: add("/admin/library/book/add/", {
        "title": "The Dispossessed 😀", "author": "2", "price": "12.345", "meta": '{"year": 1974}', "slug": "d", "notes": "x"}))
    check("the list, searched, filtered, sorted", lambda: same([200, 200, 200], [client.get(url).status_code for url in (
        "/admin/library/author/?q=urs", "/admin/library/book/?author__id__exact=2&o=-3", "/admin/library/author/?born__year=1929")]))
    check("autocomplete", lambda: same(1, len(client.get("/admin/autocomplete/", {
        "term": "urs", "app_label": "library", "model_name": "book", "field_name": "author"}).json()["results"])))
    book = lambda: Book.objects.get(slug="d")  # noqa: E731
    check("change the book", lambda: (add(f"/admin/library/book/{book().pk}/change/", {
        "title": "Changed", "author": "2", "price": "1.5", "meta": '{"year": 1975}', "slug": "d", "notes": "y"}), same("Changed", book().title)))
    check("history", lambda: same(200, client.get(f"/admin/library/book/{book().pk}/history/").status_code))
    check("a duplicate is a form error, not a crash", lambda: same(200, client.post(
        "/admin/library/author/add/", {"name": "Ursula", "born": ""}).status_code))
    check("JSON lookups", lambda: same(1, Book.objects.filter(meta__year=1975, meta__has_key="year").count()))

    def violated(make):
        try:
            with transaction.atomic():
                make()
        except IntegrityError:
            return
        raise AssertionError("no IntegrityError")
    check("constraints are IntegrityError", lambda: (
        violated(lambda: Author.objects.create(name="URSULA")),
        violated(lambda: Book.objects.create(title="n", author_id=2, price=-1)),
        violated(lambda: Book.objects.create(title="n", author_id=99, price=1))))
    check("delete with what hangs on it", lambda: (add("/admin/library/author/2/delete/", {"post": "yes"}), same(1, Book.objects.count())))
    check("inspectdb", lambda: call_command("inspectdb", stdout=open(os.devnull, "w")))
    check("dumpdata and flush", lambda: (call_command("dumpdata", stdout=open(os.devnull, "w")),
                                         call_command("flush", interactive=False, verbosity=0), same(0, User.objects.count())))
    print("done")


if __name__ == "__main__":
    main()
