"""An entry of the catalogue: where a public set lies, its form, its licence, and how one gets it."""

import dataclasses
from typing import Any, Literal

from openseek.data.sources import Source
from openseek.data.sources.content import Content

Access = Literal["open", "token", "agreement", "application"]


@dataclasses.dataclass(frozen=True)
class Entry:
    """One source, or one part of a set that is chosen by itself."""

    name: str
    """Name in `--config.source`, and the name of the source in every document."""
    title: str
    """What the publisher calls it."""
    dataset: str
    """Folder of the set in a mirror: what {dataset} in a mirror's address stands for."""
    base: str
    """Where the set lies for everybody."""
    path: str
    """Glob of its files below the base, and below a mirror."""
    licence: str
    """Licence class of its documents."""
    licence_basis: str
    """What the class rests on."""
    domain: Literal["web", "books", "wiki", "papers", "math", "code", "synthetic"]
    """Kind of text."""
    index: str = ""
    """A list of the files, where the base cannot be listed."""
    format: str = "parquet"
    """Format of the files."""
    lang: str = "en"
    """ISO 639-1 code of every document; empty: identified."""
    columns: tuple[str, ...] = ()
    """Columns that a row has besides its text."""
    text_column: str = "text"
    """Column of the text."""
    url_column: str = "url"
    """Column of the address; empty: none."""
    date_column: str = ""
    """Column of the date; empty: none."""
    content: Content = Content()
    """Where the text is fetched by id, if rows hold none."""
    tokens: float = 0
    """Tokens, in billions."""
    gigabytes: float = 0
    """Size of the files, in GB."""
    rows: int = 0
    """Documents."""
    access: Access = "open"
    """open; token: of a Hub account; agreement: conditions accepted on its page, then a token; application: by mail."""
    access_note: str = "nothing to do"
    """What to do before reading it."""
    inside: tuple[str, ...] = ()
    """Entries that hold all of this one: never read with it."""
    overlaps: str = ""
    """What else holds some of the same documents."""
    evidence: str = ""
    """What the entry rests on: card (the set's card or listing), code (public code that reads it), recall (unread)."""

    def source(self, mirror: str = "", **changes: Any) -> Source:
        """The source to ingest: at its public home, or in a mirror that holds the same layout.

        A mirror is a folder or a URL; {dataset} in it stands for the set's folder. `changes` are fields of Source.
        """
        if mirror:
            path = f"{mirror.replace('{dataset}', self.dataset).rstrip('/')}/{self.path}"
        else:
            path = f"{self.index}#{self.path}" if self.index else f"{self.base}/{self.path}"
        fields = {"format": self.format, "lang": self.lang, "licence": self.licence, "text_column": self.text_column}
        fields |= {"url_column": self.url_column, "date_column": self.date_column, "content": self.content}
        return Source(self.name, path, **{**fields, **changes})

    @property
    def size(self) -> str:
        """Tokens, GB and rows, as far as they are known."""
        tokens = f"{self.tokens:g}B tokens" if self.tokens < 1000 else f"{self.tokens / 1000:g}T tokens"
        parts = [tokens] if self.tokens else []
        parts += [f"{self.gigabytes:,g} GB"] if self.gigabytes else []
        parts += [f"{self.rows:,} rows"] if self.rows else []
        return ", ".join(parts) or "unknown"
