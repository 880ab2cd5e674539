"""Real text of four kinds to deduplicate: documentation and sources in Debian packages, and the corpora beside."""

import gzip
import hashlib
import html
import json
import random
import re
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.corpus import CORPORA

LEAST_BYTES, MOST_BYTES = 600, 9000
BLOCK_CHARACTERS = 2000
PACKAGE_SECONDS = 300
MOST_FILE_BYTES = 30_000_000
TAG = re.compile(r"<(script|style|nav|head)\b.*?</\1>|<!--.*?-->|<[^<>]+>", re.DOTALL | re.IGNORECASE)
HAN = re.compile("[\u3400-\u9fff]")
LATEX = re.compile(r"\\[A-Za-z]+|\\[()\[\]]|\$")
LATIN = re.compile("[A-Za-z]")


@dataclass(frozen=True)
class Package:
    """A Debian package whose files that match `paths` hold text of one kind, at most `megabytes` of which are taken."""

    name: str
    kind: str
    paths: str
    megabytes: float = 12.0


PACKAGES = (
    Package("linux-doc-6.1", "prose", r"/Documentation/(?!translations/(it|ko|ja|sp)).*\.(rst|txt)(\.gz)?$", 24),
    Package("perl-doc", "prose", r"\.pod$"),
    Package("git-doc", "prose", r"\.(txt|adoc)(\.gz)?$"),
    Package("postgresql-doc-15", "prose", r"/html/.*\.html$"),
    Package("debian-handbook", "prose", r"/html/(en-US|zh-CN|zh-TW)/.*\.html$"),
    Package("installation-guide-amd64", "prose", r"/(en|zh_CN)/.*\.html$|\.(en|zh_CN)\.html$"),
    Package("gnome-user-docs", "prose", r"/help/(C|zh_CN|zh_TW)/.*\.page$"),
    Package("manpages-zh", "prose", r"/man/.*\.[1-9][a-z]*(\.gz)?$"),
    Package("libreoffice-help-zh-cn", "prose", r"/text/.*\.html$"),
    Package("libreoffice-help-zh-tw", "prose", r"/text/.*\.html$"),
    Package("lilypond-doc-html-zh", "prose", r"\.zh\.html$|/zh/.*\.html$"),
    Package("debian-reference-zh-cn", "prose", r"\.zh-cn\.html$"),
    Package("maint-guide-zh-cn", "prose", r"\.zh-cn\.html$"),
    Package("debian-faq-zh-cn", "prose", r"\.zh-cn\.html$"),
    Package("debian-edu-doc-zh-cn", "prose", r"\.html$"),
    Package("fortunes-zh", "prose", r"/fortunes/[a-z0-9]+$"),
    Package("golang-1.19-src", "code", r"/src/.*\.go$", 14),
    Package("rust-src", "code", r"/(library|compiler|src/tools)/.*\.rs$", 14),
    Package("pari-doc", "math", r"\.tex$"),
    Package("texlive-science-doc", "math", r"\.tex(\.gz)?$"),
)


def fetch(package: Package, folder: Path) -> Path:
    """The .deb of a package in `folder`, fetched by apt-get where it is not there; ValueError without a network."""
    folder.mkdir(parents=True, exist_ok=True)
    there = sorted(folder.glob(f"{package.name}_*.deb"))
    if not there:
        try:
            command = ["apt-get", "download", "-q", package.name]
            options = {"cwd": folder, "capture_output": True, "text": True, "timeout": PACKAGE_SECONDS}
            done = subprocess.run(command, check=False, **options)
            told = done.stderr.strip()[-300:]
        except (OSError, subprocess.TimeoutExpired) as error:
            told = str(error)
        there = sorted(folder.glob(f"{package.name}_*.deb"))
        if not there:
            raise ValueError(
                f"the corpus for `openseek bench dedup` cannot be built: no Debian package {package.name} ({told}). "
                f"Run it on Debian 12 with a network after `apt-get update`, or put the .deb files into {folder}"
            )
    return there[-1]


def version(deb: Path) -> str:
    """The version that a .deb file names."""
    return deb.name.split("_")[1]


def package_texts(deb: Path, package: Package, seed: int) -> Iterator[tuple[str, str]]:
    """(path, text) of the files that count, in an order that the seed draws, until there are enough megabytes."""
    wanted, texts = re.compile(package.paths), {}
    with (
        subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as archive,
    ):
        for member in archive:
            if member.isfile() and wanted.search(member.name) and member.size <= MOST_FILE_BYTES:
                file = archive.extractfile(member)
                texts[member.name] = file.read() if file else b""
    if process.returncode:
        raise ValueError(f"{deb} cannot be unpacked: delete it, and it is fetched again")
    names, size = sorted(texts), 0.0
    random.Random(f"{seed}/{package.name}").shuffle(names)
    for name in names:
        text = plain(name, texts[name])
        if text and size < package.megabytes * 1e6:
            size += len(text.encode())
            yield name, text


def plain(name: str, data: bytes) -> str:
    """The text of a file without the marks of HTML or of manual pages; empty if it is not UTF-8."""
    try:
        if name.endswith((".gz", ".dz")):
            name, data = name[:-3], gzip.decompress(data)
        text = data.decode().replace("\r\n", "\n").replace("\0", "")
    except (OSError, UnicodeDecodeError):
        return ""
    if name.endswith((".html", ".page")):
        text = html.unescape(TAG.sub(" ", text))
        text = re.sub(r"[ \t\xa0]+", " ", text)
        text = re.sub(r" ?\n\s*\n ?", "\n\n", text)
    elif re.search(r"\.[1-9][a-z]*$", name):
        text = re.sub(r'(?m)^[.\'](\\".*|[A-Za-z]{1,2}\b ?)', "", text)
        text = re.sub(r"\\f[A-Z]|\\&", "", text).replace("\\-", "-")
    return text.strip()


def corpora_texts() -> Iterator[tuple[str, str, str]]:
    """(kind, name, text) of what the corpora hold and no package above does; nothing where they are not there.

    Texts too short to stand alone (poems, entries) come joined, twenty at a time.
    """
    import pyarrow.parquet as pq
    import zstandard

    def lines(path: Path) -> Iterator[dict[str, str]]:
        opened = zstandard.open if path.suffix == ".zst" else open
        with opened(path, "rt", encoding="utf-8") as file:
            yield from map(json.loads, file)

    if not CORPORA.is_dir():
        return
    origins = {r["text_sha1"]: r["origin"] for r in lines(CORPORA / "zh" / "provenance.jsonl.zst")}
    short: list[str] = []
    for path in sorted((CORPORA / "zh").glob("*/**/*")):
        if path.suffix not in (".parquet", ".jsonl", ".zst"):
            continue
        texts = (
            pq.read_table(path)["text"].to_pylist() if path.suffix == ".parquet" else [r["text"] for r in lines(path)]
        )
        for number, text in enumerate(texts):
            if not origins.get(hashlib.sha1(text.encode()).hexdigest(), "").startswith("github:"):
                continue
            if len(text.encode()) >= LEAST_BYTES:
                yield "prose", f"{path.name}/{number}", text
            else:
                short.append(text)
    yield from (("prose", f"short/{i}", "\n\n".join(short[i : i + 20])) for i in range(0, len(short), 20))
    for number, row in enumerate(lines(CORPORA / "math/proof-pile-2/arxiv/train/arXiv_000.jsonl.zst")):
        yield "math", f"arxiv/{number}", row["text"]
    finemath = CORPORA / "math/finemath/finemath-3plus/train-00000-of-00128.parquet"
    yield from (("math", f"finemath/{i}", t) for i, t in enumerate(pq.read_table(finemath)["text"].to_pylist()))
    python = CORPORA / "code/smollm-corpus/python-edu/train-00000-of-00002.parquet"
    for blob in pq.read_table(python)["blob_id"].to_pylist():
        for path in sorted((CORPORA / "code" / "swh-content").rglob(f"{blob}*")):
            yield "code", f"python/{blob}", plain("x.gz", path.read_bytes())


def pieces(text: str, generator: random.Random) -> Iterator[str]:
    """A text cut at empty lines into documents of 0.6 to 9 kB, of sizes as web pages have them (log-normal)."""
    part: list[str] = []
    size, aim = 0, 0.0
    for block in _blocks(text):
        length = len(block.encode()) + 2
        if part and (size + length > MOST_BYTES or size >= aim):
            if size >= LEAST_BYTES:
                yield "\n\n".join(part)
            part, size = [], 0
        if not part:
            aim = min(MOST_BYTES, max(LEAST_BYTES, generator.lognormvariate(7.9, 0.7)))
        part.append(block)
        size += length
    if LEAST_BYTES <= size <= MOST_BYTES:
        yield "\n\n".join(part)


def _blocks(text: str) -> Iterator[str]:
    """The paragraphs of a text, long ones cut at an end of line."""
    for block in re.split(r"\n\s*\n", text):
        while len(block) > BLOCK_CHARACTERS:
            cut = block.rfind("\n", BLOCK_CHARACTERS // 4, BLOCK_CHARACTERS)
            cut = cut if cut > 0 else BLOCK_CHARACTERS
            yield block[:cut]
            block = block[cut:].removeprefix("\n")
        if block.strip():
            yield block


def kind_of(piece: str, kind: str) -> str | None:
    """prose_en, prose_zh, code or math; None for a piece that is too little of what its source promises."""
    if kind == "prose":
        han, latin = len(HAN.findall(piece)), len(LATIN.findall(piece))
        if 2 * han >= latin:
            return "prose_zh" if han >= 0.2 * len(piece) else None
        return "prose_en" if latin >= 0.6 * len(piece) and not han else None
    if kind == "math":
        return kind if 50 * len(LATEX.findall(piece)) >= len(piece) else None
    return kind


def base_documents(folder: Path, megabytes: dict[str, float], seed: int) -> tuple[dict[str, list[str]], dict[str, str]]:
    """(different documents of each kind up to its megabytes, the packages' versions); equal versions, equal texts."""
    debs = {package: fetch(package, folder) for package in PACKAGES}
    found: dict[str, list[str]] = {kind: [] for kind in megabytes}
    seen: set[bytes] = set()

    def texts() -> Iterator[tuple[str, str, str]]:
        for package, deb in debs.items():
            for name, text in package_texts(deb, package, seed):
                yield package.kind, name, text
        yield from corpora_texts()

    for kind, name, text in texts():
        for piece in pieces(text, random.Random(f"{seed}/{name}")):
            judged = kind_of(piece, kind)
            digest = hashlib.blake2b(re.sub(r"\W+", "", piece.lower()).encode(), digest_size=12).digest()
            if judged in found and digest not in seen:
                seen.add(digest)
                found[judged].append(piece)
    for kind, documents in found.items():
        random.Random(f"{seed}/{kind}").shuffle(documents)
        size, count = 0, 0
        while count < len(documents) and size < megabytes[kind] * 1e6:
            size += len(documents[count].encode())
            count += 1
        del documents[count:]
    versions = {package.name: version(deb) for package, deb in debs.items()}
    return found, versions | {"corpora": "yes" if CORPORA.is_dir() else "no"}
