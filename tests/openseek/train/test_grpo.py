import dataclasses
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from tokenizers import Tokenizer

from openseek.inference.sampling import Sampling
from openseek.model.hf import load_checkpoint
from openseek.model.moe import routers, update_router_bias
from openseek.parallel.dims import ParallelDims, Ranks
from openseek.rl.problems import read_problems
from openseek.rl.rollout import RewardTerm
from openseek.train.grpo import GRPO, Rollouts, frozen_router_bias, reinforce
from openseek.train.loop import Fit
from openseek.train.schedule import Schedule
from openseek.train.sft import SFT, finetune


def constant(steps: int, rate: float) -> Fit:
    schedule = Schedule(kind="constant", peak=rate, warmup_steps=5)
    return Fit(num_steps=steps, schedule=schedule, weight_decay=0.0)


CONFIG = GRPO(
    fit=constant(60, 1e-3),
    sampling=Sampling(max_new_tokens=4),
    heldout_fraction=0.25,
    heldout_samples=8,
)


@pytest.fixture(scope="module")
def warm(arithmetic, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that answers right sometimes: a short fine-tuning on the task's chat rows."""
    out = tmp_path_factory.mktemp("sft")
    config = SFT(fit=constant(60, 2e-3), epochs=0, sequence_length=128, global_batch_size=4, train_mtp=False)
    finetune(out, arithmetic.checkpoint, arithmetic.chats, config)
    return out


@pytest.mark.parametrize("seed", range(3))
def test_reward_rises_on_held_out_problems(arithmetic, warm: Path, tmp_path: Path, seed: int) -> None:
    facts = reinforce(tmp_path, warm, arithmetic.problems, dataclasses.replace(CONFIG, seed=seed))
    low, high = facts["reward_change_interval"]
    assert 0.1 < facts["reward_before"] < 0.7
    assert low > 0, facts
    assert facts["reward_after"] - facts["reward_before"] == pytest.approx(facts["reward_change"], abs=1e-5)
    assert low < facts["reward_change"] < high
    assert facts["rows_in"] == facts["rows_out"] == facts["problems_trained_on"] + facts["problems_held_out"]
    records = pq.read_table(tmp_path / "data" / "00000.parquet").to_pylist()
    assert len(records) == 2 * 8 * facts["problems_held_out"]
    first = json.loads((tmp_path / "metrics" / "rank00000.jsonl").read_text().splitlines()[0])
    assert first.keys() >= {"reward", "frac_zero_std", "entropy", "clip_fraction", "length", "truncated", "logprob_gap"}


@pytest.mark.parametrize("seed", range(3))
def test_without_advantages_nothing_rises(arithmetic, warm: Path, tmp_path: Path, seed: int) -> None:
    config = dataclasses.replace(CONFIG, seed=seed, advantage="none", fit=constant(10, 1e-3))
    facts = reinforce(tmp_path, warm, arithmetic.problems, config)
    assert facts["reward_change_interval"][0] <= 0
    before = load_checkpoint(warm / "checkpoint").state_dict()
    after = load_checkpoint(tmp_path / "checkpoint").state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items()), "the weights stay as they were"


def rollouts_of(arithmetic, warm: Path, config: GRPO, rank: int = 0, world_size: int = 1) -> Rollouts:
    tokenizer = Tokenizer.from_file(str(warm / "checkpoint" / "tokenizer.json"))
    prompts = read_problems(arithmetic.problems, tokenizer, 100).prompts
    ranks = Ranks(rank, world_size, torch.device("cpu"), None)
    model = load_checkpoint(warm / "checkpoint")
    return Rollouts(model, prompts, config, ranks, decode=tokenizer.decode, stop_ids=frozenset({0, 3}))


def test_a_steps_rollouts_are_a_function_of_the_step_and_every_problem_comes_up(arithmetic, warm: Path) -> None:
    rollouts = rollouts_of(arithmetic, warm, CONFIG)
    first, again = rollouts(2), rollouts(2)
    assert all(torch.equal(a[k], b[k]) for a, b in zip(first, again, strict=True) for k in a)
    count = len(rollouts.prompts)
    seen = [p.id for step in range(count) for p in rollouts.chosen(step)]
    assert sorted(seen) == sorted([p.id for p in rollouts.prompts] * CONFIG.prompts_per_step)


def test_steps_in_which_nothing_can_be_learned_end_the_run(arithmetic, warm: Path) -> None:
    config = dataclasses.replace(CONFIG, rewards=(RewardTerm("format"),), patience=3)
    rollouts = rollouts_of(arithmetic, warm, config)
    rollouts(0)
    rollouts(1)
    with pytest.raises(ValueError, match="for 3 steps all samples of each problem got the same reward"):
        rollouts(2)


def test_the_router_bias_is_frozen_and_comes_back(warm: Path) -> None:
    model = load_checkpoint(warm / "checkpoint").train()
    before = [router.e_score_correction_bias.clone() for router in routers(model)]
    with frozen_router_bias(model):
        model(torch.randint(0, 50, (2, 20)))
        update_router_bias(model)
        assert all(torch.equal(a, r.e_score_correction_bias) for a, r in zip(before, routers(model), strict=True))
    model(torch.randint(0, 50, (2, 20)))
    update_router_bias(model)
    assert any(not torch.equal(a, r.e_score_correction_bias) for a, r in zip(before, routers(model), strict=True))


def test_too_few_problems_are_refused(arithmetic, warm: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needed are prompts_per_step=1000"):
        reinforce(tmp_path, warm, arithmetic.problems, dataclasses.replace(CONFIG, prompts_per_step=1000))


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"group_size": 1}, "group_size=1 compares nothing"),
        ({"sampling": Sampling(temperature=0)}, "temperature above 0"),
        ({"sampling": Sampling(top_p=0.9)}, "top_p=1"),
        ({"rewards": ()}, "rewards is empty"),
        ({"clip_low": -0.1}, "clip_low=-0.1"),
        ({"heldout_fraction": 1.0}, "heldout_fraction=1.0"),
        ({"advantage": "ppo"}, "advantage='ppo'"),
        ({"prompts_per_step": 3, "fit": Fit(parallel=ParallelDims(dp=2))}, "prompts_per_step=3"),
    ],
)
def test_settings_out_of_range_name_the_field(changes: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        GRPO(**changes)


def post_train(out: Path, checkpoint: Path, chats: Path, problems: Path, sft: SFT, rl: GRPO) -> dict:
    """Both methods on every rank: three steps each."""
    tuned = finetune(out / "sft", checkpoint, chats, sft)
    return {"sft": tuned, "rl": reinforce(out / "rl", checkpoint, problems, rl)}


def test_two_ranks_equal_one(arithmetic, warm: Path, tmp_path: Path) -> None:
    from tasks.launch import on_ranks
    from tasks.where import Executor, Where, using

    inputs = {"checkpoint": warm, "chats": arithmetic.chats, "problems": arithmetic.problems}
    facts = {}
    for dp in (1, 2):
        fit = dataclasses.replace(constant(3, 1e-3), parallel=ParallelDims(dp=dp))
        sft = SFT(fit=fit, epochs=0, sequence_length=128, global_batch_size=4, micro_batch_size=3)
        rl = dataclasses.replace(CONFIG, fit=fit, micro_batch_size=7, kl_coefficient=0.01)
        out = tmp_path / f"{dp}"
        out.mkdir()
        with using(Where(root=tmp_path, executor=Executor(kind="inline" if dp == 1 else "local"))):
            facts[dp] = on_ranks(post_train, fit.parallel, out=out, sft=sft, rl=rl, **inputs)
    # Entropy, lengths and divergence are means of the ranks' means, so they agree only roughly.
    for method, names in (("sft", ("loss", "mtp_loss")), ("rl", ("loss", "reward", "frac_zero_std"))):
        files = [tmp_path / dp / method / "metrics" / "rank00000.jsonl" for dp in ("1", "2")]
        for one, two in zip(*([json.loads(x) for x in f.read_text().splitlines()] for f in files), strict=True):
            for name in (*names, "grad_norm"):
                assert two[name] == pytest.approx(one[name], rel=2e-3, abs=1e-5), (method, name)
    assert facts[1]["rl"]["reward_before"] == facts[2]["rl"]["reward_before"]
    assert facts[1]["rl"]["reward_after"] == pytest.approx(facts[2]["rl"]["reward_after"], abs=0.02)
    assert (tmp_path / "2" / "rl" / "metrics" / "rank00001.jsonl").exists()
