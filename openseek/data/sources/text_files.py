"""Texts and Markdown: one document a file, or one a chapter of a Markdown file."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from openseek.data.sources.chapters import Chapter, documents_only, plain_text, to_items, whole
from openseek.data.sources.record import Item, Limits
from openseek.raw_files import RawFile

if TYPE_CHECKING:
    from openseek.data.sources import Source

FRONT_MATTER = re.compile(r"---[ \t]*\n(.*?\n)(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
FRONT_MATTER_CHARACTERS = 1 << 16
FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
HEADING = re.compile(r" {0,3}(#{1,2})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*")
UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*")


def read(path: RawFile, source: "Source", limits: Limits) -> Iterator[Item]:
    """The document of a text file, line ends made plain, nothing else changed. Position: 0."""
    documents_only(path, source, "text")
    yield from to_items(_text(path, limits), source, limits)


def read_markdown(path: RawFile, source: "Source", limits: Limits) -> Iterator[Item]:
    """The document of a Markdown file, or with split=chapter its chapters. Position: the number of the chapter.

    Chapters begin at `#` headings when there are two or more of them, else at `##` headings. YAML front matter
    becomes meta.
    """
    documents_only(path, source, "markdown")
    yield from to_items(_markdown(path, source.split == "chapter", limits), source, limits)


def _text(path: RawFile, limits: Limits) -> Iterator[Chapter]:
    yield Chapter(plain_text(whole(path, limits)), {"path": path.relative})


def _markdown(path: RawFile, split: bool, limits: Limits) -> Iterator[Chapter]:
    front, text = front_matter(plain_text(whole(path, limits)))
    found = list(_headings(text))
    tops = [heading for heading in found if heading[1] == 1]
    meta = {"path": path.relative, "title": tops[0][2] if tops else "", **front}
    cuts = (tops if len(tops) > 1 else [heading for heading in found if heading[1] == 2]) if split else []
    if not cuts:
        yield Chapter(text, meta)
        return
    if text[: cuts[0][0]].strip():
        yield Chapter(text[: cuts[0][0]].rstrip() + "\n", meta)
    for (start, _, title), end in zip(cuts, [cut[0] for cut in cuts[1:]] + [len(text)], strict=True):
        yield Chapter(text[start:end].rstrip() + "\n", {**meta, "chapter": title})


def front_matter(text: str) -> tuple[dict[str, Any], str]:
    """The mapping between two `---` lines at the head of a text, and the rest; what is no mapping stays text."""
    match = FRONT_MATTER.match(text[:FRONT_MATTER_CHARACTERS].removeprefix("\ufeff"))
    if match is None:
        return {}, text
    import yaml

    class Loader(yaml.SafeLoader):
        """Without aliases: a few lines of them write out to gigabytes of JSON."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.events.AliasEvent):
                raise yaml.YAMLError("front matter with an alias")
            return super().compose_node(parent, index)

    try:
        found = yaml.load(match.group(1), Loader)  # a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}, text
    if not isinstance(found, dict):
        return {}, text
    return {str(name): value for name, value in found.items()}, text[match.end() :].lstrip("\n")


def _headings(text: str) -> Iterator[tuple[int, int, str]]:
    """(offset, level 1 or 2, title) of the headings outside fenced code, of both forms: `#` and underlined."""
    offset, fence = 0, ""
    previous, before = "", ""
    for line in text.splitlines(keepends=True):
        bare = line.rstrip("\n")
        match = FENCE.match(bare)
        if fence:
            # The closing fence is at least as long as the opening one and stands alone.
            if match and match.group(1).startswith(fence) and not bare.strip().strip(fence[0]):
                fence = ""
        elif match:
            fence = match.group(1)
        elif heading := HEADING.fullmatch(bare):
            yield offset, len(heading.group(1)), heading.group(2) or ""
        elif (under := UNDERLINE.fullmatch(bare)) and previous.strip() and not before.strip():
            yield offset - len(previous), (1 if under.group(1)[0] == "=" else 2), previous.strip()
        before, previous = previous, line if not fence else ""
        offset += len(line)
