"""English as it is written: the words that are split or kept against the general rules of english_kernels.py.

Contractions come apart ("do|n't", "it|'s"), also where the apostrophe was left out ("do|nt"); abbreviations keep their
period, and faces made of signs stay whole. The tables tell how spaCy's English tokenizer treats them, since published
thresholds were tuned on its words.
"""

import functools
from collections.abc import Iterator

import numpy as np

LONGEST_SPECIAL = 12
TABLE_PLACES, SIEVE_PLACES = 8192, 4096
MERGED = 1 << 31
"""Bit of a special word that is also put together again when the general rules took it apart."""
FNV_OFFSET, FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3

_PERSONS = "i you he she it we they"
_ASKING = "who what when where why how there that this these those"
# Word, and the endings that come off it; "+" parts an ending that is two words.
_ENDINGS = (
    ("i", "'m 'm+a"),
    (_PERSONS, "'ll 'll+'ve 'd 'd+'ve"),
    ("i you we they", "'ve"),
    ("you we they", "'re"),
    ("he she it", "'s"),
    (_ASKING, "'ll 'll+'ve 'd 'd+'ve"),
    ("who what when where why how there that this", "'s"),
    ("who what when where why how there these those", "'re 've"),
    ("ca could do does did had may might must need ought sha should wo would", "n't n't+'ve"),
    ("ai are is was were have has dare", "n't"),
    ("could might must should would not", "'ve"),
)
# What the endings without apostrophe would make of words that are words.
_WORDS_OF_THEIR_OWN = frozenset(("ill", "its", "hell", "shell", "shed", "were", "well", "whore"))
_SPLIT = ("y'|all", "y|all", "how|'d|'y", "can|not", "gon|na", "got|ta", "let|'s", "c'm|on")
_SPOKEN = ("doin", "goin", "nothin", "nuthin", "ol", "somethin", "lovin", "havin")
_CLIPPED = ("em", "ll", "nuff", "s", "d", "re", "cause", "cos", "coz", "cuz", "bout")
_TITLES = "Mr. Mrs. Ms. Dr. Prof. Messrs. Jr. St. Adm. Gen. Gov. Rep. Rev. Sen. Ph.D. Mt."
_FIRMS = "Bros. Co. co. Corp. Inc. Ltd."
_MONTHS = "Jan. Feb. Mar. Apr. Jun. Jul. Aug. Sep. Sept. Oct. Nov. Dec."
_STATES = (
    "Ak. Ala. Ariz. Ark. Calif. Colo. Conn. D.C. Del. Fla. Ga. Ia. Id. Ill. Ind. Kan. Kans. Ky. La. Mass. Md. Mich. "
    "Minn. Miss. Mo. Mont. N.C. N.D. N.H. N.J. N.M. N.Y. Neb. Nebr. Nev. Okla. Ore. Pa. S.C. Tenn. Va. Wash. Wis."
)
_SHORT_FORMS = "a.m. p.m. e.g. E.g. E.G. i.e. I.e. I.E. vs. v.s. and/or w/o C++ ma'am Ma'am o'clock O'clock ‘s ‘S 'S ''"
# Eyes, whether a nose may follow, mouths.
_FACES = (
    (":", True, ") )) ))) ( (( ((( ] [ } D P p O o 0 X x 3 / | * > 1"),
    ("=", False, ") ( ] [ / | 3 D"),
    (";", True, ") D"),
    ("8", True, ") D"),
    (":'", True, ") ("),
)
_FACES_TURNED = "(: (-: [: [-: (; (-; (= [= ): )-: ]= (8 (-8 (o: :o) >:( >:o <3 <33 <333 </3 xD XD xDD XDD 8D"
_EYES = "^_^ ^__^ ^___^ -_- -__- >.< >.> <.< ._. ;_; v.v V.V v_v V_V o.o O.O o.O O.o o_o O_O o_O O_o 0_0 0.0 @_@"
_UNITS = (
    "km km² km³ m m² m³ dm dm² dm³ cm cm² cm³ mm mm² mm³ µm nm ha in ft yd kg g mg µg t lb oz m/s km/h kmh mph "
    "Pa hPa kPa mbar mb MB kb KB gb GB tb TB T G M K %"
)


def _contractions() -> Iterator[tuple[str, ...]]:
    for words, endings in _ENDINGS:
        for word in (form for w in words.split() for form in (w, w.title())):
            for ending in endings.split():
                parts = tuple(ending.split("+"))
                yield (word, *parts)
                bare = (word, *(part.replace("'", "") for part in parts))
                if "".join(bare).lower() not in _WORDS_OF_THEIR_OWN:
                    yield bare


def _kept() -> Iterator[str]:
    for word in _SPOKEN:
        yield from (word, word.title(), f"{word}'", f"{word.title()}'")
    for word in _CLIPPED:
        yield from (f"'{word}", *([f"'{word.title()}"] if word[0] == "c" else []))
    for words in (_TITLES, _FIRMS, _MONTHS, _STATES, _SHORT_FORMS, _FACES_TURNED, _EYES):
        yield from words.split()
    yield from (f"{letter}." for letter in "abcdefghijklmnopqrstuvwxyzäöü")
    for eyes, nose, mouths in _FACES:
        yield from (eyes + n + mouth for n in ("", "-")[: 1 + nose] for mouth in mouths.split())


def special_words() -> dict[str, tuple[str, ...]]:
    """Every special word with its parts, with a straight and with a typographic apostrophe."""
    found = [*_contractions(), *((word,) for word in _kept())]
    for parts in (tuple(word.split("|")) for word in _SPLIT):
        found += [parts, (parts[0].title(), *parts[1:])]
    for hour in range(1, 13):
        found += [(str(hour), period) for period in ("am", "pm", "a.m.", "p.m.")]
    found += [tuple(part.replace("'", "’") for part in parts) for parts in found]
    return {"".join(parts): parts for parts in found}


def hash_text(text: str) -> int:
    """The 64-bit FNV-1a hash over code points that the kernels compute."""
    value = FNV_OFFSET
    for character in text:
        value = ((value ^ ord(character)) * FNV_PRIME) & (2**64 - 1)
    return value


def sieve_place(first: int, last: int, length: int) -> int:
    """Where the sieve tells of words with these first and last characters and length; compiled in the kernels too."""
    return TABLE_PLACES + ((first * 131 + last * 37 + length) & (SIEVE_PLACES - 1))


@functools.cache
def special_table() -> tuple[np.ndarray, np.ndarray]:
    """(hash of a special word, lengths of its parts, 8 bits each, and MERGED) in open addressing; 0 is a free place.

    Behind the lengths lies a sieve that spares most hashes: by first character, last character and length (sieve_place)
    whether there can be a special word, 1, and with MERGED one to put together again.
    """
    keys, parts = np.zeros(TABLE_PLACES, np.uint64), np.zeros(TABLE_PLACES + SIEVE_PLACES, np.uint32)
    for word, pieces in special_words().items():
        assert len(word) <= LONGEST_SPECIAL and len(pieces) <= 3, word
        key = hash_text(word)
        place = (key >> 40) % TABLE_PLACES
        while parts[place]:
            place = (place + 1) % TABLE_PLACES
        letters = word.replace("'", "").replace("’", "").isalnum()
        merged = 0 if letters and word[0] not in "'’" and word[-1] not in "'’sS" else MERGED
        parts[sieve_place(ord(word[0]), ord(word[-1]), len(word))] |= 1 | merged
        keys[place], parts[place] = key, merged | sum(len(p) << (8 * i) for i, p in enumerate(pieces))
    return keys, parts


@functools.cache
def unit_hashes() -> np.ndarray:
    """Hashes of the units that come off the number before them."""
    return np.array([hash_text(unit) for unit in _UNITS.split()], np.uint64)
