"""A wrong field is refused with its name, value and remedy; no message repeats a secret."""

import dataclasses
from typing import Any

import pytest

from openseek.artifact import canonical, fingerprint
from openseek.synthesis.config import Synthesize

URL: dict[str, Any] = {"base_url": "http://host:8000/v1", "model": "m"}


@pytest.mark.parametrize(
    "fields, told",
    [
        ({"recipes": ()}, "name each wanted recipe once"),
        ({"recipes": ("diverse_qa", "diverse_qa")}, "name each wanted recipe once"),
        ({"recipes": ("haiku",)}, "'haiku': choose from"),
        ({"lang": "zh"}, "synthesize.lang is 'zh'"),
        ({"num_documents": 0}, "num_documents is 0"),
        ({"max_tokens": -1}, "max_tokens is -1"),
        ({"min_chars": 10, "max_chars": 5}, "max_chars is 5: it must be at least min_chars"),
        ({"temperature": 3.0}, "temperature is 3.0: use 0 to 2"),
        ({"top_p": 0.0}, "top_p is 0.0"),
        ({"top_p": 1.5}, "top_p is 1.5"),
        ({"frequency_penalty": 3.0}, "frequency_penalty is 3.0"),
        ({"timeout_seconds": 0.0}, "timeout_seconds is 0.0"),
        ({"backoff_seconds": -1.0}, "backoff_seconds is -1.0"),
        ({"max_failed_fraction": 1.1}, "max_failed_fraction is 1.1"),
        ({"model": "m"}, "set base_url too"),
        ({"api_key_env": "KEY"}, "set base_url too"),
        ({"passage_chars": 20_000}, "local server has 4096: lower"),
        (URL | {"model": ""}, "model is empty"),
        (URL | {"base_url": "host:8000"}, "write it like http"),
        (URL | {"base_url": "http://host/v1?key=1"}, "write it like http"),
        (URL | {"model_file": "m.gguf"}, "model_file is for the local server"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Synthesize(**fields)


@pytest.mark.parametrize("url", ["http://me:hunter2@host/v1", "http://hunter2@host/v1?x", "me:hunter2@host/v1"])
def test_a_password_in_the_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="base_url") as told:
        Synthesize(base_url=url, model="m")
    assert "hunter2" not in str(told.value)


def test_where_and_how_patiently_is_no_part_of_the_fingerprint() -> None:
    here = Synthesize(**URL)
    there = dataclasses.replace(here, base_url="https://other/v1", api_key_env="KEY", concurrency=3, max_attempts=1)
    assert fingerprint("synthesize", 1, {}, here) == fingerprint("synthesize", 1, {}, there)
    assert canonical(here) != canonical(dataclasses.replace(here, seed=1))
    assert canonical(here) != canonical(dataclasses.replace(here, model="n"))
