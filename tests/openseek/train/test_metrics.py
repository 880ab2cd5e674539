"""The metrics file after a kill, and the imbalance of experts."""

import json

import torch

from openseek.train.metrics import MetricsFile, load_imbalance


def test_steps_after_the_resume_state_and_torn_lines_are_cut_off(tmp_path):
    with MetricsFile(tmp_path, 0, 0) as log:
        for step in range(1, 6):
            log.write({"step": step, "loss": 1.0 / step})
    path = tmp_path / "metrics" / "rank00000.jsonl"
    path.write_text(path.read_text() + '{"step": 6, "lo')
    with MetricsFile(tmp_path, 0, 3) as log:
        log.write({"step": 4, "loss": 9.0})
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2, 3, 4]


def test_imbalance_is_the_worst_routers():
    assert load_imbalance(torch.tensor([[2, 2, 2, 2], [8, 0, 0, 0]])) == 4.0
    assert load_imbalance(torch.zeros(0, 0)) == 1.0
