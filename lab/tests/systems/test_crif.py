"""Claims about CRIF: its phases are what its paper and public code say, and trained on real people it beats what asks
nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from latentcrs.data import Histories, PreparedDataset
from latentcrs.evaluate.multi_turn import evaluate_multi_turn, per_talk, talk_rows
from latentcrs.systems.asking import FacetDialogues
from latentcrs.systems.facets import Facets
from latentcrs.systems.hearing import FacetHearing
from latentcrs.systems.sessions import RECOMMEND, Sessions
from latentcrs.users.dialogue import Dialogue, SystemTurn
from latentcrs.users.open import open_user
from latentcrs_lab.systems.crif import CrifSettings, DecisionSettings, OfflineSettings, train_crif
from latentcrs_lab.systems.crif import train as training
from latentcrs_lab.systems.crif.decision import Decision, Episodes, discounted, outcomes
from latentcrs_lab.systems.crif.examples import ExampleSampler
from latentcrs_lab.systems.crif.factorisation import REFUSING, hardest, refusals
from latentcrs_lab.systems.crif.graph import Graph, trained_histories
from latentcrs_lab.systems.crif.inference import Inference
from latentcrs_lab.systems.crif.policy import Crif
from latentcrs_lab.systems.crif.practice import Playthroughs, play
from latentcrs_lab.systems.crif.preference import Preference
from latentcrs_lab.systems.crif.representation import Representation
from latentcrs_lab.systems.crif.reward import ASK, SHOW, Reward, ask_is_better, comparison_loss
from latentcrs_lab.systems.crif.tracking import FEATURES, Tracking, ordered
from latentcrs_lab.systems.practice import Practice

QUICK = CrifSettings(
    offline=OfflineSettings(width=16, batch=512, epochs=4, learning_rate=0.01),
    decision=DecisionSettings(epochs=20, batch=64),
)


@pytest.fixture(scope="module")
def dataset(small_movielens: Path) -> PreparedDataset:
    return PreparedDataset(small_movielens)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("crif")


@pytest.fixture(autouse=True)
def kept_in(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTCRS_TRAINING", str(cache))


@pytest.fixture(scope="module")
def crif(dataset: PreparedDataset, hearing: FacetHearing, cache: Path) -> Crif:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATENTCRS_TRAINING", str(cache))
        return train_crif(dataset, hearing, QUICK)


@pytest.fixture(scope="module")
def practice(dataset: PreparedDataset, hearing: FacetHearing) -> Practice:
    requests = training.practice_requests(dataset)
    return Practice(dataset, hearing.facets, requests, *hearing.heard(requests["text"].to_list()))


def an_untrained(dataset: PreparedDataset, facets: Facets, **settings: object) -> Representation:
    torch.manual_seed(0)
    made = OfflineSettings(width=8, **settings)  # type: ignore[arg-type]
    representation = Representation(Graph(dataset, facets, made.newest), made)
    torch.nn.init.normal_(representation.popularity)
    return representation


# The offline phase.


def test_a_known_user_stands_where_the_graph_has_them_and_a_new_one_between_all(
    dataset: PreparedDataset, hearing: FacetHearing
) -> None:
    graph = Graph(dataset, hearing.facets, None)
    representation = an_untrained(dataset, hearing.facets, newest=None)
    layers = [representation.embeddings]
    dense = torch.from_numpy(graph.matrix.toarray())
    for convolution in representation.convolutions:
        layers.append(F.leaky_relu(convolution(dense @ layers[-1])))
    expected = torch.stack(layers).mean(0)
    nodes = representation.nodes()
    users = np.arange(dataset.info.users)
    torch.testing.assert_close(nodes.items, expected[graph.users : graph.users + graph.items])
    torch.testing.assert_close(nodes.facets, expected[graph.users + graph.items :])
    found = representation.users(nodes, users, trained_histories(dataset))
    torch.testing.assert_close(found, expected[: graph.users])
    nobody = representation.users(nodes, np.array([-1]), Histories.from_lists([[]]))
    begins = layers[0][: graph.users].mean(0)
    once = F.leaky_relu(representation.convolutions[0](begins))
    twice = F.leaky_relu(representation.convolutions[1](once))
    torch.testing.assert_close(nobody[0], (begins + once + twice) / 3)


def test_only_the_newest_items_are_neighbours(dataset: PreparedDataset, hearing: FacetHearing) -> None:
    graph = Graph(dataset, hearing.facets, 3)
    rows, degrees = graph.neighbours(Histories.from_lists([[5, 6, 7, 8, 9], [4]]))
    assert rows.indices.tolist() == [7, 8, 9, 4] and degrees.tolist() == [4, 2]
    weights = (np.array([4, 4, 4, 2]) * graph.degrees[graph.users + rows.indices]) ** -0.5
    np.testing.assert_allclose(rows.data, weights, rtol=1e-6)
    assert (np.diff(graph.matrix.indptr)[: graph.users] <= 4).all()


def test_examples_are_what_they_are_called(dataset: PreparedDataset, hearing: FacetHearing) -> None:
    has, settings = hearing.facets.has, OfflineSettings(negatives=6, newest=20)
    drawing = ExampleSampler(dataset, hearing.facets, settings)
    rows = np.random.default_rng(0).integers(0, len(drawing), 400)
    found = drawing.draw(rows, np.random.default_rng(1))
    sequence, offsets = dataset.sequence, dataset.offsets
    asked = told = 0
    for row, (user, chosen) in enumerate(zip(found.users.tolist(), found.chosen.tolist(), strict=True)):
        trained = sequence[offsets[user] : offsets[user + 1] - 2].tolist()
        assert chosen in trained
        assert trained[: trained.index(chosen)] == found.histories[np.array([row])].pairs()[1].tolist()
        accepted = [facet for facet in found.accepted[row].tolist() if facet >= 0]
        rejected = [facet for facet in found.rejected[row].tolist() if facet >= 0]
        assert has[chosen, accepted].all() and not has[chosen, rejected].any()
        assert len(set(accepted)) == len(accepted) and bool(accepted) == bool(has[chosen].any())
        alike = [item for item in found.alike[row].tolist() if item >= 0]
        never = [item for item in found.never[row].tolist() if item >= 0]
        assert not set(alike + never) & set(trained)
        assert has[alike][:, accepted].all() and chosen not in alike and len(set(alike)) == len(alike)
        asked, told = asked + len(alike), told + len(rejected)
        more, lacking = found.facets[row].tolist()
        assert more < 0 or (has[chosen, more] and more not in accepted)
        assert lacking < 0 or not has[chosen, lacking]
    assert asked > 400 and told > 200


def test_the_best_are_refused_and_of_the_others_the_hardest_counts() -> None:
    table = torch.tensor([0.1, 0.9, 0.5, 0.7, 0.2])

    def scores(users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        return table[items] * users

    items = torch.tensor([[0, 1, 2, 3], [4, 2, -1, -1], *[[2, 0, -1, 1]] * (2 * REFUSING - 2)])
    users = torch.ones(2 * REFUSING, 1)
    refused, left = refusals(scores, users, items, 2)
    assert refused.tolist() == [[1, 3], [2, 4]]
    assert left[:3].tolist() == [[2, 0], [-1, -1], [2, 0]] and len(left) == 2 * REFUSING
    assert hardest(scores, users, left)[:3].tolist() == [2, -1, 2]
    assert hardest(scores, -users, left)[:3].tolist() == [0, -1, 0]


# Inference.


def test_inference_moves_a_user_away_from_what_accepted_facets_do_not_explain() -> None:
    inference = Inference(2)
    with torch.no_grad():
        inference.gate.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
        inference.strength.fill_(0.5)
    refused = torch.tensor([[[1.0, 1.0], [2.0, 0.0], [9.0, 9.0]]])
    facets = torch.tensor([[[0.5, 0.5], [1.0, -1.0]]])
    own = torch.tensor([[[True, True], [False, False], [False, False]]])
    moved = inference(torch.tensor([[3.0, 3.0]]), refused, torch.tensor([[True, True, False]]), facets, own)
    # Facet 1 matches item 1 by tanh(1), gated to (0.5, 1); facet 2 by tanh(0) = 0; each counts half.
    first = np.array([1.0, 1.0]) - np.tanh(1.0) / 2 * np.array([0.5, 1.0])
    expected = 3.0 - 0.5 * (first + np.array([2.0, 0.0])) / 2
    np.testing.assert_allclose(moved.detach().numpy()[0], expected, rtol=1e-6)


def test_scores_are_those_of_the_formula(dataset: PreparedDataset, hearing: FacetHearing) -> None:
    facets = hearing.facets
    representation = an_untrained(dataset, facets)
    torch.nn.init.constant_(representation.inference.strength, 0.7)
    histories = dataset.histories(np.array([3, 4, 0]), np.array([9, 4, 0]))
    accepted, rejected = np.zeros((2, 3, len(facets)), bool)
    accepted[0, [0, 12]], rejected[0, 5], accepted[1, 14] = True, True, True
    sessions = Sessions.begin(facets, np.array([3, 4, -1]), histories, accepted, rejected)
    refused = np.array([[100, 101, -1], [200, 7, 30]])
    sessions.refused(np.array([0, 1]), refused)
    found = Preference(representation, facets).scores(sessions)
    with torch.no_grad():
        nodes = representation.nodes()
        users = representation.users(nodes, sessions.users, histories)
        for row, shown in enumerate(([100, 101], [200, 7, 30], [])):
            user = users[row]
            if shown:
                wrong = []
                for item in shown:
                    own = [facet for facet in np.flatnonzero(accepted[row]) if facets.has[item, facet]]
                    part = torch.zeros(8)
                    for facet in own:
                        e_a, e_v = nodes.facets[facet], nodes.items[item]
                        part = part + torch.tanh(e_a @ e_v) * representation.inference.gate(e_a) * e_v / len(own)
                    wrong.append(nodes.items[item] - part)
                user = user - 0.7 * torch.stack(wrong).mean(0)
            expected = torch.tanh(nodes.items @ user) + representation.popularity
            for facet in np.flatnonzero(accepted[row]):
                expected = expected + torch.tanh(nodes.items @ nodes.facets[facet])
            for facet in np.flatnonzero(rejected[row]):
                expected = expected - torch.tanh(nodes.items @ nodes.facets[facet])
            np.testing.assert_allclose(found[row], expected.numpy(), atol=1e-5)


# Tracking.


HAS = np.array([[1, 1, 0], [1, 0, 1], [1, 0, 0], [1, 1, 1], [0, 1, 1]], bool)
"""Five items, three facets."""


@pytest.fixture
def facets() -> Facets:
    return Facets(("genres",) * 3, ("Comedy", "Drama", "War"), HAS, np.ones_like(HAS))


def begun(facets: Facets, accepted: list[int], rejected: list[int], history: list[int]) -> Sessions:
    said = np.zeros((2, 1, len(facets)), bool)
    said[0, 0, accepted], said[1, 0, rejected] = True, True
    return Sessions.begin(facets, np.array([-1]), Histories.from_lists([history]), said[0], said[1])


def test_candidates_have_what_was_accepted_and_lack_what_was_rejected(facets: Facets) -> None:
    tracking = Tracking(facets, 5, 5)
    sessions = begun(facets, [0], [2], [])
    fits = tracking.fits(sessions)
    assert fits.tolist() == [[1, 0, 1, 0, -1]]
    assert tracking.candidates(sessions, fits).tolist() == [[True, False, True, False, False]]
    keys = ordered(fits, np.array([[0.1, 9.0, 0.3, 8.0, 7.0]], np.float32))
    assert np.argsort(-keys[0]).tolist() == [2, 0, 1, 3, 4]
    sessions.refused(np.array([0]), np.array([[0, 2]]))
    assert tracking.candidates(sessions, fits).tolist() == [[False, True, False, True, False]]


def test_the_question_is_the_one_whose_answer_is_least_known(facets: Facets) -> None:
    tracking, sessions = Tracking(facets, 5, 5), begun(facets, [0], [], [])
    even = np.array([[1, 1, 1, 1, 0]], np.float32)
    question, can_ask = tracking.questions(sessions, even)
    assert question.tolist() == [1] and can_ask.tolist() == [True]  # both split two and two: the first
    sure = np.array([[0.9, 0.04, 0.03, 0.03, 0]], np.float32)
    # Drama has 0.93 of the weight, War 0.07: as even. Weight on the second item makes War the better question.
    assert tracking.questions(sessions, sure + np.array([[0, 0.4, 0, 0, 0]], np.float32))[0].tolist() == [2]
    sessions.answered(np.array([0]), np.array([1]), np.array([1], np.int8))
    sessions.answered(np.array([0]), np.array([2]), np.array([0], np.int8))
    assert not tracking.questions(sessions, even)[1].any()


def test_the_state_counts_answers_and_bins_the_candidates(facets: Facets) -> None:
    tracking, sessions = Tracking(facets, 5, 1), begun(facets, [], [], [])
    for facet, answer in ((0, 1), (1, 0), (2, -1)):
        sessions.answered(np.array([0]), np.array([facet]), np.array([answer], np.int8))
    sessions.turns[:] = 4
    candidates = np.array([[True, True, False, False, False]])
    state = tracking.states(sessions, candidates)[0]
    assert len(state) == FEATURES
    np.testing.assert_allclose(state[:4], [0.2, 0.2, 0.2, 0.2])
    assert state[4:].tolist() == [0, 1, 0, 0, 0, 0, 0, 0]  # two candidates: more than one list, not more than five


# The decision.


def a_session(ranks: list[int], sizes: list[int], shown: int = 5) -> Playthroughs:
    there = np.ones((1, len(ranks)), bool)
    found = (np.array([ranks]) < shown) & there
    states = np.zeros((1, len(ranks), FEATURES), np.float32)
    return Playthroughs(states, there, found, np.array([ranks]), np.array([sizes]))


def test_the_better_act_is_what_somebody_who_knows_the_target_prefers() -> None:
    def better(now: tuple[int, int], ask: tuple[int, int], show: tuple[int, int]) -> bool:
        played = a_session([now[0], ask[0], show[0]], [now[1], ask[1], show[1]])
        return bool(ask_is_better(played, 5)[0, 0])

    assert better((20, 90), (6, 40), (15, 85))
    assert not better((20, 90), (16, 20), (15, 85))  # near the front only the target's place counts
    assert better((60, 90), (58, 20), (55, 85))  # far from it so does how many are left
    assert not better((4, 90), (0, 2), (4, 90))  # the list has it
    played = a_session([60, 10, 55], [90, 20, 85])
    assert not ask_is_better(played, 5)[0, 1:].any()  # on the last turn there is nothing to ask for


def test_the_reward_learns_what_is_preferred() -> None:
    torch.manual_seed(0)
    reward, states = Reward(64), torch.eye(FEATURES)[:2].repeat(50, 1)
    wanted = torch.tensor([True, False]).repeat(50)
    adam = torch.optim.Adam(reward.parameters(), lr=0.003)
    for _ in range(100):
        adam.zero_grad()
        comparison_loss(reward(states), wanted).backward()
        adam.step()
    earned = reward(states[:2]).detach()
    assert earned[0, ASK] > earned[0, SHOW] and earned[1, SHOW] > earned[1, ASK]
    assert earned.abs().max() <= 0.1


def test_returns_are_discounted_and_end_with_success_or_failure() -> None:
    settings = DecisionSettings(turns=2, discount=0.5, found=1.0, turn=-0.1, quits=-0.3)
    # Session 7 asks and then fails, session 2 finds at once.
    episodes = Episodes(
        np.array([7, 2, 7]), np.array([0, 0, 1]), np.array([ASK, SHOW, SHOW]), np.array([False, True, False])
    )
    earned = np.array([[0.05, 0.0], [0.0, 0.02], [0.0, -0.04]], np.float32)
    last = -0.04 - 0.1 - 0.3
    raw = np.array([0.05 - 0.1 + 0.5 * last, 0.02 - 0.1 + 1.0, last])
    np.testing.assert_allclose(discounted(episodes, earned, settings), (raw - raw.mean()) / raw.std(), rtol=1e-4)


class Mixed(Decision):
    """Asks in about half of the states."""

    def asks(self, states: np.ndarray) -> np.ndarray:
        return (np.round(states.sum(1) * 7) + states[:, 4:].argmax(1)) % 2 == 0


def test_sessions_played_in_advance_end_as_they_do_turn_by_turn(crif: Crif, practice: Practice) -> None:
    decision = Mixed(4)
    found = outcomes(play(practice, crif.turn, 5), decision)
    policy, asked = Crif(crif.turn, decision), 0
    rows = np.arange(len(practice))
    sessions, expected = practice.begin(rows), np.zeros(len(rows), np.int64)
    for turn in range(1, 6):
        acts = policy.act(sessions)
        asked += (acts.asks != RECOMMEND).sum()
        if turn == 5:  # the policy does not ask on the last turn; what was played in advance could
            assert (acts.asks == RECOMMEND).all()
            break
        shown = practice.step(sessions, acts, practice.targets[rows])
        expected[rows[shown >= 0]] = turn
        sessions, rows = sessions.some(np.flatnonzero(shown < 0)), rows[shown < 0]
    assert asked > 20
    early = (found > 0) & (found < 5)
    np.testing.assert_array_equal(np.where(early, found, 0), expected)


# Trained.


class Popular:
    """Shows the most popular items that it has not shown."""

    name = "popularity"

    def __init__(self, dataset: PreparedDataset) -> None:
        self._order = np.argsort(-dataset.training_counts, kind="stable").tolist()

    def meet(self, dialogues: list[Dialogue]) -> None: ...

    def reply(self, dialogues: list[Dialogue]) -> list[SystemTurn]:
        return [self._next(dialogue) for dialogue in dialogues]

    def _next(self, dialogue: Dialogue) -> SystemTurn:
        gone = {*dialogue.history.tolist(), *(item for shown in dialogue.shown for item in shown.items)}
        return SystemTurn(tuple([item for item in self._order if item not in gone][:5]))

    def tokens(self, dialogue: Dialogue) -> tuple[int, int]:
        return 0, 0


def test_it_beats_popularity_in_conversation(dataset: PreparedDataset, hearing: FacetHearing, crif: Crif) -> None:
    rows, user = talk_rows(dataset, "test", 120), open_user("attributes", dataset)
    systems = [FacetDialogues(dataset, hearing, crif), Popular(dataset)]
    found = evaluate_multi_turn(dataset, "test", systems, user, rows).systems  # type: ignore[arg-type]
    ours, popular = (per_talk(found[name].outcomes) for name in ("crif", "popularity"))
    assert ours[:, 1].mean() > popular[:, 1].mean() + 0.3 and ours[:, 2].mean() > popular[:, 2].mean() + 0.3
    assert ours[:, 3].mean() < popular[:, 3].mean() - 1


def test_its_order_begins_with_what_has_all_facets_that_were_heard(
    dataset: PreparedDataset, hearing: FacetHearing, crif: Crif
) -> None:
    requests = dataset.requests.filter(dataset.requests["split"] == "test").head(120)
    scores = FacetDialogues(dataset, hearing, crif).scores(requests)
    accepted, rejected = hearing.heard(requests["text"].to_list())
    assert scores.shape == (len(requests), dataset.info.items) and scores.dtype == np.float32
    narrowed = 0
    for row in range(len(requests)):
        fits = hearing.facets.has[:, accepted[row]].all(1) & ~hearing.facets.has[:, rejected[row]].any(1)
        if fits.any():
            assert scores[row, fits].min() > scores[row, ~fits].max(initial=-np.inf)
            narrowed += 0 < fits.sum() < len(fits)
    assert narrowed > 60


def test_who_somebody_is_decides_among_what_fits(dataset: PreparedDataset, hearing: FacetHearing, crif: Crif) -> None:
    histories = dataset.histories(np.array([0, 1, 0]), np.array([8, 8, 8]))
    nothing = np.zeros((3, len(hearing.facets)), bool)
    sessions = Sessions.begin(hearing.facets, np.array([0, 1, -1]), histories, nothing, nothing)
    orders = np.argsort(-crif.scores(sessions), axis=1)[:, :20].tolist()
    assert orders[0] != orders[1] and orders[0] != orders[2]


def test_a_killed_training_ends_as_one_that_was_not(
    dataset: PreparedDataset, hearing: FacetHearing, crif: Crif, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTCRS_TRAINING", str(tmp_path))
    whole, count = ExampleSampler.draw, 0

    def killed(self: ExampleSampler, rows: np.ndarray, rng: np.random.Generator) -> object:
        nonlocal count
        count += 1
        if count == 2 * -(-len(self) // 512) + 3:
            raise KeyboardInterrupt
        return whole(self, rows, rng)

    with monkeypatch.context() as patch:
        patch.setattr(ExampleSampler, "draw", killed)
        with pytest.raises(KeyboardInterrupt):
            train_crif(dataset, hearing, QUICK)
    again = train_crif(dataset, hearing, QUICK)
    for name, weights in crif.turn.preference.representation.state_dict().items():
        torch.testing.assert_close(again.turn.preference.representation.state_dict()[name], weights, rtol=0, atol=0)
    for name, weights in crif.decision.state_dict().items():
        torch.testing.assert_close(again.decision.state_dict()[name], weights, rtol=0, atol=0)
    monkeypatch.setattr(ExampleSampler, "draw", None)  # would fail: nothing is trained a third time
    kept = train_crif(dataset, hearing, QUICK)
    torch.testing.assert_close(kept.decision.state_dict(), again.decision.state_dict(), rtol=0, atol=0)


def test_a_catalogue_without_facets_is_ranked_by_who_somebody_is(
    dataset: PreparedDataset, hearing: FacetHearing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTCRS_TRAINING", str(tmp_path))
    n = dataset.info.items
    nothing = Facets((), (), np.zeros((n, 0), bool), np.zeros((n, 0), bool))
    deaf = FacetHearing(dataset, nothing)
    deaf._extractor = hearing._extractor  # which has heard these requests
    settings = QUICK.model_copy(update={"offline": QUICK.offline.model_copy(update={"epochs": 1, "negatives": 2})})
    policy = train_crif(dataset, deaf, settings)
    requests = training.practice_requests(dataset)
    practice = Practice(dataset, nothing, requests, *deaf.heard(requests["text"].to_list()))
    acts = policy.act(practice.begin(np.arange(10)))
    assert (acts.asks == RECOMMEND).all() and (acts.items >= 0).all()
