"""What identifies a person, as patterns on UTF-8 bytes and checks: addresses, phone numbers, id and card numbers.

Each function takes the bytes around a find and gives the spans in it. Patterns never start or end within a longer
number, word or decimal; text without spaces (Chinese) may stand directly beside.
"""

import datetime
import ipaddress
import re
from collections.abc import Iterator

Spans = Iterator[tuple[int, int]]

EMAIL = re.compile(
    rb"(?<![A-Za-z0-9._%+\-])[A-Za-z0-9](?:[A-Za-z0-9._%+\-]{0,62}[A-Za-z0-9_])?"
    rb"@((?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+([A-Za-z]{2,24}))(?![A-Za-z0-9_-])"
)
FILE_ENDINGS = {b"png", b"jpg", b"jpeg", b"gif", b"svg", b"webp", b"css", b"js", b"py", b"html", b"pdf"}
RESERVED_DOMAIN = re.compile(rb"(?:^|\.)(?:example(?:\.(?:com|org|net))?|test|invalid|localhost|local)$")
OCTET = rb"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
IPV4 = re.compile(rb"(?<![0-9A-Za-z.\-])" + OCTET + rb"(?:\." + OCTET + rb"){3}(?![0-9A-Za-z]|[.\-]\d)")
# Words before a number that make it the number of a version or a part of a book.
NUMBERED = re.compile(
    rb"(?:\b(?:v|ver|version|release|build|rev|section|sec|chapter|table|figure|fig|appendix|clause|rule)"
    rb"|(?<!/)/|\xc2\xa7|"
    + "版本号|版本|版|第|章|节|表|图|条".encode()
    + rb")(?: is| to|"
    + ":|：|为|是".encode()
    + rb")?[ .#]*$",
    re.IGNORECASE,
)
IPV6 = re.compile(rb"(?<![0-9A-Za-z:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![0-9A-Za-z:])")
LEFT = rb"(?<![0-9A-Za-z_.=&#+\-])(?<![A-Za-z]/)"
RIGHT = rb"(?![0-9A-Za-z_]|[.\-]\d)"
CHINA = rb"(?:(?:\+|00)?86[ \-]?)?"
OPEN, CLOSE = rb"(?:\(|\xef\xbc\x88)", rb"(?:\)|\xef\xbc\x89)"
AREA = rb"0(?:10|2\d|[3-9]\d\d)"
PHONES = (
    re.compile(LEFT + CHINA + rb"1[3-9]\d([ \-]?)\d{4}\1\d{4}" + RIGHT),
    re.compile(LEFT + CHINA + rb"(?:" + OPEN + AREA + CLOSE + rb"[ \-]?|" + AREA + rb"[ \-])[2-8]\d{6,7}" + RIGHT),
    re.compile(LEFT + rb"(?:\+|00)86[ \-]?(?:10|2\d|[3-9]\d\d)[ \-]?[2-8]\d{6,7}" + RIGHT),
    re.compile(
        LEFT + rb"(?:\+?1[ .\-])?(?:\([2-9][0-8]\d\) ?|[2-9][0-8]\d([ .\-]))(?!555[ .\-]01)[2-9]\d\d[ .\-]\d{4}" + RIGHT
    ),
    re.compile(LEFT + rb"\+[1-9]\d{0,2}(?:[ .\-]?(?:\(\d{1,4}\)|\d{1,5})){2,6}" + RIGHT),
)
GROUPED_AMOUNT = re.compile(rb"\+\d{1,3}(?: \d{3})+$")
ID = re.compile(rb"(?<![0-9A-Za-z_.\-])(?:\d{17}[0-9Xx]|\d{15})" + RIGHT)
REGIONS = {11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51, 52, 53, 54}
REGIONS |= {61, 62, 63, 64, 65, 71, 81, 82, 83}
ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CARD = re.compile(rb"(?<![0-9A-Za-z_.\-])\d{4}(?:([ \-]?)\d{4}\1\d{4}\1\d{1,7}|[ \-]?\d{6}[ \-]?\d{5})" + RIGHT)
# Issuers and the lengths of their numbers: American Express, Visa, Mastercard, UnionPay, JCB, Discover.
ISSUERS = re.compile(
    r"3[47]\d{13}|4(?:\d{15}|\d{18})|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"
    r"|62\d{14,17}|35\d{14}|(?:6011|65\d\d)\d{12}"
)


def emails(window: bytes) -> Spans:
    """Mail addresses; not those of reserved domains, `git@`, and file names such as icon@2x.png."""
    if b"@" not in window:
        return
    for match in EMAIL.finditer(window):
        ending, domain = match[2].lower(), match[1].lower()
        if ending not in FILE_ENDINGS and not RESERVED_DOMAIN.search(domain) and not match[0].startswith(b"git@"):
            yield match.span()


def ips(window: bytes) -> Spans:
    """Public IPv4 addresses, but no versions and numbers of sections; public IPv6 addresses."""
    for match in IPV4.finditer(window) if window.count(b".") >= 3 else ():
        small = all(int(part) < 10 for part in match[0].split(b"."))
        if not small and _public(match[0]) and not NUMBERED.search(window[max(0, match.start() - 20) : match.start()]):
            yield match.span()
    for match in IPV6.finditer(window) if b":" in window else ():
        if match[0][:1] in b"23" and match[0].find(b":") == 4 and _public(match[0]):
            yield match.span()


def _public(address: bytes) -> bool:
    try:
        value = ipaddress.ip_address(address.decode())
    except ValueError:
        return False
    return value.is_global and not value.is_multicast


def phones(window: bytes) -> Spans:
    """Chinese mobile and landline, North American and international numbers."""
    for pattern in PHONES:
        for match in pattern.finditer(window):
            if pattern is not PHONES[-1]:
                yield match.span()
                continue
            digits = digits_in(match[0])
            if 8 <= digits <= 15 and not (digits <= 10 and GROUPED_AMOUNT.match(match[0])):
                yield match.span()


def ids(window: bytes) -> Spans:
    """Chinese resident ids: 18 digits with region, date and checksum, or the older 15 with region and date."""
    for match in ID.finditer(window):
        digits = match[0].decode().upper()
        date = digits[6:14] if len(digits) == 18 else "19" + digits[6:12]
        if int(digits[:2]) in REGIONS and _is_date(date) and (len(digits) == 15 or id_check(digits) == digits[17]):
            yield match.span()


def id_check(digits: str) -> str:
    """The eighteenth digit of a Chinese resident id (ISO 7064, MOD 11-2)."""
    return "10X98765432"[sum(int(d) * w for d, w in zip(digits[:17], ID_WEIGHTS, strict=True)) % 11]


def _is_date(digits: str) -> bool:
    try:
        date = datetime.date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return False
    return 1900 <= date.year <= 2035


def cards(window: bytes) -> Spans:
    """Numbers of bank cards: a known issuer, its length, and Luhn's checksum."""
    for match in CARD.finditer(window):
        digits = re.sub(rb"\D", b"", match[0]).decode()
        if ISSUERS.fullmatch(digits) and is_luhn(digits):
            yield match.span()


def is_luhn(digits: str) -> bool:
    """Whether the last digit is Luhn's checksum of the others."""
    doubled = (int(d) * (1 + i % 2) for i, d in enumerate(reversed(digits)))
    return sum(d // 10 + d % 10 for d in doubled) % 10 == 0


MAIL, NUMBER, ADDRESS = 1, 2, 4
KINDS = {
    "email": (emails, MAIL),
    "ip": (ips, ADDRESS),
    "id": (ids, NUMBER),
    "card": (cards, NUMBER),
    "phone": (phones, NUMBER),
}
"""Every kind and its sort, those first that win where two patterns overlap."""
MIN_DIGITS = 7
"""Fewest digits of a NUMBER."""


def digits_in(window: bytes) -> int:
    """How many ASCII digits there are."""
    return len(window) - len(window.translate(None, b"0123456789"))
