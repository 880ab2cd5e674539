"""What `filter` does to every document: cleaners, then rule sets, in one pass over each shard."""

import dataclasses

from openseek.data.clean.boilerplate import BoilerplateLines
from openseek.data.clean.chinese import SimplifyChinese
from openseek.data.clean.credentials import MaskSecrets
from openseek.data.clean.licence_header import StripLicenceHeader
from openseek.data.clean.pii import MaskPII
from openseek.data.clean.unicode import NormalizeUnicode
from openseek.data.filters.chinese import ChineseQuality
from openseek.data.filters.gopher import GopherQuality, GopherRepetition
from openseek.data.filters.language import Language
from openseek.data.filters.length import Garbled, Length
from openseek.data.filters.safety import SafetyWords
from openseek.data.filters.source_code import SourceCode
from openseek.data.filters.url import UrlBlocklist
from openseek.data.transform import Filter, Transform


@dataclasses.dataclass(frozen=True)
class Filters:
    """The steps in the order of their fields; each has `enabled`, and languages and sources that it looks at."""

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
    chinese: ChineseQuality = ChineseQuality()
    """Rules for Chinese."""
    source_code: SourceCode = SourceCode()
    """Rules for program text."""
    safety: SafetyWords = SafetyWords()
    """Lists of sensitive words that drop, mask or tag."""

    def steps(self) -> list[Filter | Transform]:
        """The enabled steps, in order."""
        names = [field.name for field in dataclasses.fields(self) if field.name != "safety"]
        steps = [getattr(self, name) for name in names] + self.safety.steps()
        return [step for step in steps if step.enabled]
