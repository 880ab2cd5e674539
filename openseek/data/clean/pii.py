"""Personal data out of texts: mail and IP addresses, phone numbers, Chinese resident ids, bank cards."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

from openseek.data.transform import Transform

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["email", "ip", "id", "card", "phone"]


@dataclasses.dataclass(frozen=True)
class MaskPII(Transform):
    """Put a constant in place of what identifies a person; `meta` counts them under "masked", values are not kept.

    Mail and IP addresses become ones that are reserved for documentation, so that text stays as people write it; no
    number is reserved for the others, which become tags. Masked text is left as it is by a second pass.
    """

    except_sources: tuple[str, ...] = ("code", "math")
    """No document of these sources: long numbers are content there."""
    kinds: tuple[Kind, ...] = ("email", "ip", "id", "phone")
    """What to mask; `card` (16 to 19 digits of a known issuer, Luhn's checksum) is left out unless named."""
    email: str = "email@example.com"
    """In place of a mail address."""
    ipv4: str = "192.0.2.1"
    """In place of a public IPv4 address; private, reserved and documentation addresses stay."""
    ipv6: str = "2001:db8::1"
    """In place of a public IPv6 address."""
    id: str = "<ID>"
    """In place of a Chinese resident id with a valid region, date and checksum."""
    card: str = "<CARD>"
    """In place of a bank card's number."""
    phone: str = "<PHONE>"
    """In place of a phone number."""

    def __post_init__(self) -> None:
        known = ("email", "ip", "id", "card", "phone")
        if unknown := [kind for kind in self.kinds if kind not in known]:
            raise ValueError(f"pii.kinds holds {unknown[0]!r}: use {', '.join(known)}")

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch with personal data masked."""
        import numpy as np

        from openseek.data.clean.pii_kernels import windows
        from openseek.data.masking import hide

        rows = np.flatnonzero(self.within(batch))
        spans = []
        for row, base, window, sorts in windows(batch.column("text"), rows) if len(rows) else ():
            spans += [(row, base + a, base + b, kind, token) for a, b, kind, token in self.found(window, sorts)]
        return hide(batch, spans)

    def found(self, window: bytes, sorts: int = -1) -> list[tuple[int, int, str, str]]:
        """(start, stop, kind, token) of what is masked in UTF-8 bytes, in order, without overlaps.

        `sorts` says what there can be: bits of pii_patterns.MAIL, NUMBER and ADDRESS.
        """
        from openseek.data.clean.pii_patterns import KINDS

        taken: list[tuple[int, int, str, str]] = []
        for kind, (spans, sort) in KINDS.items():
            if kind not in self.kinds or not sort & sorts:
                continue
            for start, stop in spans(window):
                if all(stop <= a or start >= b for a, b, _, _ in taken):
                    taken.append((start, stop, kind, self._token(kind, window[start:stop])))
        return sorted(taken)

    def _token(self, kind: str, value: bytes) -> str:
        if kind == "ip":
            return self.ipv6 if b":" in value else self.ipv4
        return getattr(self, kind)
