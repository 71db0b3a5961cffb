"""Reads an HTML page: its structure, and what stands in it."""

from html.parser import HTMLParser

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onload='alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    '狗 & <b> $1$ #0072b2 id="a"',
]


class PageParser(HTMLParser):
    """Elements with names of their attributes; text; labels of figures."""

    def __init__(self, page):
        super().__init__()
        self.structure, self.texts, self.labels = [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.structure.append((tag, *attributes))
        self.labels.append(attributes.get("aria-label", ""))

    def handle_data(self, data):
        self.texts.append(data)
