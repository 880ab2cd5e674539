"""Secrets in source code go, and what only looks random stays. The secrets are made up here, piece by piece."""

import json
import random
import string

import pytest

from openseek.data.clean.credentials import MaskSecrets, entropy

RNG = random.Random(7)
LETTERS = string.ascii_letters + string.digits


def drawn(size: int, alphabet: str = LETTERS) -> str:
    return "".join(RNG.choices(alphabet, k=size))


UPPER = "ABCDEFGHJKMNPQRSUVWYZ234567"
KEY = "\n".join(drawn(64) for _ in range(4))
POSITIVE = [
    ("aws_key", "AKIA" + drawn(16, UPPER)),
    ("github_token", "ghp_" + drawn(36)),
    ("github_token", "github_pat_" + drawn(22) + "_" + drawn(59)),
    ("gitlab_token", "glpat-" + drawn(20)),
    ("slack_token", "xoxb-" + drawn(12, string.digits) + "-" + drawn(24)),
    ("google_key", "AIza" + drawn(35)),
    ("openai_key", "sk-" + drawn(48)),
    ("openai_key", "sk-proj-" + drawn(48)),
    ("hf_token", "hf_" + drawn(34, string.ascii_letters)),
    ("stripe_key", "sk_live_" + drawn(24)),
    ("jwt", f"eyJ{drawn(30)}.eyJ{drawn(60)}.{drawn(43)}"),
]
ASSIGNED = [
    'password = "{}"', "api_key: '{}'", 'SECRET_KEY="{}"', '"client_secret": "{}",', "const apiKey = '{}';",
    "export AWS_SECRET_ACCESS_KEY={}", "db_passwd = '{}'", "auth_token: {}",
]  # fmt: skip
NEGATIVE = [
    'password = "your-password-here"',
    'password = os.environ["DB_PASSWORD"]',
    'api_key = "<YOUR_API_KEY>"',
    "password: ${DB_PASSWORD}",
    'password = ""',
    'secret = "changeme123"',
    "def reset_password(user_name, new_password): pass",
    "password = get_password_from_keyring()",
    'api_key = "config.settings.value"',
    f'"integrity": "sha512-{drawn(86)}=="',
    f"sha256: {drawn(64, '0123456789abcdef')}",
    f"commit {drawn(40, '0123456789abcdef')}",
    'id = "123e4567-e89b-12d3-a456-426614174000"',
    'secret = "123e4567-e89b-12d3-a456-426614174000"',
    "http://user:password@host/",
    "http://localhost:8080/@scope/package",
    "postgres://{user}:{password}@{host}/db",
    "AKIAIOSFODNN7EXAMPLE",
    "task-" + "a" * 40,
    "-----BEGIN CERTIFICATE-----\n" + KEY + "\n-----END CERTIFICATE-----",
    "ssh-rsa " + drawn(200),
    "password = 'aaaaaaaaaaaa'",
    "token = tokenizer.next_token()",
]


def mask(documents, text: str, **fields) -> tuple[str, dict]:
    batch = MaskSecrets(**fields)(documents(["x = 1", text], source="code"))
    meta = batch["meta"][1].as_py()
    return batch["text"][1].as_py(), json.loads(meta)["masked"] if meta else {}


@pytest.mark.parametrize(("kind", "token"), POSITIVE)
def test_tokens(documents, kind: str, token: str) -> None:
    text = "# 注释\nheaders = '{}'\nx = 1\n"
    assert mask(documents, text.format(token)) == (text.format("<SECRET>"), {kind: 1})
    assert mask(documents, text.format("<SECRET>"))[1] == {}


@pytest.mark.parametrize("form", ASSIGNED)
def test_assignments(documents, form: str) -> None:
    text = form.format("k7Gq" + "/9xT2+vB" + "nE4wRz8J")
    assert mask(documents, text + "\n") == (form.format("<SECRET>") + "\n", {"password": 1})


def test_passwords_in_urls(documents) -> None:
    text = "db = 'postgres://admin:h7Gk29xq@db.internal:5432/main'"
    assert mask(documents, text) == ("db = 'postgres://admin:<SECRET>@db.internal:5432/main'", {"url_password": 1})


@pytest.mark.parametrize("kind", ["RSA PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY"])
def test_private_keys_keep_their_lines(documents, kind: str) -> None:
    text = f'KEY = """-----BEGIN {kind}-----\n{KEY}\n-----END {kind}-----"""\n'
    found, counts = mask(documents, text)
    assert counts == {"private_key": 1}
    assert found.count("\n") == text.count("\n") and found.count("<SECRET>") == 4
    assert not any(line in found for line in KEY.split("\n"))


@pytest.mark.parametrize("text", NEGATIVE)
def test_stays(documents, text: str) -> None:
    assert mask(documents, text) == (text, {})


def test_lost_entropy_test_is_noticed(documents) -> None:
    """Control: what looks like a value but not like a secret is told apart by entropy alone."""
    text = 'password = "Ab1Ab1Ab1bbb1c"'
    assert mask(documents, text) == (text, {})
    assert mask(documents, text, min_entropy=1.0)[1] == {"password": 1}


def test_scope_and_entropy(documents) -> None:
    token = "ghp_" + drawn(36)
    web = documents([token])
    assert MaskSecrets()(web).equals(web)
    assert entropy(b"abcd") == 2.0 and entropy(b"") == 0
    with pytest.raises(ValueError, match="min_entropy 9"):
        MaskSecrets(min_entropy=9)
