"""Personal data goes, what looks like it stays, in English and in Chinese without spaces."""

import json
import random

import numpy as np
import pyarrow as pa
import pytest

from openseek.data.clean import pii_kernels, pii_patterns
from openseek.data.clean.pii import MaskPII
from openseek.data.clean.pii_patterns import id_check, is_luhn

MAIL, V4, V6, ID, CARD, PHONE = "email@example.com", "192.0.2.1", "2001:db8::1", "<ID>", "<CARD>", "<PHONE>"
BODY = "11010119900307867"
RESIDENT = BODY + id_check(BODY)
POSITIVE = [
    ("Write to jane.doe+news@mail.company.co.uk today.", f"Write to {MAIL} today."),
    ("联系邮箱zhang_san@163.com或致电", f"联系邮箱{MAIL}或致电"),
    ("<a.b@c-d.org>", f"<{MAIL}>"),
    ("a@qq.com,b@qq.com", f"{MAIL},{MAIL}"),
    ("mailto:info@firma.de.", f"mailto:{MAIL}."),
    ("X@Y.IO", MAIL),
    ("邮件：ceo@公司.com 和 hr@gongsi.cn。", f"邮件：ceo@公司.com 和 {MAIL}。"),
    ("from 93.184.216.34 port 22", f"from {V4} port 22"),
    ("服务器地址是203.208.60.1。", f"服务器地址是{V4}。"),
    ("http://93.184.216.34/index", f"http://{V4}/index"),
    ("93.184.216.34:8080", f"{V4}:8080"),
    ("(185.199.108.153)", f"({V4})"),
    ("93.184.216.0/24", f"{V4}/24"),
    ("host 2606:2800:220:1:248:1893:25c8:1946 up", f"host {V6} up"),
    ("[2a00:1450:4001:81b::200e]:443", f"[{V6}]:443"),
    ("地址2400:3200::1可用", f"地址{V6}可用"),
    ("手机13812345678", f"手机{PHONE}"),
    ("tel:13812345678", f"tel:{PHONE}"),
    ("请拨打138-1234-5678咨询", f"请拨打{PHONE}咨询"),
    ("电话：138 1234 5678。", f"电话：{PHONE}。"),
    ("+86 13912345678", PHONE),
    ("+86-139-1234-5678", PHONE),
    ("008613912345678", PHONE),
    ("微信同号19912345678，王先生", f"微信同号{PHONE}，王先生"),
    ("13812345678,15912345678", f"{PHONE},{PHONE}"),
    ("13812345678/15912345678", f"{PHONE}/{PHONE}"),
    ("电话010-62781234转", f"电话{PHONE}转"),
    ("传真：(0755)26712345", f"传真：{PHONE}"),
    ("热线（021）62345678。", f"热线{PHONE}。"),
    ("0571 87654321", PHONE),
    ("+86 10 62781234", PHONE),
    ("Call (212) 664-7665 now", f"Call {PHONE} now"),
    ("212-664-7665", PHONE),
    ("+1 415.726.2671", PHONE),
    ("1-650-253-0000", PHONE),
    ("Tel: 415 726 2671", f"Tel: {PHONE}"),
    ("+44 20 7946 0958", PHONE),
    ("+49 (30) 901820", PHONE),
    ("+33 6 12 34 56 78!", f"{PHONE}!"),
    ("+91-98765-43210", PHONE),
    ("+6591234567", PHONE),
    (f"身份证号{RESIDENT}，", f"身份证号{ID}，"),
    (f"id {RESIDENT}.", f"id {ID}."),
    ("身份证110101900307867号", f"身份证{ID}号"),
]
NEGATIVE = [
    "user@localhost and user@host",
    "email@example.com, a@test.example.org",
    "git@github.com:owner/name.git",
    "icon@2x.png sprite@3x.webp",
    "@decorator.call and @handle",
    "a @ b.com, x@y.z",
    "10.0.0.1 172.16.5.4 192.168.1.1 127.0.0.1",
    "192.0.2.44 198.51.100.7 203.0.113.9",
    "255.255.255.0 0.0.0.0 224.0.0.251",
    "version 12.10.33.14 of it",
    "v10.12.14.16",
    "版本号：12.10.33.14",
    "Firefox/38.22.11.10",
    "see section 12.3.14.1",
    "第12.3.14.1节",
    "1.2.3.4.5 and 2.3.1.4",
    "10.0.19041.1 and 300.1.2.300",
    "std::find and a::b::c",
    "at 12:30:45 and 10:20:30:40",
    "00:1a:2b:3c:4d:5e",
    "fe80::1 ::1 2001:db8::8a2e:370:7334",
    "圆周率3.1415926535897932",
    "编号2138123456789",
    "产量1381234567吨",
    "ab13812345678 13812345678ab",
    "id=13812345678&x",
    "12812345678 不是号码",
    "0.13812345678",
    "13812345678.5",
    "2023-10-12 2024-01-01",
    "20231012 10:11:12",
    "1990-2000年，1234-5678",
    "ISBN 978-7-111-40701-0",
    "ISBN 9787111407010",
    "1 000 000 000 and 12,345,678,901",
    "+1 000 000",
    "x+12345678901 and 5+1234567",
    "timestamps 1700000000 and 1700000000000",
    "pi is 3.14159 26535 89793",
    "212-555-0123",
    "400-123-4567890123",
    "order 1234567890123456",
    BODY + ("0" if id_check(BODY) != "0" else "1"),
    "110101199013078670 110101199002308670",
    "991011990030786",
    "12345678901234567890",
    "<PHONE> <ID> 192.0.2.1 2001:db8::1",
]


def mask(documents, text: str, **fields) -> tuple[str, dict]:
    batch = MaskPII(**fields)(documents(["before", text, "after"]))
    before, found, after = batch["text"].to_pylist()
    assert (before, after) == ("before", "after")
    meta = batch["meta"].to_pylist()[1]
    return found, json.loads(meta) if meta else {}


@pytest.mark.parametrize(("text", "expected"), POSITIVE)
def test_masked(documents, text: str, expected: str) -> None:
    found, meta = mask(documents, text)
    assert found == expected
    assert sum(meta["masked"].values()) == sum(map(expected.count, (MAIL, V4, V6, ID, PHONE)))
    assert mask(documents, found) == (found, {})


@pytest.mark.parametrize("text", NEGATIVE)
def test_stays(documents, text: str) -> None:
    assert mask(documents, text) == (text, {})


def test_the_tables_are_as_long_as_they_claim() -> None:
    assert len(POSITIVE) >= 40 and len(NEGATIVE) >= 40


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4111 1111 1111 1111", CARD),
        ("卡号6222020000000000000", f"卡号{CARD}"),
        ("卡号6222020000000000001", "卡号6222020000000000001"),
        ("5500-0000-0000-0004.", f"{CARD}."),
        ("378282246310005", CARD),
        ("4111 1111 1111 1112", "4111 1111 1111 1112"),
        ("1234567812345670", "1234567812345670"),
    ],
)
def test_cards(documents, text: str, expected: str) -> None:
    assert mask(documents, text, kinds=("card",))[0] == expected
    assert mask(documents, text)[0] == text


def test_checksums() -> None:
    assert is_luhn("4111111111111111") and not is_luhn("4111111111111112")
    assert id_check("11010519491231002") == "X"


def test_a_lost_checksum_is_noticed(documents, monkeypatch) -> None:
    """Control: without the checksum the table of what stays fails."""
    wrong = next(text for text in NEGATIVE if text.startswith(BODY))
    monkeypatch.setattr(pii_patterns, "id_check", lambda digits: wrong[-1])
    assert mask(documents, wrong)[0] == ID


def test_many_in_one_document_and_across_rows(documents) -> None:
    text = "中文" * 300 + "a@b.cn" + "。电话13812345678，" * 500
    batch = MaskPII()(documents([text, "x@y.com", text]))
    expected = "中文" * 300 + MAIL + f"。电话{PHONE}，" * 500
    assert batch["text"].to_pylist() == [expected, MAIL, expected]
    assert json.loads(batch["meta"][0].as_py()) == {"masked": {"email": 1, "phone": 500}}


def test_a_slice_of_a_batch(documents) -> None:
    batch = documents(["a@b.cn", "c@d.cn 13812345678", "e@f.cn"]).slice(1, 1)
    assert MaskPII()(batch)["text"].to_pylist() == [f"{MAIL} {PHONE}"]


def test_scope_kinds_and_tokens(documents) -> None:
    assert MaskPII()(documents(["a@b.cn"], source="code"))["text"].to_pylist() == ["a@b.cn"]
    assert mask(documents, "a@b.cn 13812345678", kinds=("phone",), phone="号码")[0] == "a@b.cn 号码"
    with pytest.raises(ValueError, match="pii.kinds holds 'fax'"):
        MaskPII(kinds=("fax",))  # type: ignore[arg-type]


PIECES = (
    *"0123456789+-.:()（）ax省,", "  ", " - ", ") ", "138", "1234", "010", "62345678", "+86", "0086", "415",
    "192.168.", "2001:", "::1", "@x.io", "4111 ", "110101199003078670",
)  # fmt: skip


def test_the_windows_hold_all_that_the_patterns_find(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers pieced together at random, all kinds looked for; a scan that misses one sort of number must show."""
    draw = random.Random(5)
    texts = ["".join(draw.choices(PIECES, k=draw.randint(1, 12))) for _ in range(40_000)]
    samples = [text for text, _ in POSITIVE]
    texts += [draw.choice(PIECES) + draw.choice(samples) + draw.choice(PIECES) for _ in range(10_000)]
    step = MaskPII(kinds=("email", "ip", "id", "card", "phone"))
    column = pa.array(texts, pa.large_string())
    whole = [len(step.found(text.encode())) for text in texts]
    assert sum(map(bool, whole)) > 5000

    def missed() -> int:
        found = np.zeros(len(texts), np.int64)
        for row, _, window, sorts in pii_kernels.windows(column, np.arange(len(texts))):
            found[row] += len(step.found(window, sorts))
        return int((found != whole).sum())

    assert missed() == 0
    # A scan that overlooks numbers where nothing else stands beside them.
    scan = pii_kernels.windows
    monkeypatch.setattr(
        pii_kernels, "windows", lambda c, rows: [w for w in scan(c, rows) if w[3] != pii_patterns.NUMBER]
    )
    assert missed() > 0
