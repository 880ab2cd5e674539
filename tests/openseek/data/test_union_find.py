import numpy as np
import pytest

from openseek.data.union_find import cluster_sizes, components, star_partners, stars


def graph_components(pairs: np.ndarray, size: int) -> list[int]:
    """Labels by spreading the lowest label until nothing changes."""
    labels = list(range(size))
    changed = True
    while changed:
        changed = False
        for a, b in pairs.tolist():
            low = min(labels[a], labels[b])
            changed |= labels[a] != low or labels[b] != low
            labels[a] = labels[b] = low
    return labels


@pytest.mark.parametrize("seed", range(5))
def test_components_of_random_graphs(seed: int) -> None:
    pairs = np.random.default_rng(seed).integers(0, 60, (35, 2))
    assert components(pairs[:, 0].copy(), pairs[:, 1].copy(), 60).tolist() == graph_components(pairs, 60)


def test_sizes_leave_single_nodes_out() -> None:
    assert sorted(cluster_sizes(np.array([0, 0, 2, 3, 3, 3])).tolist()) == [2, 3]
    assert cluster_sizes(np.zeros(0, np.int64)).tolist() == []


def test_a_chain_keeps_its_far_end() -> None:
    """0 ~ 1 ~ 2 with 0 and 2 unlike: 1 goes, and 2 stays since its only twin has gone."""
    partner, value = star_partners(np.array([0, 1]), np.array([1, 2]), np.array([0.8, 0.9]), 3)
    assert partner.tolist() == [-1, 0, -1]
    assert value.tolist() == [0, 0.8, 0]


def test_partner_is_the_most_similar_that_stays() -> None:
    left, right = np.array([0, 2, 1, 0]), np.array([3, 3, 3, 2])
    partner, value = star_partners(left, right, np.array([0.7, 0.99, 0.9, 0.8]), 4)
    assert partner.tolist() == [-1, -1, 0, 1]
    assert value[3] == 0.9


@pytest.mark.parametrize("seed", range(5))
def test_those_that_stay_are_unlike_and_those_that_go_have_a_kept_partner(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = np.sort(rng.integers(0, 80, (120, 2)), axis=1)
    pairs = np.unique(pairs[pairs[:, 0] < pairs[:, 1]], axis=0)
    shuffled = pairs[rng.permutation(len(pairs))]
    partner, _ = star_partners(shuffled[:, 0], shuffled[:, 1], np.full(len(pairs), 0.8), 80)
    stays = partner < 0
    assert not (stays[pairs[:, 0]] & stays[pairs[:, 1]]).any()
    assert stays[partner[~stays]].all()


def test_stars_follow_the_ranks_and_name_row_ids() -> None:
    pairs = np.array([[3, 1 << 33], [5, 1 << 33], [3, 5]], np.uint64)
    nodes = np.unique(pairs)
    found = stars(pairs, np.array([0.8, 0.9, 0.75]), nodes, np.array([7, 1, 9], np.uint64))
    assert found.goes.tolist() == [3, 1 << 33]
    assert found.partners.tolist() == [5, 5]
    assert found.values.tolist() == [0.75, 0.9]
    assert (found.cluster_sizes.tolist(), found.num_pairs) == ([3], 3)


def test_stars_of_nothing() -> None:
    found = stars(np.zeros((0, 2), np.uint64), np.zeros(0), np.zeros(0, np.uint64), np.zeros(0, np.uint64))
    assert (len(found.goes), len(found.cluster_sizes)) == (0, 0)
