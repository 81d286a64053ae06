"""Reading the HTML pages of the package."""

import html.parser
import re


class Page(html.parser.HTMLParser):
    """Tags that are opened and not closed, what they refer to, tables, and text."""

    VOID = ("meta", "img", "br")

    def __init__(self, content):
        super().__init__()
        self.open = []
        self.pictures = {}
        self.tags = set()
        self.attributes = []
        self.rows = []
        self.feed(content)
        text = re.sub(r"<style>.*?</style>", "", content, flags=re.DOTALL)
        self.text = " ".join(re.sub(r"<[^>]*>", " ", text).split())

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "img":
            self.pictures.setdefault(dict(attrs)["alt"], dict(attrs)["src"])
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        if self.open.pop() != tag:
            raise AssertionError(f"</{tag}> closes another tag")

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data
