"""FlagScale's two-level YAML becomes a recipe, with every key on record, and recipes become such files."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openseek.data.imported_tokens import ImportTokens, TokenFiles
from openseek.data.mixture import Mix
from openseek.data.published_mixtures import PUBLISHED
from openseek.model.presets import PRESETS
from openseek.parallel.dims import ParallelDims
from openseek.recipes import RECIPES, Recipe
from openseek.recipes.flagscale import imported, read_flagscale, write_flagscale
from openseek.recipes.flagscale_keys import ALIASES, IGNORED, known_keys, same_fields
from openseek.recipes.flagscale_model import layer_pattern
from openseek.train.batch_ramp import BatchRamp

EXPERIMENT = """
defaults: [_self_, {train: task}]
experiment:
  exp_name: tiny
  home: ${oc.env:TOKENS_HOME,/data}
  seed: 7
  save_steps: 50
  exp_dir: ${experiment.exp_name}/out
  task: {type: train, backend: megatron, entrypoint: flagscale/train/train_gpt.py}
  runner: {nnodes: 2, nproc_per_node: 4, hostfile: hosts}
  envs: {CUDA_DEVICE_MAX_CONNECTIONS: 1}
action: dryrun
hydra: {run: {dir: "${experiment.exp_dir}/hydra"}}
"""
TASK = """
system:
  tensor_model_parallel_size: 2
  disable_bias_linear: true
  precision: {bf16: true}
  checkpoint: {save_interval: "${experiment.save_steps}"}
model:
  num_layers: 4
  hidden_size: 64
  num_attention_heads: 4
  ffn_hidden_size: 128
  seq_length: 32
  max_position_embeddings: 64
  swiglu: true
  normalization: RMSNorm
  attention_dropout: 0.0
  hidden_dropout: 0.0
  position_embedding_type: rope
  group_query_attention: true
  num_query_groups: 2
  add_qkv_bias: true
  untie_embeddings_and_output_weights: true
  seed: ${experiment.seed}
  micro_batch_size: 1
  global_batch_size: 8
  train_samples: 800
  optimizer:
    lr_scheduler: {lr: 1.0e-3, lr_decay_style: cosine, lr_warmup_samples: 80}
data:
  data_path: [3, "${experiment.home}/web_text_document", 1, "${experiment.home}/code_text_document"]
  split: 1
  tokenizer: {tokenizer_path: tok, vocab_size: 1000}
"""
MODEL = {"attention": "gqa", "num_key_value_heads": 2, "head_dim": 16, "attention_bias": True, "rope_interleave": False}
MIXTURE = (
    "+train.model.multi_latent_attention=true",
    "+train.model.num_experts=8",
    "+train.model.moe_ffn_hidden_size=32",
)
WRITTEN = (
    *("debug", "data_ratio", "ladder", "pt_4t"),
    *("debug_small", "debug_v2_lite", "debug_v3", "debug_aquila", "openseek_16b", "deepseek_v3"),
)
"""Recipes, and shapes of models in a recipe that is empty otherwise."""
PUBLISHED_FILES = {
    "openseek_small_v1": "OpenSeek-Small-v1/config_deepseek_v3_3b_1330B",
    "openseek_small_v1_baseline": "OpenSeek-Small-v1-Baseline/config_deepseek_v3_1_4b",
}


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Any]:
    """Reads the two files above, with overrides."""
    (tmp_path / "train").mkdir()
    (tmp_path / "tiny.yaml").write_text(EXPERIMENT)
    (tmp_path / "train" / "task.yaml").write_text(TASK)
    return lambda *overrides, **options: read_flagscale(tmp_path, "tiny", overrides, **options)


def test_keys_interpolations_and_defaults_become_a_recipe(read: Callable[..., Any]) -> None:
    found = read(parallel="as_dp")
    config = found.recipe.pretrain
    assert {name: getattr(config.model, name) for name in MODEL} == MODEL
    assert (config.model.vocab_size, config.model.tie_word_embeddings, config.model.scaled_init) == (1024, False, True)
    assert (config.model.n_routed_experts, config.model.rms_norm_eps) == (0, 1e-5)
    assert (config.train_tokens, config.warmup_tokens, config.sequence_length) == (800 * 32, 80 * 32, 32)
    assert (config.seed, config.fit.save_every_steps, config.packing) == (7, 50, "concatenate")
    assert (config.fit.schedule.kind, config.fit.schedule.peak, config.fit.schedule.final) == ("cosine", 1e-3, 0.0)
    assert (config.fit.weight_decay, config.fit.beta2, config.separate_documents) == (0.01, 0.999, False)
    assert found.recipe.mix == Mix({"web": 3.0, "code": 1.0}, relative=True, train_tokens=25_600)
    files = (TokenFiles("/data/web_text_document"), TokenFiles("/data/code_text_document"))
    assert found.recipe.import_tokens == ImportTokens(files=files, tokenizer="tok")
    assert found.entries == ((3.0, "/data/web_text_document"), (1.0, "/data/code_text_document"))
    assert (found.name, found.directory, found.action) == ("tiny", "tiny/out", "dryrun")
    assert found.used["experiment.home"] == "other keys refer to it"
    assert found.ignored["experiment.runner.hostfile"]


def test_every_key_is_used_or_ignored_and_none_is_both(read: Callable[..., Any]) -> None:
    found = read("+train.system.recompute_method=uniform", "train.model.num_layers=6")
    assert not found.used.keys() & found.ignored.keys()
    assert found.used["train.model.num_layers"] == "pretrain.model.num_hidden_layers=6"
    assert "computed again" in found.ignored["train.system.recompute_method"]
    paths = {
        "train.model.optimizer.lr_scheduler.lr",
        "train.data.tokenizer.vocab_size",
        "experiment.task.type",
        "action",
    }
    assert paths <= found.used.keys()
    assert all(found.used.values()) and all(found.ignored.values())


def test_each_known_key_finds_its_way_into_the_account(read: Callable[..., Any]) -> None:
    tree = {"experiment": {"runner": {"nproc_per_node": 2}}, "train": _task()}
    given = {leaf for section in tree["train"].values() for leaf in _leaves(section)}
    for key in sorted(known_keys() - given - set(ALIASES) - {"openseek"}):
        task = {**tree["train"], "more": {key: None}}
        found = imported({**tree, "train": task})
        assert f"train.more.{key}" in (found.ignored if key in IGNORED else found.used), key


def _task() -> dict[str, Any]:
    from omegaconf import OmegaConf

    text = TASK.replace('"${experiment.save_steps}"', "1").replace("${experiment.seed}", "1")
    return dict(OmegaConf.to_container(OmegaConf.create(text.replace("${experiment.home}", "/data"))))  # type: ignore[arg-type]


def _leaves(tree: Any) -> set[str]:
    return {leaf for k, v in tree.items() for leaf in (_leaves(v) if isinstance(v, dict) else {k})}


def test_parallel_sizes_are_kept_and_become_dp_only_when_asked(read: Callable[..., Any]) -> None:
    kept = read()
    assert (kept.launch.tp, kept.launch.world_size, kept.launch.dp) == (2, 8, 4)
    assert kept.held_back == ("train.system.tensor_model_parallel_size=2",)
    assert "kept for the launch" in kept.used["train.system.tensor_model_parallel_size"]
    assert kept.recipe.pretrain.fit.parallel == ParallelDims(dp=4)
    assert kept.recipe.pretrain.model.vocab_size == 1024
    asked = read(parallel="as_dp")
    assert asked.held_back == () and asked.recipe.pretrain.fit.parallel == ParallelDims(dp=8)
    with pytest.raises(ValueError, match="8 ranks .* do not divide into tp 2 . pp 3"):
        read("+train.system.pipeline_model_parallel_size=3")


@pytest.mark.parametrize(
    "overrides, message",
    [
        (("+train.model.num_layer=3",), r"train\.model\.num_layer is not known \(did you mean num_layers\?\)"),
        (("+experiment.extra=1",), r"experiment\.extra is not known"),
        (("+experiment.runner.nnode=3",), r"experiment\.runner\.nnode is not known \(did you mean runner.nnodes\?\)"),
        (("~train.model.hidden_size",), "hidden_size is missing"),
        (("~train.model.swiglu",), "swiglu is missing, which means False: .* true can be followed"),
        (("train.model.normalization=LayerNorm",), r"train\.model\.normalization='LayerNorm': the norms are RMS"),
        (("+experiment.load=/old",), r"experiment\.load='/old': .*--checkpoint DIR"),
        (("+train.model.train_iters=100",), "train_samples says the same"),
        (("train.data.data_path=[1,a,b]",), "no weight before a file"),
        (("train.data.data_path=[a,1]",), "a weight before every file"),
        (("+train.system.reset_position_ids=true",), "set reset_attention_mask too"),
        (("train.model.optimizer.lr_scheduler.lr_decay_style=inverse-square-root",), "cosine, linear, constant, WSD"),
        ((*MIXTURE, "+train.model.moe_layer_freq='[0]+[1]*9'"), "it has 10 layers and num_layers is 4"),
        ((*MIXTURE, "+train.model.moe_layer_freq='[1]+[0]*3'"), "dense layers come first"),
        ((*MIXTURE, "+train.model.moe_aux_loss_coeff=0.1"), "seq_aux_loss or none can be followed"),
        ((*MIXTURE, "+train.model.moe_shared_expert_intermediate_size=40"), "a multiple of moe_ffn_hidden_size=32"),
        (("train.model.num_layers=four",), "num_hidden_layers is 'four'"),
        (("train.model.nothing=3",), "nothing"),
        (("experiment.exp_name=${experiment.nowhere}",), "nowhere"),
        (("+train.model.deep.seed=3",), r"train\.model\.deep\.seed .* give it once|train\.model\.seed and"),
    ],
)
def test_what_cannot_be_followed_is_named(read: Callable[..., Any], overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(*overrides)


def test_all_problems_are_named_at_once_and_unknown_keys_may_stay(read: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"(?s)3 keys cannot be followed.*swiglu.*colour.*shade"):
        read("train.model.swiglu=false", "+train.model.colour=red", "+train.model.shade=dark")
    found = read("+train.model.colour=red", allow_unknown=True)
    assert "not known" in found.ignored["train.model.colour"]


def test_missing_files_and_folders_are_named(tmp_path: Path, read: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="is no folder"):
        read_flagscale(tmp_path / "none", "tiny")
    with pytest.raises(ValueError, match="Cannot find primary config 'other'"):
        read_flagscale(tmp_path, "other")
    (tmp_path / "plain.yaml").write_text("train: {model: {}}\n")
    with pytest.raises(ValueError, match="no mapping `experiment`"):
        read_flagscale(tmp_path, "plain")


def test_experts_prediction_and_yarn_are_read(read: Callable[..., Any]) -> None:
    more = {
        "add_qkv_bias": "false",
        "multi_latent_attention": "true",
        "num_experts": "8",
        "moe_ffn_hidden_size": "32",
        "moe_shared_expert_intermediate_size": "64",
        "moe_layer_freq": "'([0]*1+[1]*3)'",
        "moe_router_pre_softmax": "true",
        "num_mtp_predictor": "2",
        "mtp_loss_coeff": "0.2",
        "rotary_scaling_factor": "8",
        "mscale": "0.7",
    }
    shape = read(*(f"++train.model.{key}={value}" for key, value in more.items())).recipe.pretrain.model
    assert (shape.attention, shape.kv_lora_rank, shape.rope_interleave) == ("mla", 32, True)
    assert (shape.n_routed_experts, shape.n_shared_experts, shape.first_k_dense_replace) == (8, 2, 1)
    assert (shape.scoring_func, shape.norm_topk_prob, shape.topk_method) == ("softmax", False, "greedy")
    assert (shape.num_nextn_predict_layers, shape.mtp_loss_weight) == (2, 0.2)
    assert shape.rope_scaling and (shape.rope_scaling.factor, shape.rope_scaling.mscale_all_dim) == (8, 0.0)


def test_a_late_fall_is_counted_in_tokens(read: Callable[..., Any]) -> None:
    prefix = "train.model.optimizer.lr_scheduler"
    overrides = (f"{prefix}.lr_decay_style=WSD", f"+{prefix}.lr_wsd_decay_style=linear")
    config = read(*overrides, f"+{prefix}.lr_wsd_decay_samples=16").recipe.pretrain
    assert (config.fit.schedule.kind, config.fit.schedule.decay_style, config.decay_tokens) == (
        "wsd",
        "linear",
        16 * 32,
    )
    with pytest.raises(ValueError, match="WSD needs it"):
        read(*overrides)


def test_what_users_write_is_read(read: Callable[..., Any]) -> None:
    found = read("+experiment.load=None", "+train.model.weight_decay=0.2", "+train.model.optimizer.weight_decay=0.2")
    assert found.recipe.pretrain.fit.weight_decay == 0.2
    told = {found.used[f"train.model.{section}weight_decay"] for section in ("", "optimizer.")}
    assert told == {"pretrain.fit.weight_decay=0.2", "the same as train.model.weight_decay"}
    width = read("~train.model.ffn_hidden_size", "+train.model.hidden_dim_multiplier=2", "+train.model.multiple_of=64")
    assert width.recipe.pretrain.model.intermediate_size == 384  # 8 / 3 * 64 = 170, twice that, up to 64 * 6
    devices = read("~experiment.runner.nproc_per_node", '+experiment.envs.CUDA_VISIBLE_DEVICES="0,1"')
    assert (devices.launch.nproc_per_node, devices.launch.dp) == (2, 2)


def test_a_growing_batch_is_read_and_written(read: Callable[..., Any], tmp_path: Path) -> None:
    found = read("+train.model.rampup_batch_size=[4,4,64]")
    assert found.recipe.pretrain.batch_ramp == BatchRamp(4, 4, 64 * 32)
    write_flagscale(found.recipe, tmp_path, "ramp")
    assert "openseek:" not in (tmp_path / "train" / "ramp.yaml").read_text()
    with pytest.raises(ValueError, match=r"it is \[start, increment, samples\]"):
        read("+train.model.rampup_batch_size=[4,2]")


@pytest.mark.parametrize(
    "given, layers, expected",
    [
        ("[0]+[1]*5", 6, [0, 1, 1, 1, 1, 1]),
        ("([0]*2+[1]*1)*2", 6, [0, 0, 1, 0, 0, 1]),
        (2, 4, [1, 0, 1, 0]),
        ("1", 2, [1, 1]),
        ([0, 1], 2, [0, 1]),
    ],
)
def test_layer_patterns(given: Any, layers: int, expected: list[int]) -> None:
    assert layer_pattern(given, layers) == expected


@pytest.mark.parametrize("given", ["__import__('os')", "[0]*10**9", "[1]*99999999", "[x]*3", "[2]", "", "[0]-[1]", 0])
def test_layer_patterns_run_nothing_else(given: Any) -> None:
    with pytest.raises(ValueError):
        layer_pattern(given, 1)


def test_files_of_one_name_are_told_apart_by_their_folders(read: Callable[..., Any]) -> None:
    found = read("train.data.data_path='2 /d/a/part_1_text_document 1 /d/b/part_1_text_document'")
    assert found.recipe.mix.weights == {"a/part_1": 2.0, "b/part_1": 1.0}
    natural = read("train.data.data_path=[/d/a_text_document,/d/b_text_document]")
    assert natural.recipe.mix.weights == {} and len(natural.entries) == 2


@pytest.mark.parametrize("name", PUBLISHED_FILES)
def test_the_published_experiments(name: str, shared: Path, tmp_path: Path) -> None:
    file = shared / "openseek_configs" / PUBLISHED_FILES[name]
    found = read_flagscale(file.parent, file.name)
    config = found.recipe.pretrain
    assert config.model == PRESETS[name]
    published = PUBLISHED["small_v1" if name == "openseek_small_v1" else "baseline_100b"]
    assert config.train_tokens == published.train_tokens
    weights = sorted(weight for entry in published.entries for weight in entry.weights)
    assert sorted(found.recipe.mix.weights.values()) == weights
    assert len(found.entries) == len(weights)
    assert config.separate_documents and (config.seed, config.fit.beta2) == (42, 0.95)
    small = name == "openseek_small_v1"
    assert config.global_batch_size == (2048 if small else 1024)
    assert config.fit.schedule.peak == (3e-4 if small else 3e-3)
    assert found.launch.pp == (2 if small else 1)
    assert config.fit.parallel.dp == found.launch.dp == (32 if small else 1)
    assert config.steps().num_steps == (159600 if small else 24000)
    assert read_flagscale(tmp_path, write_flagscale(found.recipe, tmp_path, "again").stem).recipe == found.recipe


def _recipe(shape: str) -> Recipe:
    return dataclasses.replace(Recipe(), pretrain=dataclasses.replace(Recipe().pretrain, model=PRESETS[shape]))


@pytest.mark.parametrize("name", WRITTEN)
def test_recipes_of_ours_survive_the_way_through_two_files(name: str, tmp_path: Path) -> None:
    recipe = RECIPES[name] if name in RECIPES else _recipe(name)
    path = write_flagscale(recipe, tmp_path, name)
    assert path == tmp_path / f"{name}.yaml"
    assert read_flagscale(tmp_path, name).recipe == recipe
    assert read_flagscale(tmp_path, name, ["train.model.hidden_size=96"]).recipe != recipe


def test_what_megatron_can_say_is_said_in_its_words(tmp_path: Path, read: Callable[..., Any]) -> None:
    write_flagscale(read(parallel="as_dp").recipe, tmp_path, "plain")
    assert "openseek:" not in (tmp_path / "train" / "plain.yaml").read_text()
    assert {same.field.split(".")[0] for same in same_fields().values()} <= {
        field.name for field in dataclasses.fields(Recipe().pretrain)
    }


def test_a_recipe_that_cannot_be_written_whole_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A lost field must not pass: the files are read back before anyone relies on them.
    monkeypatch.setattr("openseek.recipes.flagscale.differing", lambda new, old: {})
    with pytest.raises(ValueError, match="does not say all of the recipe"):
        write_flagscale(RECIPES["debug"], tmp_path, "lost")
