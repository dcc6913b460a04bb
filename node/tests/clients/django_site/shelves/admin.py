"""What people see."""

from django.contrib import admin

from .models import Author, Book

admin.site.register(Author)


@admin.register(Book)
class BookAdmin(admin.ModelAdmin):
    list_filter = ["author"]
    search_fields = ["title"]
