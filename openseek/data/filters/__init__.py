"""What `filter` does to every document: cleaners, then rule sets, in one pass over each shard."""

import dataclasses
from typing import ClassVar

from openseek.data.clean.boilerplate import BoilerplateLines
from openseek.data.clean.chinese import SimplifyChinese
from openseek.data.clean.credentials import MaskSecrets
from openseek.data.clean.licence_header import StripLicenceHeader
from openseek.data.clean.pii import MaskPII
from openseek.data.clean.unicode import NormalizeUnicode
from openseek.data.filters.c4 import C4, C4Lines
from openseek.data.filters.chinese import ChineseQuality
from openseek.data.filters.code_quality import CodeQuality
from openseek.data.filters.data_juicer import DataJuicerLength
from openseek.data.filters.fineweb import FineWeb
from openseek.data.filters.gopher import GopherQuality, GopherRepetition
from openseek.data.filters.language import Language
from openseek.data.filters.length import Garbled, Length
from openseek.data.filters.mathematics import Mathematics
from openseek.data.filters.safety import SafetyWords
from openseek.data.filters.source_code import SourceCode
from openseek.data.filters.url import UrlBlocklist
from openseek.data.transform import Filter, Transform


@dataclasses.dataclass(frozen=True)
class Filters:
    """The steps in the order of their fields; each has `enabled`, and languages and sources that it looks at.

    `preset` in place of a field starts from one of the values of presets.py.
    """

    presets: ClassVar[str] = "openseek.data.filters.presets"

    unicode: NormalizeUnicode = NormalizeUnicode()
    """Repair encoding and characters."""
    boilerplate: BoilerplateLines = BoilerplateLines()
    """Take boilerplate lines out."""
    simplify: SimplifyChinese = SimplifyChinese()
    """Traditional to simplified Chinese."""
    licence_header: StripLicenceHeader = StripLicenceHeader()
    """Copyright and licence notices off source code."""
    pii: MaskPII = MaskPII()
    """Personal data out of texts."""
    secrets: MaskSecrets = MaskSecrets()
    """Keys and passwords out of source code."""
    url: UrlBlocklist = UrlBlocklist()
    """Addresses to leave out."""
    language: Language = Language()
    """Languages to keep."""
    length: Length = Length()
    """Length limits for every document."""
    garbled: Garbled = Garbled()
    """Traces of a wrong decoding."""
    gopher_quality: GopherQuality = GopherQuality()
    """Gopher's quality rules."""
    gopher_repetition: GopherRepetition = GopherRepetition()
    """Gopher's repetition rules."""
    c4: C4 = C4()
    """C4's rules."""
    c4_lines: C4Lines = C4Lines()
    """Take out the lines that C4 does not keep."""
    fineweb: FineWeb = FineWeb()
    """FineWeb's rules."""
    data_juicer: DataJuicerLength = DataJuicerLength()
    """Data-juicer's lengths of documents, lines and sentences."""
    chinese: ChineseQuality = ChineseQuality()
    """Rules for Chinese."""
    source_code: SourceCode = SourceCode()
    """Basic rules for program text."""
    code_quality: CodeQuality = CodeQuality()
    """Generated files, data files and Python that does not parse."""
    mathematics: Mathematics = Mathematics()
    """Formulas and their delimiters."""
    safety: SafetyWords = SafetyWords()
    """Lists of sensitive words that drop, mask or tag."""

    def steps(self) -> list[Filter | Transform]:
        """The enabled steps, in order."""
        steps: list[Filter | Transform] = []
        for field in dataclasses.fields(self):
            step = getattr(self, field.name)
            steps += step.steps() if isinstance(step, SafetyWords) else [step]
        return [step for step in steps if step.enabled]
