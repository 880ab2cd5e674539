"""What pretraining counts as a target, and its held-out losses by source."""

import dataclasses
import json
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from openseek.model.config import ModelConfig
from openseek.model.transformer import Transformer
from openseek.parallel.dims import Ranks
from openseek.train.loader import PADDING, Loader
from openseek.train.pretrain import Pretrain, by_source, source_losses, token_losses

SHAPE = ModelConfig(vocab_size=64, hidden_size=32, num_hidden_layers=2, kv_lora_rank=16, intermediate_size=48)
ONE = Ranks(0, 1, torch.device("cpu"), None)


@pytest.fixture(scope="module")
def model() -> Transformer:
    torch.manual_seed(0)
    return Transformer(dataclasses.replace(SHAPE, initializer_range=0.2)).eval()


def test_a_packed_window_costs_what_its_documents_cost_alone(model, make_mixture):
    mixture = make_mixture()
    sizes: dict[str, Any] = {
        "sequence_length": 40,
        "global_batch_size": 6,
        "micro_batch_size": 6,
        "num_steps": 5,
        "seed": 0,
    }
    batches = [Loader(mixture, ranks=ONE, **sizes)(step)[0] for step in range(5)]
    batch = next(batch for batch in batches if (batch["documents"] == PADDING).any())
    losses, _ = token_losses(model, batch, separate_documents=True)
    total, count = 0.0, 0
    for ids, documents in zip(batch["ids"], batch["documents"], strict=True):
        for number in range(int(documents.max()) + 1):
            document = ids[documents == number][None]
            if document.shape[1] > 1:
                logits = model(document[:, :-1]).logits_BTV
                total += F.cross_entropy(logits[0], document[0, 1:], reduction="sum").item()
                count += document.shape[1] - 1
    assert losses.main_tokens.item() == count
    assert losses.main.item() == pytest.approx(total, rel=1e-4)
    unmarked = {**batch, "documents": batch["documents"].abs() * 0}
    assert token_losses(model, unmarked, True)[0].main.item() != pytest.approx(total, rel=1e-2)


def test_sources_are_measured_by_themselves_at_their_times(model, make_mixture):
    mixture = make_mixture()
    path = mixture / "mixture.json"
    config = Pretrain(sequence_length=16, heldout_evaluations=3, heldout_source_sequences=4, micro_batch_size=2)
    assert source_losses(model, mixture, config, 10, ONE)(10) == {}
    content = json.loads(path.read_text())
    held = [{"prefixes": e["prefixes"], "tokens": e["tokens"], "bytes": 3 * e["tokens"]} for e in content["entries"]]
    content["heldout"]["sources"] = {"a": held[0], "b#low": held[1]}
    path.write_text(json.dumps(content))
    evaluate = source_losses(model, mixture, config, 10, ONE)
    assert [step for step in range(1, 11) if evaluate(step)] == [4, 7, 10]
    values = evaluate(4)
    assert values.keys() == {f"heldout_{kind}/{name}" for kind in ("loss", "bits_per_byte") for name in ("a", "b#low")}
    assert values["heldout_loss/a"] != values["heldout_loss/b#low"]
    facts = by_source({**values, "loss": 1.0})
    assert facts["loss"] == 1.0
    assert facts["heldout_losses"] == {"a": values["heldout_loss/a"], "b#low": values["heldout_loss/b#low"]}
    assert facts["heldout_bits_per_byte"]["a"] == pytest.approx(values["heldout_loss/a"] / math.log(2) / 3)
    assert not model.training


@pytest.mark.parametrize(
    "values, message",
    [
        ({"packing": "first_fit"}, "packing='first_fit': use best_fit or concatenate"),
        ({"separate_documents": False}, "use packing=concatenate"),
        ({"heldout_evaluations": 0}, "heldout_evaluations=0 must be at least 1"),
        ({"heldout_source_sequences": -1}, "heldout_source_sequences=-1 must not be negative"),
    ],
)
def test_wrong_fields_are_named(values, message):
    with pytest.raises(ValueError, match=message):
        Pretrain(**values)
