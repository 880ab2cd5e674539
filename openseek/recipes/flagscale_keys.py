"""The keys of FlagScale's training files: what each becomes here, or why it is left aside.

FlagScale hands all leaf keys of a task file to Megatron as arguments, whatever section they stand in, so a key is known
here by its own name. A key of no table below is an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

NEEDED = object()
"""In the place of Megatron's default: the file must give the key."""


@dataclass(frozen=True)
class Same:
    """A key that is a field of ours under another name."""

    field: str
    """The field below `pretrain`."""
    default: Any
    """What Megatron takes without the key."""
    section: str = "model"
    """Where it is written."""


@dataclass(frozen=True)
class Only:
    """A key of which one value can be followed."""

    value: Any
    default: Any
    """What Megatron takes without the key; another one than `value` makes the key a needed one."""
    why: str
    section: str = "model"


OPTIMIZER, SCHEDULER = "model.optimizer", "model.optimizer.lr_scheduler"
PRECISION, CHECKPOINT = "system.precision", "system.checkpoint"

MODEL = {
    "num_layers": Same("model.num_hidden_layers", NEEDED),
    "hidden_size": Same("model.hidden_size", NEEDED),
    "num_attention_heads": Same("model.num_attention_heads", NEEDED),
    "max_position_embeddings": Same("model.max_position_embeddings", NEEDED),
    "norm_epsilon": Same("model.rms_norm_eps", 1e-5),
    "rotary_base": Same("model.rope_theta", 10000.0),
    "init_method_std": Same("model.initializer_range", 0.02),
    "qk_layernorm": Same("model.qk_layernorm", False, "system"),
}
LATENT = {
    "q_lora_rank": Same("model.q_lora_rank", None),
    "kv_lora_rank": Same("model.kv_lora_rank", 32),
    "qk_head_dim": Same("model.qk_nope_head_dim", 128),
    "qk_pos_emb_head_dim": Same("model.qk_rope_head_dim", 64),
    "v_head_dim": Same("model.v_head_dim", 128),
}
"""With multi_latent_attention."""
EXPERTS = {
    "num_experts": Same("model.n_routed_experts", NEEDED),
    "moe_ffn_hidden_size": Same("model.moe_intermediate_size", NEEDED),
    "moe_router_topk": Same("model.num_experts_per_tok", 2),
    "moe_router_score_function": Same("model.scoring_func", "softmax"),
    "moe_router_bias_update_rate": Same("model.bias_update_rate", 1e-3),
    "moe_aux_loss_coeff": Same("model.aux_loss_alpha", 0.0),
    "moe_z_loss_coeff": Same("model.router_z_loss_alpha", 0.0),
    "moe_router_topk_scaling_factor": Same("model.routed_scaling_factor", 1.0),
    "moe_router_num_groups": Same("model.n_group", 1),
    "moe_router_group_topk": Same("model.topk_group", 1),
}
"""With num_experts."""
PREDICTION = {
    "mtp_num_layers": Same("model.num_nextn_predict_layers", NEEDED),
    "mtp_loss_scaling_factor": Same("model.mtp_loss_weight", 0.1),
}
"""With mtp_num_layers."""
TRAINING = {
    "seq_length": Same("sequence_length", NEEDED),
    "micro_batch_size": Same("micro_batch_size", NEEDED),
    "global_batch_size": Same("global_batch_size", NEEDED),
    "seed": Same("seed", 1234),
    "clip_grad": Same("fit.gradient_clipping", 1.0),
    "weight_decay": Same("fit.weight_decay", 0.01, OPTIMIZER),
    "adam_beta1": Same("fit.beta1", 0.9, OPTIMIZER),
    "adam_beta2": Same("fit.beta2", 0.999, OPTIMIZER),
    "adam_eps": Same("fit.epsilon", 1e-8, OPTIMIZER),
    "lr": Same("fit.schedule.peak", NEEDED, SCHEDULER),
    "min_lr": Same("fit.schedule.final", 0.0, SCHEDULER),
    "save_interval": Same("fit.save_every_steps", 0, CHECKPOINT),
}
ALIASES = {"num_mtp_predictor": "mtp_num_layers", "mtp_loss_coeff": "mtp_loss_scaling_factor"}
"""Names that FlagScale gave up -> those that took their place."""

NO_BIAS = "the layers have no biases but those that add_qkv_bias gives"
_START = (
    "a run goes on from its own newest state, and starts from random weights or from those of --checkpoint DIR, which "
    "infra/flagscale/convert.py makes of a Megatron checkpoint (--loader mcore --saver transformers)"
)
ONLY = {
    "swiglu": Only(True, False, "the feed-forward layers are SwiGLU"),
    "normalization": Only("RMSNorm", "LayerNorm", "the norms are RMS norms"),
    "disable_bias_linear": Only(True, False, NO_BIAS, "system"),
    "attention_dropout": Only(0.0, 0.1, "nothing is dropped out"),
    "hidden_dropout": Only(0.0, 0.1, "nothing is dropped out"),
    "bf16": Only(True, False, "GPUs compute in bfloat16 with float32 weights, a CPU in float32", PRECISION),
    "fp16": Only(False, False, "float16 is not trained in: set bf16: true"),
    "fp8": Only(None, None, "FP8 training is not in this version: leave the key out"),
    "fp8_format": Only(None, None, "FP8 training is not in this version: leave the key out"),
    "optimizer": Only("adam", "adam", "the optimizer is AdamW"),
    "weight_decay_incr_style": Only("constant", "constant", "the weight decay is constant"),
    "lr_warmup_init": Only(0.0, 0.0, "the learning rate rises from 0"),
    "decoupled_lr": Only(None, None, "all weights share one learning rate"),
    "decoupled_min_lr": Only(None, None, "all weights share one learning rate"),
    "rotary_percent": Only(1.0, 1.0, "the rotary part is turned as a whole"),
    "use_rope_scaling": Only(False, False, "long contexts are stretched by YaRN (rope_type: yarn)"),
    "layernorm_zero_centered_gamma": Only(False, False, "norm gains start at one"),
    "apply_layernorm_1p": Only(False, False, "norm gains start at one"),
    "apply_residual_connection_post_layernorm": Only(False, False, "residuals pass by the norms"),
    "apply_query_key_layer_scaling": Only(False, False, "attention scores are not scaled by layer"),
    "squared_relu": Only(False, False, "the feed-forward layers are SwiGLU"),
    "openai_gelu": Only(False, False, "the feed-forward layers are SwiGLU"),
    "init_method_xavier_uniform": Only(False, False, "weights start normally distributed"),
    "moe_expert_capacity_factor": Only(None, None, "experts take every token: none is dropped"),
    "moe_input_jitter_eps": Only(None, None, "the router's input gets no noise"),
    "moe_router_force_load_balancing": Only(False, False, "experts are chosen by the router"),
    "window_size": Only(None, None, "attention reads its whole document"),
    "load": Only(None, None, _START, CHECKPOINT),
    "pretrained_checkpoint": Only(None, None, _START, CHECKPOINT),
    "no_shared_fs": Only(False, False, "all nodes read and write one folder", "system"),
    "mock_data": Only(False, False, "training reads token files"),
}
WORKED_OUT = (
    *("ffn_hidden_size", "hidden_dim_multiplier", "multiple_of"),
    *("multi_latent_attention", "group_query_attention", "num_query_groups", "kv_channels", "add_qkv_bias"),
    *("untie_embeddings_and_output_weights", "position_embedding_type", "use_rotary_position_embeddings"),
    *("rotary_interleaved", "rope_type", "rotary_scaling_factor", "original_max_position_embeddings", "beta_fast"),
    *("beta_slow", "mscale", "mscale_all_dim", "moe_layer_freq", "moe_shared_expert_intermediate_size"),
    *("moe_router_enable_expert_bias", "moe_router_pre_softmax", "moe_router_load_balancing_type"),
    *("train_samples", "train_iters", "rampup_batch_size", "lr_decay_style", "lr_decay_samples", "lr_decay_iters"),
    *("lr_warmup_samples", "lr_warmup_iters", "lr_warmup_fraction", "lr_wsd_decay_style", "lr_wsd_decay_samples"),
    *("lr_wsd_decay_iters", "reset_attention_mask", "reset_position_ids", "eod_mask_loss"),
    *("tensor_model_parallel_size", "pipeline_model_parallel_size", "context_parallel_size"),
    *("expert_model_parallel_size", "vocab_size", "make_vocab_size_divisible_by", "padded_vocab_size"),
    *("tokenizer_path", "tokenizer_model", "data_path", "train_data_path", "valid_data_path", "split", "openseek"),
)
"""Keys that decide fields together with others: flagscale_model.py and flagscale_training.py say how."""

_FASTER = "a way to compute the same: this version has its own"
_ONE_RANK = "how Megatron divides the work: the layout is fit.parallel"
_RECOMPUTE = "activations are kept, not computed again: lower micro_batch_size where memory is short"
_LOG = "every step's metrics are written and tracked in MLflow"
_ALWAYS = "so in every run here"
_CHECKPOINT = (
    "checkpoints are Hugging Face folders, the newest resume state beside them; `openseek convert` makes others"
)
_LOADER = "the loader maps token files into memory and orders them by its own seed"
_PROFILE = "runs are not profiled here"
_STATE = "concerns `load`, and nothing is loaded"
_MEASURE = "held-out loss is measured at the end, and for each source at heldout_evaluations times"
IGNORED = {
    **dict.fromkeys(
        (
            *(
                "transformer_impl",
                "no_rope_fusion",
                "apply_rope_fusion",
                "no_masked_softmax_fusion",
                "fp8_param_gather",
            ),
            *(
                "no_bias_swiglu_fusion",
                "no_bias_gelu_fusion",
                "no_bias_dropout_fusion",
                "no_gradient_accumulation_fusion",
            ),
            *("cross_entropy_loss_fusion", "cross_entropy_fusion_impl", "use_flash_attn", "attention_backend"),
            *("moe_grouped_gemm", "moe_permute_fusion", "moe_router_fusion", "moe_token_dispatcher_type"),
            *("moe_shared_expert_overlap", "moe_enable_deepep", "moe_use_legacy_grouped_gemm", "use_mcore_models"),
            *("use_legacy_models", "deterministic_mode", "manual_gc", "manual_gc_interval", "use_cpu_initialization"),
            *("enable_cuda_graph", "moe_token_drop_policy", "moe_pad_expert_input_to_capacity"),
            *("moe_flex_dispatcher_backend", "moe_fb_overlap", "schedules_method", "moe_router_padding_for_fp8"),
        ),
        _FASTER,
    ),
    **dict.fromkeys(
        (
            *("sequence_parallel", "use_distributed_optimizer", "overlap_grad_reduce", "overlap_param_gather"),
            *("overlap_p2p_communication", "no_overlap_p2p_communication", "align_param_gather", "align_grad_reduce"),
            *(
                "distributed_backend",
                "distributed_timeout_minutes",
                "expert_tensor_parallel_size",
                "use_ring_exchange_p2p",
            ),
            *("num_layers_per_virtual_pipeline_stage", "num_virtual_stages_per_pipeline_rank", "tp_comm_overlap"),
            *(
                "decoder_first_pipeline_num_layers",
                "decoder_last_pipeline_num_layers",
                "pipeline_model_parallel_layout",
            ),
            *(
                "account_for_embedding_in_pipeline_split",
                "account_for_loss_in_pipeline_split",
                "standalone_embedding_stage",
            ),
            *(
                "use_tp_pp_dp_mapping",
                "cp_comm_type",
                "calculate_per_token_loss",
                "ddp_bucket_size",
                "nccl_communicator_config_path",
            ),
            *("ddp_average_in_collective", "use_partial_reduce_for_shared_embedding", "defer_embedding_wgrad_compute"),
        ),
        _ONE_RANK,
    ),
    **dict.fromkeys(
        (
            *("recompute_method", "recompute_granularity", "recompute_num_layers", "recompute_modules"),
            *("recompute_activations", "moe_layer_recompute", "distribute_saved_activations"),
            *("recompute_granularity_per_stage_micro_batch", "recompute_method_per_stage_micro_batch"),
            *("recompute_num_layers_per_stage_micro_batch", "cpu_offloading", "optimizer_cpu_offload"),
        ),
        _RECOMPUTE,
    ),
    **dict.fromkeys(
        (
            *("logging_level", "log_interval", "tensorboard_log_interval", "tensorboard_dir", "tensorboard_queue_size"),
            *(
                "wandb_project",
                "wandb_exp_name",
                "wandb_save_dir",
                "wandb_mode",
                "wandb_log_model",
                "wandb_log_model_interval",
            ),
            *("log_timers_to_tensorboard", "log_validation_ppl_to_tensorboard", "log_throughput", "log_params_norm"),
            *("log_num_zeros_in_grad", "log_memory_to_tensorboard", "log_world_size_to_tensorboard", "log_progress"),
            *("log_learning_rate_to_tensorboard", "log_loss_scale_to_tensorboard", "log_batch_size_to_tensorboard"),
            *("timing_log_level", "timing_log_option", "moe_per_layer_logging", "log_straggler"),
        ),
        _LOG,
    ),
    **dict.fromkeys(
        (
            *(
                "attention_softmax_in_fp32",
                "accumulate_allreduce_grads_in_fp32",
                "moe_router_dtype",
                "initial_loss_scale",
            ),
            *("no_position_embedding", "grad_reduce_in_bf16", "loss_scale", "min_loss_scale"),
        ),
        f"router, softmax and gradient sums are float32 and positions rotary, {_ALWAYS}",
    ),
    **dict.fromkeys(
        (
            *(
                "ckpt_format",
                "save",
                "dist_ckpt_format",
                "async_save",
                "save_retain_interval",
                "ckpt_assume_constant_structure",
            ),
            *("ckpt_fully_parallel_save", "ckpt_fully_parallel_load", "auto_detect_ckpt_format", "no_save_optim"),
            *("no_save_rng", "non_persistent_save_interval", "non_persistent_ckpt_type"),
        ),
        _CHECKPOINT,
    ),
    **dict.fromkeys(
        (
            *("finetune", "no_load_optim", "no_load_rng", "override_opt_param_scheduler", "exit_on_missing_checkpoint"),
            *("use_checkpoint_opt_param_scheduler", "use_checkpoint_args", "ckpt_step", "dist_ckpt_strictness"),
        ),
        _STATE,
    ),
    **dict.fromkeys(
        (
            *("no_mmap_bin_files", "num_workers", "dataloader_type", "data_cache_path", "num_dataset_builder_threads"),
            *("no_create_attention_mask_in_dataloader", "create_attention_mask_in_dataloader"),
        ),
        _LOADER,
    ),
    **dict.fromkeys(("eval_iters", "eval_interval", "test_mode", "test_data_path", "skip_train"), _MEASURE),
    **dict.fromkeys(
        ("tokenizer_type", "special_tokens_file", "vocab_file", "merge_file", "legacy_tokenizer", "trust_remote_code"),
        "the files at tokenizer_path say which tokenizer it is",
    ),
    **dict.fromkeys(
        ("exit_interval", "exit_duration_in_mins", "exit_signal_handler"),
        "ends with its last step, or by --action stop",
    ),
    **dict.fromkeys(
        ("check_for_nan_in_loss_and_grad", "no_check_for_nan_in_loss_and_grad", "check_for_spiky_loss"),
        "the metrics tell the loss of every step",
    ),
    **dict.fromkeys(
        ("profile", "profile_step_start", "profile_step_end", "profile_ranks", "use_pytorch_profiler"), _PROFILE
    ),
    "skip_iters_range": "no step is left out in this version: the order of the data is another one anyway",
    "skip_samples_range": "no sample is left out in this version: the order of the data is another one anyway",
    "data_parallel_size": "the number of ranks over the model-parallel sizes gives it",
}

EXPERIMENT = {
    "exp_name": "name of the run",
    "exp_dir": "folder of artifacts, log and record, unless --root names another",
    "seed": "reaches the task file where that refers to it",
    "save_steps": "reaches the task file where that refers to it",
    "runner.nnodes": "nodes",
    "runner.nproc_per_node": "ranks of a node",
    "envs.CUDA_VISIBLE_DEVICES": "ranks of a node where nproc_per_node is not given",
}
"""Keys of the experiment file that are followed -> what they are."""
EXPERIMENT_ONLY = {
    "load": Only(None, None, ONLY["load"].why),
    "task.type": Only("train", "train", "this reads experiments that train"),
    "task.backend": Only("megatron", "megatron", "the keys are Megatron's"),
    "runner.no_shared_fs": ONLY["no_shared_fs"],
}
_PLACE = "the where file (--where) names machines and how ranks start"
EXPERIMENT_IGNORED = {
    "ckpt_format": _CHECKPOINT,
    "task.entrypoint": "the program is `openseek pretrain`",
    **dict.fromkeys(
        (
            *("runner.backend", "runner.type", "runner.rdzv_backend", "runner.rdzv_id", "runner.rdzv_endpoint"),
            *("runner.hostfile", "runner.ssh_port", "runner.master_addr", "runner.master_port", "runner.tee"),
            *("runner.log_dir", "runner.redirects", "runner.max_restarts", "runner.enable_monitoring"),
            *("runner.per_node_task", "runner.enable_gpu_health_check", "runner.docker", "runner.deploy"),
        ),
        _PLACE,
    ),
    "cmds": f"{_PLACE}: shell lines are its executor.setup",
    "envs": f"{_PLACE}: variables are exported by its executor.setup",
}
"""Keys, or whole sections, that are left aside -> why."""


def same_fields() -> dict[str, Same]:
    """All keys that are fields of ours."""
    return {**MODEL, **LATENT, **EXPERTS, **PREDICTION, **TRAINING}


def known_keys() -> set[str]:
    """All keys of a task file that this version knows."""
    return {*same_fields(), *ALIASES, *ONLY, *WORKED_OUT, *IGNORED}
