"""Filters for kinds of material, by name: `--set preset=web_en`, or `filter: {preset: web_zh, ...}` in a recipe.

A preset is a value like any other: fields given beside it replace its own.
"""

import dataclasses

from openseek.data.clean.boilerplate import BoilerplateLines
from openseek.data.clean.chinese import SimplifyChinese
from openseek.data.clean.credentials import MaskSecrets
from openseek.data.clean.licence_header import StripLicenceHeader
from openseek.data.clean.pii import MaskPII
from openseek.data.filters import Filters
from openseek.data.filters.c4 import C4
from openseek.data.filters.chinese import ChineseQuality
from openseek.data.filters.code_quality import CodeQuality
from openseek.data.filters.data_juicer import DataJuicerLength
from openseek.data.filters.fineweb import FineWeb
from openseek.data.filters.gopher import GopherQuality, GopherRepetition
from openseek.data.filters.language import Language
from openseek.data.filters.length import Garbled, Length
from openseek.data.filters.mathematics import Mathematics
from openseek.data.filters.source_code import SourceCode
from openseek.data.filters.url import UrlBlocklist

# What FineWeb runs on English pages: C4 without its rule on the marks that end lines.
_WEB = Filters(
    url=UrlBlocklist(enabled=True),
    c4=C4(enabled=True, terminal_punctuation=False),
    fineweb=FineWeb(enabled=True),
    data_juicer=DataJuicerLength(enabled=True, languages=("zh",)),
)
# Rules for prose that would misjudge verse, tables and formulas.
_CALM = Filters(
    gopher_quality=GopherQuality(enabled=False),
    gopher_repetition=GopherRepetition(enabled=False),
    chinese=ChineseQuality(enabled=False),
    boilerplate=BoilerplateLines(enabled=False),
)
_PLAIN = dataclasses.replace(
    _CALM,
    simplify=SimplifyChinese(enabled=False),
    language=Language(enabled=False),
    source_code=SourceCode(enabled=False),
)

PRESETS: dict[str, Filters] = {
    # English web pages: URLs, Gopher, C4 and FineWeb; other languages go.
    "web_en": dataclasses.replace(_WEB, language=Language(keep=("en",))),
    # Chinese web pages: URLs, simplified, CCI4.0's and data-juicer's lengths, repetition; other languages go.
    "web_zh": dataclasses.replace(_WEB, language=Language(keep=("zh",))),
    # English and Chinese web pages, each by its own rules.
    "web": _WEB,
    # Books and their chapters: repetition and lengths; long documents and verse are welcome.
    "books": dataclasses.replace(
        _CALM,
        gopher_repetition=GopherRepetition(),
        length=Length(min_characters=200, max_characters=10_000_000),
        data_juicer=DataJuicerLength(enabled=True, max_characters=10_000_000, max_words=5_000_000),
    ),
    # Encyclopaedia articles: short ones and lists stay, repetition and stubs go.
    "wiki": dataclasses.replace(
        _CALM, gopher_repetition=GopherRepetition(), length=Length(min_characters=100, max_characters=2_000_000)
    ),
    # Papers in LaTeX or plain text: prose rules loosely, formulas whose delimiters fit.
    "papers": dataclasses.replace(
        _CALM,
        length=Length(min_characters=500, max_characters=5_000_000),
        garbled=Garbled(min_letters=0.4),
        mathematics=Mathematics(enabled=True, sources=()),
    ),
    # Mathematics: formulas whose delimiters fit, words between symbols; short problems stay.
    "math": dataclasses.replace(
        _PLAIN,
        length=Length(min_characters=20, max_characters=1_000_000),
        pii=MaskPII(enabled=False),
        garbled=Garbled(min_letters=0.15),
        mathematics=Mathematics(enabled=True, sources=()),
    ),
    # Program text of any source: basic and quality rules, Python must parse.
    "code": dataclasses.replace(
        _PLAIN,
        length=Length(min_characters=50, max_characters=1_000_000),
        licence_header=StripLicenceHeader(sources=()),
        pii=MaskPII(enabled=False),
        secrets=MaskSecrets(sources=()),
        source_code=SourceCode(sources=()),
        code_quality=CodeQuality(enabled=True, sources=()),
    ),
    # Hand-made material: it is cleaned, and only empty or garbled documents go.
    "own": dataclasses.replace(
        _CALM,
        language=Language(enabled=False),
        length=Length(min_characters=1, max_characters=100_000_000),
        garbled=Garbled(min_letters=0.05),
        source_code=SourceCode(enabled=False),
    ),
}
