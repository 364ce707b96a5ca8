"""A parsed HTML page for tests: the standard library's parser, and the few questions that tests ask."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


@dataclass(eq=False)
class Element:
    tag: str
    attributes: dict[str, str]
    parent: "Element | None" = None
    children: list = field(default_factory=list)  # elements and strings

    @property
    def text(self) -> str:
        """All text below, white space as a reader sees it."""
        return " ".join("".join(self._strings()).replace("\u00a0", " ").split())

    def _strings(self):
        for child in self.children:
            if isinstance(child, str):
                yield child
            else:
                yield from child._strings()

    @property
    def raw(self) -> str:
        """Text directly below, untouched."""
        return "".join(child for child in self.children if isinstance(child, str))

    def all(self, *tags: str) -> list["Element"]:
        """Every element below with one of these tags (any, where none is given), in document order."""
        out = []
        for child in self.children:
            if isinstance(child, Element):
                if not tags or child.tag in tags:
                    out.append(child)
                out += child.all(*tags)
        return out

    def with_class(self, name: str) -> list["Element"]:
        return [e for e in self.all() if name in e.attributes.get("class", "").split()]

    def above(self, tag: str) -> "Element | None":
        """The nearest element around this one with this tag."""
        element = self.parent
        while element is not None and element.tag != tag:
            element = element.parent
        return element


class Page(HTMLParser):
    """Parse a page strictly: an end tag without its start tag is an error."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.root = self.at = Element("document", {})
        self.declarations: list[str] = []
        self.feed(text)
        self.close()
        assert self.at is self.root, f"<{self.at.tag}> is never closed"

    def handle_decl(self, decl):
        self.declarations.append(decl)

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice: {names}"
        element = Element(tag, {k: v or "" for k, v in attrs}, self.at)
        self.at.children.append(element)
        if tag not in VOID:
            self.at = element

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.at.tag == tag, f"</{tag}> closes <{self.at.tag}> {self.at.attributes}"
        self.at = self.at.parent

    def handle_data(self, data):
        self.at.children.append(data)

    def all(self, *tags):
        return self.root.all(*tags)

    def with_class(self, name):
        return self.root.with_class(name)

    def by_id(self, name) -> Element:
        found = [e for e in self.all() if e.attributes.get("id") == name]
        assert len(found) == 1, f"{len(found)} elements have the id {name}"
        return found[0]

    def table(self, start: str) -> Element:
        """The table whose caption, after its number, begins so."""
        found = [t for t in self.all("table") if t.all("caption")[0].text.partition(". ")[2].startswith(start)]
        assert len(found) == 1, [t.all("caption")[0].text for t in self.all("table")]
        return found[0]


def rows_of(table: Element) -> dict[str, list[str]]:
    """Row header to the texts of the row's cells; later rows of the same header do not replace the first."""
    out: dict[str, list[str]] = {}
    for row in table.all("tr"):
        heads, cells = row.all("th"), row.all("td")
        if cells and heads:
            out.setdefault(heads[-1].text, [c.text for c in cells])
    return out
