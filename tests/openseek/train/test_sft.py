import dataclasses
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from openseek.model.hf import load_checkpoint
from openseek.parallel.dims import Ranks
from openseek.train.loop import Fit
from openseek.train.packing import best_fit
from openseek.train.schedule import Schedule
from openseek.train.sft import SFT, SourceEpochs, finetune, make_batches, packed, read_rows, repeated, supervised_loss

ALONE = Ranks(0, 1, torch.device("cpu"), None)
CONFIG = SFT(sequence_length=96, global_batch_size=4, micro_batch_size=3)


@pytest.fixture(scope="module")
def tokenizer(arithmetic) -> Tokenizer:
    return Tokenizer.from_file(str(arithmetic.checkpoint / "checkpoint" / "tokenizer.json"))


@pytest.fixture(scope="module")
def rows(arithmetic, tokenizer: Tokenizer):
    return read_rows(arithmetic.chats, tokenizer, CONFIG)[0][:40]


@pytest.fixture
def model(arithmetic):
    return load_checkpoint(arithmetic.checkpoint / "checkpoint").train()


def separate_losses(model, rows) -> list[float]:
    """Summed cross-entropy of each row's supervised tokens, one forward pass a row."""
    losses = []
    for row in rows:
        ids = torch.tensor([row.ids])
        logits = model(ids).logits_BTV[0, :-1]
        learned = torch.tensor(row.supervised[1:])
        losses.append(float(F.cross_entropy(logits[learned], ids[0, 1:][learned], reduction="sum")))
    return losses


def test_packed_loss_is_the_loss_of_the_rows_alone(model, rows) -> None:
    bins = best_fit([len(row.ids) for row in rows], 96)
    assert max(map(len, bins)) > 1
    batch = {**packed(rows, bins, 96), "scale": torch.tensor(1.0)}
    with torch.no_grad():
        loss, metrics = supervised_loss(model, batch)
        expected = separate_losses(model, rows)
        one_document = {**batch, "documents": batch["documents"].clamp(max=0)}
        leaking = supervised_loss(model, one_document)[1]["supervised_loss"]
    assert float(metrics["supervised_loss"]) == pytest.approx(sum(expected), rel=1e-5)
    assert float(loss) > float(metrics["supervised_loss"]), "MTP and balance losses are part of the objective"
    # Control: without the document mask the packed loss is another.
    assert float(leaking) != pytest.approx(sum(expected), rel=1e-3)


def test_only_the_assistants_tokens_are_learned(rows, tokenizer: Tokenizer) -> None:
    for row in rows:
        learned = [i for i, s in zip(row.ids, row.supervised, strict=True) if s]
        assert tokenizer.decode(learned, skip_special_tokens=False).endswith("<|im_end|>")
        assert tokenizer.decode(learned).isdigit()


@pytest.mark.parametrize("world_size, micro_batch_size", [(1, 4), (1, 3), (2, 1), (4, 1)])
def test_a_steps_loss_is_one_mean_over_its_tokens_however_it_is_cut(model, rows, world_size, micro_batch_size) -> None:
    bins = best_fit([len(row.ids) for row in rows], 96)
    config = dataclasses.replace(CONFIG, micro_batch_size=micro_batch_size)
    losses = []
    for rank in range(world_size):
        ranks = Ranks(rank, world_size, torch.device("cpu"), None)
        parts = make_batches(rows, bins, config, ranks)(5)
        with torch.no_grad():
            values = [float(supervised_loss(model, part)[1]["supervised_loss"]) for part in parts]
        losses.append(sum(values) / len(values))
    whole = make_batches(rows, bins, dataclasses.replace(CONFIG, micro_batch_size=4), ALONE)(5)[0]
    with torch.no_grad():
        total = supervised_loss(model, {**whole, "scale": torch.tensor(1.0)})[1]["supervised_loss"]
    assert sum(losses) / world_size == pytest.approx(float(total) / int(whole["supervised"].sum()), rel=1e-5)


def test_batches_are_a_function_of_the_step_and_an_epoch_shows_every_row(rows) -> None:
    bins = best_fit([len(row.ids) for row in rows], 96)
    batches = make_batches(rows, bins, CONFIG, ALONE)
    assert all(torch.equal(a[k], b[k]) for a, b in zip(batches(3), batches(3), strict=True) for k in a)
    seen = [batch["supervised"].sum() for step in range(len(bins)) for batch in batches(step)]  # four epochs
    expected = 4 * sum(sum(row.supervised) for row in rows)
    assert int(sum(seen)) == expected


def test_copies_of_a_row_are_spread_and_counted_by_source(rows) -> None:
    other = [dataclasses.replace(row, source="chat", id=f"{i}") for i, row in enumerate(rows)]
    chosen = repeated(rows + other, (SourceEpochs("arithmetic", 2.0), SourceEpochs("chat", 0.25)))
    assert chosen[:40] == rows
    assert [row for row in chosen if row.source == "arithmetic"] == rows * 2
    assert 2 <= sum(row.source == "chat" for row in chosen) <= 18
    with pytest.raises(ValueError, match="mixture names nothing, which has no chat row"):
        repeated(rows, (SourceEpochs("nothing", 1.0),))
    with pytest.raises(ValueError, match="no row to train on"):
        repeated(rows, (SourceEpochs("arithmetic", 0.0),))


USER, ANSWER = {"role": "user", "content": "2 + 2 = ?"}, {"role": "assistant", "content": "4"}


@pytest.mark.parametrize(
    "meta, rule",
    [
        ({"messages": [USER, ANSWER]}, None),
        ({"messages": [{"role": "system", "content": "Be brief."}, USER, ANSWER]}, None),
        ({"messages": [USER, ANSWER, USER]}, None),
        ({"messages": []}, "unreadable"),
        ({}, "unreadable"),
        ({"messages": [{"role": "wizard", "content": "x"}, ANSWER]}, "unreadable"),
        ({"messages": [{"role": "user", "content": None}, ANSWER]}, "unreadable"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}, ANSWER]}, "unreadable"),
        ({"messages": [USER]}, "unsupervised"),
        ({"messages": [{"role": "system", "content": "Be brief."}]}, "unsupervised"),
        ({"messages": [USER, {"role": "assistant", "content": "4" * 200}]}, "overlong"),
    ],
)
def test_rows_that_teach_nothing_are_dropped_with_their_rule(tmp_path: Path, tokenizer, meta: dict, rule) -> None:
    good = {"messages": [USER, ANSWER]}
    rows = [{"id": str(i), "source": "s", "meta": json.dumps(m)} for i, m in enumerate((good, meta))]
    (tmp_path / "data").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "data" / "00000.parquet")
    kept, dropped, read = read_rows(tmp_path, tokenizer, CONFIG)
    assert read == 2
    assert [row["rule"] for row in dropped] == ([rule] if rule else [])
    assert len(kept) == 2 - len(dropped)
    if rule == "overlong":
        cut = read_rows(tmp_path, tokenizer, dataclasses.replace(CONFIG, overlong="truncate"))[0]
        assert [len(row.ids) for row in cut][1] == 96


def test_finetuning_learns_from_chat_rows_and_accounts_for_them(arithmetic, tmp_path: Path) -> None:
    schedule = Schedule(kind="constant", peak=3e-3, warmup_steps=5)
    config = dataclasses.replace(CONFIG, fit=Fit(num_steps=25, schedule=schedule, weight_decay=0.0), epochs=0)
    facts = finetune(tmp_path, arithmetic.checkpoint, arithmetic.chats, config)
    lines = [json.loads(line) for line in (tmp_path / "metrics" / "rank00000.jsonl").read_text().splitlines()]
    assert lines[-1]["supervised_loss"] < 0.5 * lines[0]["supervised_loss"]
    assert facts["rows_in"] == facts["rows_out"] == 428
    assert facts["packing_efficiency"] > 0.9
    before = load_checkpoint(arithmetic.checkpoint / "checkpoint").state_dict()
    after = load_checkpoint(tmp_path / "checkpoint").state_dict()
    assert not torch.equal(before["embed_tokens.weight"], after["embed_tokens.weight"])
    assert not (tmp_path / "resume").exists()
    assert pq.read_table(tmp_path / "dropped" / "00000.parquet").num_rows == 0


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"epochs": -1.0}, "epochs=-1.0"),
        ({"sequence_length": 1}, "sequence_length=1"),
        ({"micro_batch_size": 0}, "micro_batch_size=0"),
        ({"overlong": "split"}, "use drop or truncate"),
        ({"mixture": (SourceEpochs("a", 1.0), SourceEpochs("a", 2.0))}, "a source twice"),
    ],
)
def test_settings_out_of_range_name_the_field(changes: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SFT(**changes)
