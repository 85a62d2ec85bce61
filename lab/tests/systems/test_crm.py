"""CRM: what its parts compute, what it learns from real people's logs, and how it does in conversation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from scipy import sparse

from latentcrs.base.checkpoint import Checkpoint
from latentcrs.base.errors import UserError
from latentcrs.data import PreparedDataset
from latentcrs.evaluate.multi_turn import per_talk, talk_rows
from latentcrs.users.attributes import AttributesUser
from latentcrs.users.conditions import Condition
from latentcrs.users.dialogue import Dialogue, dialogues_of
from latentcrs_lab.systems.crm import Crm, CrmSettings, train_crm
from latentcrs_lab.systems.crm.belief import Belief, ColumnBeliefs, tracking_loss
from latentcrs_lab.systems.crm.lessons import Lessons, UserTurns, prepare
from latentcrs_lab.systems.crm.machine import FactorisationMachine, bags_of
from latentcrs_lab.systems.crm.model import CrmModel
from latentcrs_lab.systems.crm.policy import Policy, State, max_entropy
from latentcrs_lab.systems.crm.rehearsal import Episodes, Rehearsal, Step, imitation_loss, reinforce_loss
from latentcrs_lab.systems.crm.speech import listen
from latentcrs_lab.systems.crm.train import beliefs_of_words
from latentcrs_lab.systems.crm.values import Values, shared_out

BRIEF = CrmSettings(
    listened=500, gram_width=64, hidden=64, tracker_rounds=5, tracker_steps=60, tracker_batch=32, tracker_rate=0.01,
    machine_rounds=4, machine_steps=60, machine_batch=256, imitation_rounds=2, reinforce_rounds=3, updates=2,
    sessions=64,
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def dataset(small_movielens: Path) -> PreparedDataset:
    return PreparedDataset(small_movielens)


@pytest.fixture(scope="module")
def values(dataset: PreparedDataset) -> Values:
    return Values.of(dataset)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("crm")


@pytest.fixture(scope="module")
def model(dataset: PreparedDataset, folder: Path) -> CrmModel:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATENTCRS_TRAINING", str(folder))
        return train_crm(dataset, BRIEF)


@pytest.fixture(scope="module")
def lessons(dataset: PreparedDataset, values: Values) -> Lessons:
    return prepare(dataset, BRIEF.model_copy(update={"listened": 150}), values)[1]


# Values and words.


def test_a_decade_is_spread_over_the_films_that_came_out_in_it(dataset: PreparedDataset, values: Values) -> None:
    nineties = Condition("year", "year", "between", low=1990, high=1999)
    wished = values.wished([nineties]).toarray()[0]
    years = dataset.items["year"].to_list()
    of_1994 = values.names.index("1994")
    assert wished[of_1994] == pytest.approx(years.count(1994) / sum(1990 <= year <= 1999 for year in years))
    assert wished.sum() == pytest.approx(1)
    assert wished[values.names.index("1989")] == 0


def test_words_of_a_plot_are_no_value(values: Values) -> None:
    assert values.wished([Condition("plot", "story", "says", "a jungle")]).nnz == 0


def test_two_genres_share_a_belief(values: Values) -> None:
    comedy, drama = (Condition("genres", "genre", "has", name) for name in ("Comedy", "Drama"))
    both = sparse.csr_matrix(values.wished([comedy, drama]).sum(0))
    found = shared_out(both, values).toarray()[0]
    assert found[values.names.index("Comedy")] == found[values.names.index("Drama")] == pytest.approx(0.5)


def test_a_name_is_heard_in_full_and_misspelt(model: CrmModel) -> None:
    heard = model.ear.hear(["something with Tom Hanks", "something with tom hnaks", "something quiet"])
    hanks = [f for f, name in enumerate(model.values.names) if name == "Tom Hanks"]
    assert hanks
    assert (heard.exact[0].toarray()[0, hanks] == 1).all() and heard.alike[0].toarray()[0, hanks].max() == 0
    assert heard.exact[1].toarray()[0, hanks].max() == 0 and (heard.alike[1].toarray()[0, hanks] > 0.2).all()
    assert heard.exact[2].nnz == 0


# The tracker.


def _genres(model: CrmModel, *turns: str) -> dict[str, float]:
    """How likely each genre is wanted after `turns`, and that nothing was said of genres."""
    heard = model.ear.hear(turns)
    said = np.arange(len(turns))[None, :]
    belief = model.tracker.believe(heard, said, np.zeros_like(said))
    column = model.values.columns.index("genres")
    block = model.values.blocks[column]
    likely = belief.values.toarray()[0, block]
    return {**dict(zip(model.values.names[block], likely, strict=True)), "unsaid": float(belief.unsaid[0, column])}


def test_the_tracker_hears_a_genre_in_other_words_than_its_name(model: CrmModel) -> None:
    plain, funny = (
        _genres(model, text) for text in ("A movie from the 90s, please", "A funny movie from the 90s, please")
    )
    assert funny["Comedy"] > 2 * plain["Comedy"]
    assert max(set(funny) - {"unsaid"}, key=funny.__getitem__) == "Comedy"


def test_the_tracker_hears_that_no_genre_was_named(model: CrmModel) -> None:
    named, unnamed = (_genres(model, f"A {noun} directed by Steven Spielberg, please") for noun in ("comedy", "film"))
    assert unnamed["unsaid"] > 2 * named["unsaid"]


def test_a_later_turn_adds_to_what_was_said_before(model: CrmModel) -> None:
    before = _genres(model, "A film from the 80s, please")
    after = _genres(model, "A film from the 80s, please", "Not these. It should be a western.")
    assert after["Western"] > 10 * before["Western"] and after["Western"] > 0.2


def test_a_belief_does_not_depend_on_the_sessions_beside_it(model: CrmModel) -> None:
    heard = model.ear.hear(["a drama with Tom Hanks", "an action film by Ridley Scott", "Julia Roberts"])
    said, asked = np.arange(3)[:, None], np.zeros((3, 1), np.int64)
    together, alone = model.tracker.believe(heard, said, asked), model.tracker.believe(heard, said[:1], asked[:1])
    np.testing.assert_allclose(together.values[0].toarray(), alone.values.toarray(), atol=1e-5)
    np.testing.assert_allclose(together.entropy[:1], alone.entropy, atol=1e-5)
    np.testing.assert_allclose(together.top[:1], alone.top, atol=1e-5)


def test_tracking_loss_equals_the_one_computed_by_hand() -> None:
    # One column of three values, of which the third is not told apart; wanted: half the first, half the second.
    p = torch.tensor([[[0.2, 0.4, 0.3, 0.1]]])
    wanted = sparse.csr_matrix(np.array([[0.5, 0.5, 0]], np.float32))
    tracked = ColumnBeliefs(np.array([0, 1]), [p.log()], np.array([1]))
    assert float(tracking_loss(tracked, [wanted])) == pytest.approx(-0.5 * np.log(0.4) - 0.5 * np.log(0.3), abs=1e-6)
    nothing = sparse.csr_matrix((1, 3), dtype=np.float32)
    assert float(tracking_loss(tracked, [nothing])) == pytest.approx(-np.log(0.2), abs=1e-6)


# The machine.


def test_the_machine_orders_items_as_all_pairs_of_features_would() -> None:
    torch.manual_seed(0)
    has = sparse.csr_matrix(np.array([[1, 0, 1], [0, 1, 0], [1, 1, 0]], np.float32))
    machine = FactorisationMachine(2, np.array([3, 1, 2]), has, 4, attributes=False)
    belief = np.array([[0.7, 0.0, 0.3]], np.float32)
    with torch.no_grad():
        query = machine.query(torch.tensor([1]), machine.wishes(*bags_of(sparse.csr_matrix(belief))))
        found = (query @ machine.items().T)[0].numpy()
        by_hand = []
        for item in range(3):
            features = [(machine.user.weight[1], 1.0), (machine.item.weight[item], 1.0)]
            features += [(machine.wish.weight[f], float(belief[0, f])) for f in range(3)]
            pairs = [(a, b) for place, a in enumerate(features) for b in features[place + 1 :]]
            by_hand.append(float(machine.bias[item] + sum((v @ w) * x * y for (v, x), (w, y) in pairs)))
    np.testing.assert_allclose(found - found[0], np.array(by_hand) - by_hand[0], rtol=1e-4, atol=1e-6)


def test_with_attributes_an_item_is_its_number_and_its_values() -> None:
    has = sparse.csr_matrix(np.array([[1, 0, 1], [0, 1, 0]], np.float32))
    machine = FactorisationMachine(1, np.array([3, 1]), has, 4, attributes=True)
    with torch.no_grad():
        expected = machine.item.weight[0] + machine.trait.weight[0] + machine.trait.weight[2]
        torch.testing.assert_close(machine.items()[0, 1:], expected)


def test_somebody_new_is_the_mean_of_all_users() -> None:
    machine = FactorisationMachine(5, np.ones(2, np.int64), sparse.csr_matrix((2, 1), dtype=np.float32), 4, False)
    with torch.no_grad():
        torch.testing.assert_close(
            machine.people(torch.tensor([-1, 2])), torch.stack([machine.user.weight.mean(0), machine.user.weight[2]])
        )


# The policy.


def _state(asked: list[bool], turns: int, unsaid: list[float], width: int = 4) -> State:
    count = len(asked)
    some = torch.full((1, count), 0.5)
    belief = Belief(sparse.csr_matrix((1, 3), dtype=np.float32), torch.tensor([unsaid]), some, some)
    return State(belief, torch.zeros(1, width), np.array([asked]), np.array([turns]))


def test_the_policy_asks_about_no_column_twice_and_nothing_in_the_last_turn() -> None:
    policy = Policy(columns=2, width=4, hidden=8, turns=5)
    with torch.no_grad():
        first = policy(_state([True, False], 1, [1.0, 1.0])).exp()[0]
        last = policy(_state([False, False], 4, [1.0, 1.0])).exp()[0]
    assert first[0] == 0 and first[1] > 0 and float(first.sum()) == pytest.approx(1)
    assert last.tolist() == [0, 0, 1]


def test_the_rule_asks_about_the_column_with_the_largest_entropy() -> None:
    # Four items: all alike in the first column, all different in the second.
    has = sparse.csr_matrix(np.concatenate([np.ones((4, 1)), np.eye(4)], 1).astype(np.float32))
    blocks, scores = [slice(0, 1), slice(1, 5)], torch.zeros(1, 4)
    assert max_entropy(_state([False, False], 0, [1.0, 1.0]), scores, has, blocks, 2).tolist() == [1]
    assert max_entropy(_state([False, False], 0, [1.0, 0.1]), scores, has, blocks, 2).tolist() == [0]
    assert max_entropy(_state([True, True], 2, [1.0, 1.0]), scores, has, blocks, 2).tolist() == [2]


def test_reinforce_loss_equals_the_one_computed_by_hand() -> None:
    log_p = torch.log(torch.tensor([[0.25, 0.75], [0.5, 0.5]]))
    steps = [Step(log_p, np.array([1, 0]), np.array([0, 1]))]
    played = Episodes(steps, np.array([[1.0, 0.0], [-1.0, -1.0]]), np.array([1, 0]))  # returns 1 and -2, mean -0.5
    expected = -(1.5 * np.log(0.75) - 1.5 * np.log(0.5)) / 2
    assert float(reinforce_loss(played, 0.0)) == pytest.approx(expected, abs=1e-5)


# Learning.


def test_what_users_tell_is_true_of_their_target(dataset: PreparedDataset, lessons: Lessons) -> None:
    speech = lessons.tracking.speech
    said, _ = speech.drawn(np.arange(len(lessons.tracking)), 5, 0.5, np.random.default_rng(0))
    rows = dataset.items.rows(named=True)
    told = [state.tolil().rows for state in speech.conditions(said)]
    assert sum(len(indices) for indices in told[-1]) > 3 * len(said)
    for turn in told:
        for target, indices in zip(lessons.tracking.targets.tolist(), turn, strict=True):
            assert all(lessons.table.conditions[index].holds(rows[target]) for index in indices)


def test_the_machine_learns_from_no_row_of_the_policy_or_of_a_held_out_item(
    dataset: PreparedDataset, lessons: Lessons
) -> None:
    users, items = lessons.log(dataset)
    pairs = set(zip(users.tolist(), items.tolist(), strict=True))
    assert len(pairs) == len(dataset.sequence) - 2 * dataset.info.users - len(lessons.practice)
    for spoken in (lessons.practice, lessons.judged):
        assert not pairs & set(zip(spoken.users.tolist(), spoken.targets.tolist(), strict=True))


def test_drawn_beliefs_are_about_values_that_the_items_have(lessons: Lessons) -> None:
    items = np.arange(200)
    drawn = lessons.drawn(items, 6, np.random.default_rng(0))
    years = lessons.values.blocks[lessons.values.columns.index("year")]
    elsewhere = (drawn.toarray() > 0) & (lessons.values.has[items].toarray() == 0)
    elsewhere[:, years] = False  # "before 1990" is about other years too
    assert not elsewhere.any() and drawn.nnz > 200


def test_beliefs_of_words_stand_in_the_order_of_their_rows(model: CrmModel, lessons: Lessons) -> None:
    spoken = lessons.tracking
    spoken = UserTurns(spoken.rows, spoken.speech, model.ear.hear(spoken.speech.texts))
    found = beliefs_of_words(model, spoken, times=2)
    assert found.shape == (2 * len(spoken), len(model.values))
    own = model.values.has[np.tile(spoken.targets, 2)]
    others = model.values.has[np.roll(np.tile(spoken.targets, 2), 1)]
    assert found.multiply(own).sum() > 2 * found.multiply(others).sum()


def test_a_catalogue_without_columns_is_refused(small_movielens: Path) -> None:
    bare = PreparedDataset(small_movielens)
    bare.info = bare.info.model_copy(update={"columns": {"plot": "text"}})
    with pytest.raises(UserError, match="none with a value"):
        train_crm(bare, BRIEF)


def test_a_killed_training_goes_on_to_the_same_weights(
    dataset: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brief = BRIEF.model_copy(
        update={
            "listened": 60,
            "tracker_steps": 5,
            "machine_steps": 5,
            "tracker_rounds": 2,
            "machine_rounds": 2,
            "reinforce_rounds": 2,
        }
    )
    monkeypatch.setenv("LATENTCRS_TRAINING", str(tmp_path / "whole"))
    whole = train_crm(dataset, brief)
    monkeypatch.setenv("LATENTCRS_TRAINING", str(tmp_path / "killed"))
    save, saved = Checkpoint.save, []

    def killed(checkpoint: Checkpoint, *parts: object) -> None:
        save(checkpoint, *parts)
        saved.append(checkpoint.path)
        if len(saved) in (1, 3, 7):  # in the tracker, in the machine, in the policy
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "save", killed)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            train_crm(dataset, brief)
    resumed = train_crm(dataset, brief)
    assert len(set(saved)) == 4
    for part in ("tracker", "machine", "policy"):
        for name, tensor in getattr(whole, part).state_dict().items():
            torch.testing.assert_close(getattr(resumed, part).state_dict()[name], tensor, rtol=0, atol=0)


def test_a_trained_model_is_kept_with_all_its_weights(
    dataset: PreparedDataset, model: CrmModel, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTCRS_TRAINING", str(folder))
    requests = dataset.requests.filter(pl.col("split") == "valid").head(20)
    kept = train_crm(dataset, BRIEF)
    assert kept is not model and kept.report == model.report
    np.testing.assert_array_equal(Crm(dataset, kept).scores(requests), Crm(dataset, model).scores(requests))


# In conversation.


def _talk(dataset: PreparedDataset, model: CrmModel, rows: pl.DataFrame) -> tuple[list[Dialogue], np.ndarray]:
    """Conversations with the real simulator, and the turn that showed each target (0: none)."""
    user, system = AttributesUser(dataset), Crm(dataset, model)
    dialogues = dialogues_of(dataset, rows)
    outcomes = np.zeros(len(dialogues), np.int64)
    system.meet(dialogues)
    for turn in range(1, 6):
        going = [place for place in range(len(dialogues)) if not outcomes[place]]
        now = [dialogues[place] for place in going]
        user.speak(now)
        for place, answer in zip(going, system.reply(now), strict=True):
            dialogues[place].shown.append(answer)
            if dialogues[place].target in answer.items:
                outcomes[place] = turn
    return dialogues, outcomes


class _AsksOnce:
    """Asks about `column` in the first turn, where there is one, and shows items ever after."""

    def __init__(self, columns: int, column: int | None) -> None:
        self.columns, self.column = columns, column

    def __call__(self, state: State) -> torch.Tensor:
        chances = torch.zeros(len(state.turns), self.columns + 1)
        acts = np.where((state.turns == 0) & (self.column is not None), self.column or 0, self.columns)
        return chances.scatter(1, torch.from_numpy(acts)[:, None], 1.0).log()


def test_an_answer_is_heard_and_rehearsals_are_like_conversations(dataset: PreparedDataset, model: CrmModel) -> None:
    rows, columns = talk_rows(dataset, "valid", 100), model.values.columns
    speech = listen(AttributesUser(dataset), dataset, rows, columns, 5, 0, "Test")
    rehearsal = Rehearsal(dataset, model, UserTurns(rows, speech, model.ear.hear(speech.texts)))
    by_first_list = []
    for column in (None, columns.index("director")):
        policy = _AsksOnce(len(columns), column)
        _, real = _talk(dataset, replace(model, policy=policy), rows)
        rehearsed = rehearsal.play(np.arange(len(rows)), policy).outcomes  # type: ignore[arg-type]
        # What is said in a later turn depends on the items that were shown; in rehearsals those are popular ones.
        certain = 1 if column is None else 2
        np.testing.assert_array_equal(real * (real <= certain), rehearsed * (rehearsed <= certain))
        by_first_list.append((real == certain).mean())
        assert (real == 1).any() == (column is None)
    assert by_first_list[1] > by_first_list[0] + 0.05


def test_rehearsed_rewards_are_those_of_the_settings(
    dataset: PreparedDataset, model: CrmModel, lessons: Lessons
) -> None:
    spoken = UserTurns(lessons.practice.rows, lessons.practice.speech, model.ear.hear(lessons.practice.speech.texts))
    policy = _AsksOnce(len(model.values.columns), 0)
    untaught = BRIEF.model_copy(update={"attributes": False})
    ignorant = CrmModel.new(dataset, untaught, model.values, model.vocabulary, model.tracker.learned.numpy())
    played = Rehearsal(dataset, replace(model, machine=ignorant.machine), spoken).play(np.arange(len(spoken)), policy)  # type: ignore[arg-type]
    taken = np.where(played.outcomes > 0, played.outcomes, 5)
    expected = -0.1 * taken + np.where(played.outcomes > 0, 1.0, -0.5)
    np.testing.assert_allclose(played.returns[:, 0], expected)
    assert (played.outcomes == 0).any() and (played.outcomes > 0).any()


def test_the_rule_asks_nothing_in_the_last_turn(dataset: PreparedDataset, model: CrmModel, lessons: Lessons) -> None:
    spoken = UserTurns(lessons.practice.rows, lessons.practice.speech, model.ear.hear(lessons.practice.speech.texts))
    curious = replace(model, settings=model.settings.model_copy(update={"questions": 9}))
    played = Rehearsal(dataset, curious, spoken).play(np.arange(len(spoken)), model.policy, rule=True)
    assert (played.steps[3].acts < len(model.values.columns)).any()
    assert (played.steps[4].acts == len(model.values.columns)).all()
    assert torch.isfinite(imitation_loss(played))


def test_crm_clears_popularity_in_conversation(dataset: PreparedDataset, model: CrmModel) -> None:
    rows = talk_rows(dataset, "test")
    _, outcomes = _talk(dataset, model, rows)
    counts = dataset.training_counts.astype(float)
    popular = np.zeros(len(rows), np.int64)
    for place, (user, cut, target) in enumerate(rows.select("user", "cut", "target").iter_rows()):
        left = counts.copy()
        left[dataset.sequence[dataset.offsets[user] : dataset.offsets[user] + cut]] = -1
        rank = int((left > left[target]).sum())
        popular[place] = rank // 5 + 1 if rank < 25 else 0
    ours, theirs = per_talk(outcomes).mean(0), per_talk(popular).mean(0)
    assert ours[1] > 2 * theirs[1] and ours[2] > 2 * theirs[2]  # S@3, S@5
    assert ours[3] < theirs[3] - 0.5  # AT


def test_crm_shows_five_new_items_or_asks_about_a_column(dataset: PreparedDataset, model: CrmModel) -> None:
    dialogues, _ = _talk(dataset, model, talk_rows(dataset, "valid", 60))
    for dialogue in dialogues:
        seen = set(dialogue.history.tolist())
        for shown in dialogue.shown:
            if shown.question is None:
                assert len(set(shown.items)) == 5 and not seen & set(shown.items)
                seen |= set(shown.items)
            else:
                assert not shown.items and shown.question.column in dataset.info.columns


def test_conversations_do_not_depend_on_those_beside_them(dataset: PreparedDataset, model: CrmModel) -> None:
    rows = talk_rows(dataset, "valid", 20)
    together, alone = _talk(dataset, model, rows)[0], _talk(dataset, model, rows[:1])[0]
    assert together[0].said == alone[0].said and together[0].shown == alone[0].shown


def test_a_visitor_without_history_is_heard_too(dataset: PreparedDataset, model: CrmModel) -> None:
    request = dataset.requests.filter(pl.col("split") == "valid").head(1)
    visitor = request.with_columns(user=pl.lit(None, pl.Int32), cut=pl.lit(None, pl.Int32), text=pl.lit("a western"))
    scores = Crm(dataset, model).scores(visitor)[0]
    best = np.argsort(-scores)[:10]
    western = [place for place, genres in enumerate(dataset.items["genres"].to_list()) if "Western" in genres]
    assert np.isfinite(scores).all()
    assert len(set(best.tolist()) & set(western)) > 10 * len(western) / len(scores) * 2
