"""Claims about UNICORN: its parts are what its paper says, and trained on real people it beats popularity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from latentcrs.base.checkpoint import Checkpoint, load_tensors
from latentcrs.data import Histories, PreparedDataset
from latentcrs.evaluate.multi_turn import evaluate_multi_turn, talk_rows
from latentcrs.systems.asking import AttributeFilter, FacetDialogues
from latentcrs.systems.facets import Facets
from latentcrs.systems.hearing import FacetHearing
from latentcrs.systems.sessions import RECOMMEND, AskingPolicy, Sessions
from latentcrs.users.open import open_user
from latentcrs_lab.systems.practice import Practice, practice_of
from latentcrs_lab.systems.unicorn import Unicorn, UnicornSettings, train_unicorn
from latentcrs_lab.systems.unicorn.embeddings import NodeEmbeddings, Preference, in_order
from latentcrs_lab.systems.unicorn.episodes import exploring, play, played
from latentcrs_lab.systems.unicorn.graph import NONE, GraphPruner, candidate_weights, entropies
from latentcrs_lab.systems.unicorn.network import GraphConvolution, QNetwork, normalised
from latentcrs_lab.systems.unicorn.policy import acts_of
from latentcrs_lab.systems.unicorn.pretraining import Feedback, Teller, ranking_loss
from latentcrs_lab.systems.unicorn.replay import LEAST, POWER, Replay, Transitions
from latentcrs_lab.systems.unicorn.train import Learner
from latentcrs_lab.systems.unicorn.transe import MARGIN, TransE, train_transe

HAS = np.array([[int(mark) for mark in row] for row in "1100 1010 0110 1110 1001 1100 1001".split()], bool)
"""Seven items, four facets."""
SMALL = UnicornSettings(width=8, hidden=16, newest=5, shown=2, items=3, facets=3, graph_items=5, graph_accepted=2)
QUICK = UnicornSettings(
    steps=200, rows=256, hidden=32, sessions=32, rounds=6, updates=4, batch=32, validate_every=2, validation_rows=80
)


@pytest.fixture
def facets() -> Facets:
    return Facets(("genres",) * 4, ("Comedy", "Drama", "War", "Western"), HAS, np.ones_like(HAS))


@pytest.fixture
def nodes() -> NodeEmbeddings:
    torch.manual_seed(0)
    return NodeEmbeddings(7, 4, SMALL.width, SMALL.newest)


def begun(facets: Facets, accepted: list[list[int]], histories: list[list[int]]) -> Sessions:
    said = np.zeros((2, len(accepted), len(facets)), bool)
    for row, wanted in enumerate(accepted):
        said[0, row, wanted] = True
    return Sessions.begin(facets, np.arange(len(accepted)), Histories.from_lists(histories), said[0], said[1])


def test_a_user_is_the_mean_of_their_items_the_newest_weighing_most(nodes: NodeEmbeddings) -> None:
    found = nodes.users(Histories.from_lists([[3, 1], []]).last(SMALL.newest)).detach()
    weights = torch.exp(nodes.recency.detach()[-2:])
    past = nodes.past.detach()
    expected = (weights[0] * past[3] + weights[1] * past[1]) / weights.sum() + nodes.anyone.detach()
    torch.testing.assert_close(found[0], expected)
    assert weights[1] > weights[0]
    torch.testing.assert_close(found[1], nodes.anyone.detach())


def test_preference_is_the_sum_of_the_paper(facets: Facets, nodes: NodeEmbeddings) -> None:
    sessions = begun(facets, [[0, 1], []], [[2], [4, 5]])
    sessions.answered(np.array([0]), np.array([2]), np.array([0], np.int8))
    preference = Preference(nodes, facets)
    users = preference.users(sessions.histories)
    found = preference.scores(users, sessions.accepted, sessions.rejected)
    items, parts = nodes.items.detach().numpy(), nodes.facets.detach().numpy()
    for item in range(7):
        expected = users[0] @ items[item] + (parts[0] + parts[1]) @ items[item]
        if HAS[item, 2]:
            expected -= parts[2] @ items[item]
        assert found[0, item] == pytest.approx(expected, abs=1e-5)
        assert found[1, item] == pytest.approx(users[1] @ items[item], abs=1e-5)


def test_more_accepted_attributes_come_before_any_preference() -> None:
    scores = np.array([[5.0, -9.0, 0.0, 1.0]], np.float32)
    ordered = in_order(scores, np.array([[0, 2, 1, 1]], np.int16))
    assert np.argsort(-ordered[0]).tolist() == [1, 3, 2, 0]


def test_weights_are_probabilities_of_candidates_or_the_papers_sigmoids() -> None:
    scores, candidates = np.array([[0.0, np.log(3), 9.0]], np.float32), np.array([[True, True, False]])
    np.testing.assert_allclose(candidate_weights(scores, candidates, "softmax"), [[0.25, 0.75, 0]], rtol=1e-6)
    np.testing.assert_allclose(candidate_weights(scores, candidates, "sigmoid"), [[0.5, 0.75, 0]], rtol=1e-6)
    assert not candidate_weights(scores, np.zeros_like(candidates), "softmax").any()


def test_an_answer_that_is_known_has_no_entropy() -> None:
    np.testing.assert_allclose(entropies(np.array([[0, 0.5, 0.25, 1]], np.float32)), [[0, 1, 0.811278, 0]], atol=1e-5)


def test_what_splits_the_weight_of_candidates_most_evenly_is_asked_first(
    facets: Facets, nodes: NodeEmbeddings
) -> None:
    pruning = GraphPruner(facets, Preference(nodes, facets), SMALL)
    sessions = begun(facets, [[0], [0], [0, 2]], [[], [], []])
    sessions.turns[1] = SMALL.turns - 1
    graphs = pruning(sessions)
    preference = Preference(nodes, facets)
    scores = preference.scores(preference.users(sessions.histories), sessions.accepted, sessions.rejected)[0]
    some = np.flatnonzero(HAS[:, 0])
    weights = np.zeros(7)
    weights[some] = np.exp(scores[some]) / np.exp(scores[some]).sum()
    share = weights @ HAS
    entropy = [-p * np.log2(p) - (1 - p) * np.log2(1 - p) for p in share[1:]]
    assert graphs.asks[0].tolist() == (1 + np.argsort(-np.array(entropy))).tolist()
    np.testing.assert_allclose(graphs.shares[0], share[graphs.asks[0]], rtol=1e-4)
    # No question on the last turn, and none where the two candidates can be shown at once.
    assert (graphs.asks[1:] == NONE).all()
    assert graphs.items[0].tolist() == some[np.argsort(-scores[some])][:5].tolist()
    np.testing.assert_allclose(graphs.weights[0], weights[graphs.items[0]], rtol=1e-4)
    assert (
        set(graphs.items[2, :2].tolist()) == {1, 3} and (graphs.weights[2] > 0).tolist() == [True] * 2 + [False] * 3
    )


def test_graph_convolution_is_over_the_symmetrically_normalised_graph() -> None:
    torch.manual_seed(1)
    layer = GraphConvolution(6, 5)
    left, right, edges = torch.randn(2, 3, 6), torch.randn(2, 4, 6), torch.rand(2, 3, 4)
    edges[0, 1] = 0  # a node without neighbours
    joined = normalised(edges)
    found = torch.cat([layer(left, right, joined), layer(right, left, joined.transpose(1, 2))], 1)
    for graph in range(2):
        whole = torch.zeros(7, 7)
        whole[:3, 3:], whole[3:, :3] = edges[graph], edges[graph].T
        degrees = torch.where(whole.sum(1) > 0, whole.sum(1), 1)
        adjacency = torch.diag(degrees**-0.5) @ whole @ torch.diag(degrees**-0.5)
        both = torch.cat([left[graph], right[graph]])
        expected = torch.relu(adjacency @ both @ layer.near.weight.T + both @ layer.own.weight.T + layer.own.bias)
        torch.testing.assert_close(found[graph], expected, rtol=1e-4, atol=1e-5)


def test_q_values_are_dueling_and_deaf_to_nodes_that_are_not_there(facets: Facets, nodes: NodeEmbeddings) -> None:
    network = QNetwork(nodes, facets, SMALL)
    graphs = GraphPruner(facets, Preference(nodes, facets), SMALL)(begun(facets, [[0], [0, 2]], [[], [5]]))
    values = network(graphs).detach()
    there = torch.from_numpy(graphs.actions(SMALL.items))
    assert (values[~there] == -torch.inf).all() and torch.isfinite(values[there]).all()
    means = torch.where(there, values, 0).sum(1) / there.sum(1)
    torch.testing.assert_close(means, network.value(network.encoded(graphs))[:, 0].detach())
    alone = network(graphs.some(np.array([1]))).detach()
    graphs.items[1, 2:] = 0  # what fills the list up is no node
    torch.testing.assert_close(network(graphs).detach()[1], values[1])
    torch.testing.assert_close(alone[0], values[1], rtol=1e-4, atol=1e-5)
    graphs.accepted[1] = NONE
    assert not torch.allclose(network(graphs).detach()[1][there[1]], values[1][there[1]])


def test_the_chosen_item_is_shown_with_the_next_best_and_the_list_is_filled(
    facets: Facets, nodes: NodeEmbeddings
) -> None:
    graphs = GraphPruner(facets, Preference(nodes, facets), SMALL)(begun(facets, [[0], [0, 1, 2], [0]], [[], [], []]))
    lowest = -np.inf
    values = np.array([[1, 0, 2, 5, 7, 6], [lowest] * 3 + [1, lowest, lowest], [9, 0, 0, 1, 2, 3]], np.float32)
    acts = acts_of(graphs, np.array([5, 3, 0]), values, SMALL)
    assert acts.asks.tolist() == [RECOMMEND, RECOMMEND, graphs.asks[2, 0]]
    assert acts.items[0].tolist() == graphs.items[0, [2, 1]].tolist()
    assert acts.items[1].tolist() == [3, graphs.items[1, 1]]


def transitions(facets: Facets, nodes: NodeEmbeddings) -> Transitions:
    pruning = GraphPruner(facets, Preference(nodes, facets), SMALL)
    graphs = pruning(begun(facets, [[0], [], [1]], [[], [4], [0]]))
    return Transitions(
        graphs, np.array([0, 3, 4]), np.array([0.01, 1, -0.1], np.float32), graphs, np.array([False, True, False])
    )


def test_surprising_transitions_are_drawn_more_often_and_weigh_less(facets: Facets, nodes: NodeEmbeddings) -> None:
    replay, rng = Replay(4), np.random.default_rng(0)
    replay.add(transitions(facets, nodes))
    replay.update(np.array([0, 1, 2]), np.array([0.0, 2.0, -0.5], np.float32))
    priorities = (np.array([0.0, 2.0, 0.5]) + LEAST) ** POWER
    slots, drawn, weights = replay.draw(20_000, rng)
    share = np.bincount(slots, minlength=3) / 20_000
    np.testing.assert_allclose(share, priorities / priorities.sum(), atol=0.02)
    expected = (3 * priorities / priorities.sum()) ** -0.401
    np.testing.assert_allclose(weights, (expected / expected[slots].max())[slots], rtol=1e-4)
    assert drawn.rewards.tolist() == np.array([0.01, 1, -0.1], np.float32)[slots].tolist()
    replay.add(transitions(facets, nodes))  # the oldest two make room
    assert len(replay) == 4
    again = Replay(4)
    again.restore(replay.state())
    drawn_from = [memory.draw(64, np.random.default_rng(1)) for memory in (replay, again)]
    for one, other in zip(*drawn_from, strict=True):
        if isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, other)


def test_errors_are_those_of_double_deep_q_learning(facets: Facets, nodes: NodeEmbeddings) -> None:
    torch.manual_seed(2)
    settings = SMALL.model_copy(update={"memory": 3, "batch": 200})
    learner = Learner(QNetwork(nodes, facets, settings), settings)
    with torch.no_grad():
        for parameter in learner.target.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        batch = transitions(facets, nodes)
        values, slow = learner.network(batch.graphs), learner.target(batch.graphs)
    learner.replay.add(batch)
    before = {name: tensor.clone() for name, tensor in learner.target.state_dict().items()}
    learner.update(np.random.default_rng(0))
    best = values.argmax(1)
    expected = [
        abs(float(values[row, action]) - reward - (0 if ended else 0.999 * float(slow[row, best[row]])))
        for row, (action, reward, ended) in enumerate(zip(batch.actions, batch.rewards, batch.ended, strict=True))
    ]
    found = learner.replay.state()["priorities"].numpy() ** (1 / POWER) - LEAST
    np.testing.assert_allclose(found, expected, atol=1e-5)
    for name, parameter in learner.network.named_parameters():
        moved = before[name] + 0.01 * (parameter.detach() - before[name])
        torch.testing.assert_close(learner.target.state_dict()[name], moved)


def test_exploring_takes_any_action_that_there_is_in_its_share_of_the_rows() -> None:
    values = np.tile(np.array([0, -np.inf, 2, 1], np.float32), (20_000, 1))
    taken = np.bincount(exploring(0.3, np.random.default_rng(0))(values), minlength=4) / len(values)
    np.testing.assert_allclose(taken, [0.1, 0, 0.8, 0.1], atol=0.01)
    assert taken[1] == 0
    assert (exploring(0, np.random.default_rng(0))(values) == 2).all()


def test_rewards_are_those_of_the_paper(facets: Facets, nodes: NodeEmbeddings) -> None:
    policy = Unicorn(nodes, QNetwork(nodes, facets, SMALL), facets, SMALL)
    practice = Practice.__new__(Practice)
    practice.facets, practice.users, practice.targets = facets, np.array([-1, -1, -1]), np.array([1, 0, 6])
    practice.histories = Histories.from_lists([[], [], []])
    practice.accepted, practice.rejected = np.zeros((2, 3, 4), bool)
    practice.accepted[:, 0] = True
    turn = iter(range(SMALL.turns))

    def choose(values: np.ndarray) -> np.ndarray:
        """Asks about what comes first, then recommends."""
        asking = next(turn) == 0
        return np.full(len(values), 0) if asking else values[:, SMALL.facets :].argmax(1) + SMALL.facets

    outcomes, happened = play(policy, practice, np.arange(3), choose)
    asked = happened[0].graphs.asks[:, 0]
    yes = HAS[practice.targets, asked]
    assert yes.any() and not yes.all()
    np.testing.assert_allclose(happened[0].rewards, np.where(yes, 0.01, -0.1), rtol=1e-6)
    assert not happened[0].ended.any() and (happened[0].then.turns == 1).all()
    rewards = np.concatenate([each.rewards for each in happened[1:]])
    ended = np.concatenate([each.ended for each in happened[1:]])
    assert sorted(rewards[ended].tolist()) == pytest.approx(sorted(np.where(outcomes > 0, 1, -0.3).tolist()))
    assert (rewards[~ended] == np.float32(-0.1)).all()
    assert len(rewards) == np.where(outcomes > 0, outcomes, SMALL.turns).sum() - 3


def test_ranking_loss_is_over_what_has_the_accepted_attributes(facets: Facets, nodes: NodeEmbeddings) -> None:
    told = Feedback(np.array([[0, NONE], [1, 2]]), np.array([[1], [NONE]]))
    newest, targets = Histories.from_lists([[2], []]).last(SMALL.newest), np.array([4, 3])
    having = torch.from_numpy(HAS.T.copy())
    found = ranking_loss(nodes, newest, targets, told, np.arange(7), having)
    preference = Preference(nodes, facets)
    accepted, rejected = np.zeros((2, 2, 4), bool)
    accepted[0, 0] = accepted[1, 1] = accepted[1, 2] = rejected[0, 1] = True
    with torch.no_grad():
        scores = preference.scores(nodes.users(newest).numpy(), accepted, rejected)
    losses = []
    for row, fitting in enumerate((HAS[:, 0], HAS[:, 1] & HAS[:, 2])):
        losses.append(np.log(np.exp(scores[row, fitting]).sum()) - scores[row, targets[row]])
    assert found.item() == pytest.approx(np.mean(losses), abs=1e-4)


def test_what_is_told_is_true_of_the_target(facets: Facets) -> None:
    rng = np.random.default_rng(0)
    targets, others = rng.integers(0, 7, (2, 500))
    told = Teller(facets, 3, 2)(targets, others, rng)
    rows, places = np.nonzero(told.accepted != NONE)
    assert HAS[targets[rows], told.accepted[rows, places]].all()
    rows, places = np.nonzero(told.rejected != NONE)
    assert len(rows) and not HAS[targets[rows], told.rejected[rows, places]].any()
    assert set((told.accepted != NONE).sum(1).tolist()) == {0, 1, 2, 3}
    assert all(len(set(row[row != NONE])) == (row != NONE).sum() for row in told.accepted)


def test_transe_brings_head_and_relation_to_the_tail() -> None:
    torch.manual_seed(0)
    model = TransE(2, 3, 1, 4)
    with torch.no_grad():
        entities = torch.nn.functional.normalize(model.entities, dim=1)
    true, false = torch.tensor([[0, 0, 3]]), torch.tensor([[0, 0, 4]])
    distances = [torch.linalg.vector_norm(entities[0] + model.relations[0] - entities[tail]) for tail in (3, 4)]
    expected = max(0.0, MARGIN + float(distances[0].detach()) - float(distances[1].detach()))
    assert float(model.loss(true, false).detach()) == pytest.approx(expected, abs=1e-5)
    adam = torch.optim.Adam(model.parameters(), 0.05)
    for _ in range(60):
        adam.zero_grad()
        model.loss(true, false).backward()
        adam.step()
    near, far = (model.distances(*triplet.T).item() for triplet in (true, false))
    assert near + 0.9 < far


@pytest.fixture(scope="module")
def dataset(small_movielens: Path) -> PreparedDataset:
    """With a part of the requests to train on: each has to be heard."""
    dataset = PreparedDataset(small_movielens)
    train = pl.col("split") == "train"
    some = dataset.requests.filter(train).gather_every(4)
    dataset.requests = pl.concat([some, dataset.requests.filter(~train)])
    return dataset


@pytest.fixture(scope="module")
def trained(dataset: PreparedDataset, hearing: FacetHearing, tmp_path_factory: pytest.TempPathFactory) -> Unicorn:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATENTCRS_TRAINING", str(tmp_path_factory.mktemp("unicorn")))
        return train_unicorn(dataset, hearing, QUICK)


def test_trained_it_talks_better_than_popularity_does(
    dataset: PreparedDataset, hearing: FacetHearing, trained: Unicorn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LATENTCRS_TRAINING", str(tmp_path))
    deaf = FacetHearing(dataset, hearing.facets)
    deaf.heard = lambda texts: np.zeros((2, len(texts), len(deaf.facets)), bool)  # type: ignore[method-assign, assignment, return-value]
    popular = AttributeFilter(dataset.training_counts, asks=False)
    popular.name = "popularity"
    plain: AskingPolicy = AttributeFilter(dataset.training_counts, asks=False)
    systems = [
        FacetDialogues(dataset, deaf, popular),
        FacetDialogues(dataset, hearing, plain),
        FacetDialogues(dataset, hearing, trained),
    ]
    user = open_user("attributes", dataset)
    found = evaluate_multi_turn(dataset, "test", systems, user, talk_rows(dataset, "test", 120)).systems
    popularity, filtered, ours = (found[system.name].all.means for system in systems)
    assert ours["s@5"] > popularity["s@5"] + 0.2 and ours["at"] < popularity["at"] - 0.5
    assert ours["s@5"] > filtered["s@5"]
    assert found["unicorn"].tokens == (0, 0)


def test_its_one_turn_order_has_what_was_asked_for_first(
    dataset: PreparedDataset, hearing: FacetHearing, trained: Unicorn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LATENTCRS_TRAINING", str(tmp_path))
    requests = dataset.requests.filter(dataset.requests["split"] == "test").head(50)
    scores = FacetDialogues(dataset, hearing, trained).scores(requests)
    assert scores.shape == (50, len(dataset.items)) and scores.dtype == np.float32
    accepted = hearing.heard(requests["text"].to_list())[0]
    matches = accepted.astype(int) @ hearing.facets.has.T
    assert (matches[np.arange(50), scores.argmax(1)] == matches.max(1)).all()
    assert len(set(scores[~accepted.any(1)].argmax(1).tolist())) > 1 or accepted.any(1).all()


def test_a_killed_training_goes_on_to_the_same_policy(
    dataset: PreparedDataset,
    hearing: FacetHearing,
    trained: Unicorn,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("LATENTCRS_TRAINING", str(tmp_path))
    true_update, left = Learner.update, iter(range(5 * QUICK.updates))

    def update(self: Learner, rng: np.random.Generator) -> float:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return true_update(self, rng)

    monkeypatch.setattr(Learner, "update", update)
    with pytest.raises(KeyboardInterrupt):
        train_unicorn(dataset, hearing, QUICK)
    assert len(list(tmp_path.glob("unicorn-*.checkpoint.safetensors"))) == 1
    calls = []
    monkeypatch.setattr(Learner, "update", lambda self, rng: calls.append(1) or true_update(self, rng))  # type: ignore[func-returns-value]
    again = train_unicorn(dataset, hearing, QUICK)
    assert len(calls) == (QUICK.rounds - 4) * QUICK.updates  # rounds 1 to 4 were in the checkpoint
    for name, tensor in trained.network.state_dict().items():
        torch.testing.assert_close(again.network.state_dict()[name], tensor, rtol=0, atol=0)
    assert not list(tmp_path.glob("*.checkpoint.safetensors"))
    reports = (load_tensors(path)[1] for path in tmp_path.glob("unicorn-*"))
    report = next(each for each in reports if "validation_return" in each)
    assert report["validation_return"] == pytest.approx(max(gain for gain, *_ in report["curve"]), abs=1e-4)
    valid = dataset.requests.filter(split="valid")
    found = played(again, practice_of(dataset, hearing, valid, QUICK.validation_rows))[1]
    assert found == pytest.approx(report["validation_return"])  # the best weights were kept
    calls.clear()
    kept = train_unicorn(dataset, hearing, QUICK)
    assert not calls
    valid = practice_of(dataset, hearing, dataset.requests.filter(split="valid"), QUICK.validation_rows)
    (one, gain), (other, same) = played(kept, valid), played(trained, valid)
    assert one.tolist() == other.tolist() and gain == same


def test_transe_of_a_data_set_brings_items_to_their_facets_and_histories_to_what_follows(
    dataset: PreparedDataset, hearing: FacetHearing, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LATENTCRS_TRAINING", str(tmp_path))
    settings = QUICK.model_copy(update={"pretraining": "transe", "rate": 0.05, "steps": 300})
    nodes, report = train_transe(dataset, hearing.facets, settings, Checkpoint(None, "transe"))
    assert report["loss"][-1] < report["loss"][0]
    items, parts, has = nodes.items.detach().numpy(), nodes.facets.detach().numpy(), hearing.facets.has
    fits = items @ parts.T  # of unit length: nearest where the product is largest
    assert fits[has].mean() > fits[~has].mean() + 0.1
    valid = practice_of(dataset, hearing, dataset.requests.filter(split="valid"), QUICK.validation_rows)
    with torch.no_grad():
        users = nodes.users(valid.histories.last(settings.newest)) - nodes.anyone  # head and relation: near the tail
    near = users.numpy() @ items.T
    assert (near[np.arange(len(valid)), valid.targets] - near.mean(1)).mean() > 0.05


def test_users_and_catalogues_without_anything_are_served(dataset: PreparedDataset) -> None:
    none = Facets((), (), np.zeros((7, 0), bool), np.zeros((7, 0), bool))
    torch.manual_seed(0)
    nodes = NodeEmbeddings(7, 0, SMALL.width, SMALL.newest)
    policy = Unicorn(nodes, QNetwork(nodes, none, SMALL), none, SMALL)
    nothing, histories = np.zeros((2, 0), bool), Histories.from_lists([[], [0, 1, 2, 3, 4, 5]])
    sessions = Sessions.begin(none, np.array([-1, -1]), histories, nothing, nothing)
    acts = policy.act(sessions)
    assert (acts.asks == RECOMMEND).all()
    assert (acts.items[0] >= 0).all() and acts.items[1].tolist() == [6, -1]
    sessions.refused(np.array([0, 1]), acts.items)
    assert policy.act(sessions).items[1].tolist() == [-1, -1]
    assert np.isfinite(policy.scores(sessions)).all()
