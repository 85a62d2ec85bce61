"""Claims about Algorithm 1, most on real rows: it hears words, climbs its bound, goes on where it stopped."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from elbo import elbo
from torch import Tensor
from torch.nn import functional as F

from latentcrs.base.checkpoint import Checkpoint
from latentcrs.behaviour.kmeans import kmeans
from latentcrs.data import Histories
from latentcrs.fit.training import Inputs
from latentcrs.intent import EM, GenerativeModel, InferenceModel, Rows, Softmax
from latentcrs.intent.config import EMSection, ModelSection
from latentcrs.intent.em import stages
from latentcrs.intent.losses import log_posterior
from latentcrs.intent.stage import ndcg20, run_stage

K = 24
BRIEF: dict[str, Any] = {"epochs": 3, "batch": 256, "negatives": "all", "infonce": 0.1, "alpha_e": 1, "alpha_m": 1}


def people_who_say_what_they_want() -> Inputs:
    """People who like four kinds of things of eight, and ask for one of these: what they did leaves open which, what
    they say tells. Whoever hears it, and knows no more, can come to an NDCG@20 of 0.28, and without it to 0.07.
    """
    kinds, each, d, d_x = 8, 25, 16, 32
    draw = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw)

    deeds, words = 4 * F.normalize(noise(kinds, d), dim=1), F.normalize(noise(kinds, d_x), dim=1)
    kind_of = torch.arange(kinds).repeat_interleave(each)

    def said(kind: Tensor) -> Tensor:
        return F.normalize(words[kind] + noise(len(kind), d_x) / 10, dim=1)

    def rows(people: int) -> Rows:
        likes = torch.rand(people, kinds, generator=draw).argsort(1)[:, : kinds // 2]
        S, wanted = deeds[likes].mean(1) + noise(people, d) / 4, likes[:, 0]
        targets = each * wanted + torch.randint(each, (people,), generator=draw)
        return Rows(S, said(wanted), torch.arange(people), targets, Histories.from_lists([[]] * people))

    V, T, train, valid = deeds[kind_of] + noise(len(kind_of), d) / 2, said(kind_of), rows(800), rows(300)
    return Inputs(train, valid, V, T, torch.bincount(train.targets, minlength=len(V)).float(), train.S, "made up")


def em_of(inputs: Inputs, kind: type[EM] = EM, shape: dict[str, Any] | None = None, **settings: Any) -> EM:
    torch.manual_seed(0)
    M = kmeans(inputs.users, K, 0)
    config = EMSection.model_validate(BRIEF | settings)
    small = {"intents": K, "text_hidden": 32, "hidden": 32} | (shape or {})
    generative = GenerativeModel(
        M, inputs.V, inputs.T, torch.log(inputs.counts + 1), ModelSection.model_validate(small)
    )
    return kind(InferenceModel(M, inputs.V), generative, Softmax(inputs.counts, config), config)


def kept(folder: Path, fingerprint: str) -> dict[str, Checkpoint]:
    """A checkpoint for each stage of Algorithm 1."""
    return {stage: Checkpoint(folder / f"{stage}.safetensors", fingerprint) for stage in stages("variational")}


def weights(em: EM) -> dict[str, Tensor]:
    return {**em.inference.state_dict(prefix="q."), **em.generative.state_dict(prefix="fg.")}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("item_text", [False, True])
def test_the_elbo_does_not_fall_over_em_rounds(inputs: Inputs, item_text: bool) -> None:
    em = em_of(
        inputs, shape={"dropout": 0.0, "item_text": item_text},
        epochs=12, infonce=1, kl=1, alpha_e=0, alpha_m=0, learning_rate=1e-3,
    )  # fmt: skip
    rows, bounds = inputs.train, []

    def bound() -> float:
        log_f, Z, _ = em.generative(rows.S, rows.X())
        bounds.append(elbo(em.inference.log_q(rows.S), log_f, em.log_likelihood(Z, rows.targets)).item())
        return bounds[-1]

    run_stage(
        "EM", {"q": em.inference, "fg": em.generative}, {"q": em._adam(em.inference), "fg": em._adam(em.generative)},
        [("q", lambda batch: em.e_loss(rows, batch)), ("fg", lambda batch: em.m_loss(rows, batch))],
        bound, len(rows), em.config, Checkpoint(None, ""), keep_start=True,
    )  # fmt: skip
    assert len(bounds) == 13
    falls = [before - after for before, after in pairwise(bounds)]
    assert max(falls) < 1e-4
    assert bounds[-1] > bounds[0] + 0.3


def test_each_step_climbs_the_elbo_by_itself(inputs: Inputs) -> None:
    em = em_of(inputs, shape={"dropout": 0.0}, infonce=1, kl=1, alpha_e=0, alpha_m=0)
    rows, everything = inputs.train, torch.arange(len(inputs.train))
    for module, loss in ((em.generative, em.m_loss), (em.inference, em.e_loss)):
        optimizer, bounds = torch.optim.SGD(module.parameters(), lr=1e-3), []
        for _ in range(6):
            with torch.inference_mode():
                log_f, Z, _ = em.generative(rows.S, rows.X())
                bounds.append(elbo(em.inference.log_q(rows.S), log_f, em.log_likelihood(Z, rows.targets)).item())
            optimizer.zero_grad()
            loss(rows, everything).backward()
            optimizer.step()
        assert bounds == sorted(bounds)
        assert bounds[-1] > bounds[0]


def test_the_m_steps_loss_is_minus_the_elbo_and_the_e_steps_its_gap_to_the_likelihood(inputs: Inputs) -> None:
    em = em_of(inputs, shape={"dropout": 0.0}, infonce=1, kl=1, alpha_e=0, alpha_m=0)
    rows, batch = inputs.train, torch.arange(300)
    with torch.inference_mode():
        em.generative.W_j.mul_(20)  # items that tell intents apart: the posterior is not f
        log_f, Z, _ = em.generative(rows.S[batch], rows.X(batch))
        log_q, likelihood = em.inference.log_q(rows.S[batch]), em.log_likelihood(Z, rows.targets[batch])
        bound, evidence = elbo(log_q, log_f, likelihood), (log_f + likelihood).logsumexp(1).mean()
        assert em.e_loss(rows, batch).item() == pytest.approx((evidence - bound).item(), rel=1e-4)
        assert em.m_loss(rows, batch).item() == pytest.approx(-bound.item(), rel=1e-4)
        assert (log_posterior(log_f, likelihood) - log_f).abs().max() > 0.5


def test_the_e_step_leaves_the_generative_model_alone_and_the_m_step_the_inference_model(inputs: Inputs) -> None:
    em, batch = em_of(inputs, infonce=1), torch.arange(100)
    em.e_loss(inputs.train, batch).backward()
    assert all(parameter.grad is None for parameter in em.generative.parameters())
    assert all(parameter.grad is not None for parameter in em.inference.parameters())
    em.inference.zero_grad(set_to_none=True)
    em.m_loss(inputs.train, batch).backward()
    assert all(parameter.grad is None for parameter in em.inference.parameters())
    assert all(parameter.grad is not None for parameter in em.generative.parameters())


@pytest.mark.parametrize(("form", "negatives"), [("factorised", "all"), ("factorised", 10), ("full", "all")])
def test_the_posterior_of_real_rows_is_bayes_with_g_as_it_was_trained(
    inputs: Inputs, form: str, negatives: int | str
) -> None:
    em = em_of(inputs, shape={"form": form, "dropout": 0.0}, negatives=negatives)
    S, X, targets = inputs.train.S[:20], inputs.train.X(slice(0, 20)), inputs.train.targets[:20]
    with torch.inference_mode():
        log_f, Z, _ = em.generative(S, X)
        g = (em.generative.intent_vectors() @ em.generative.item_vectors().T).expand(20, K, -1)  # (B, K, n)
        if form == "full":
            g = g * (Z @ (em.generative.M @ em.generative.W_m).T)[:, :, None]
        of_item = g.softmax(2) if (form, negatives) == ("factorised", "all") else g.exp()
        joint = log_f.exp()[:, :, None] * of_item  # up to p(v), the same for every intent
        wanted = joint[torch.arange(20), :, targets]
        found = log_posterior(log_f, em.target_log_ratio(Z, targets)).exp()
    assert torch.allclose(found, wanted / wanted.sum(1, keepdim=True), atol=1e-5)


def test_above_the_limit_of_the_full_softmax_the_posterior_does_not_hang_on_a_draw(inputs: Inputs) -> None:
    em = em_of(inputs, full_softmax_items=100, samples=50)
    with torch.inference_mode():
        _, Z, _ = em.generative(inputs.train.S[:20], inputs.train.X(slice(0, 20)))
        first, second = (em.target_log_ratio(Z, inputs.train.targets[:20]) for _ in range(2))
    assert torch.equal(first, second)


def test_candidates_are_the_target_and_items_that_are_not(inputs: Inputs) -> None:
    softmax = Softmax(torch.ones(3), EMSection(negatives=2))
    torch.manual_seed(0)
    targets = torch.arange(3).repeat(200)
    candidates = softmax.candidates(targets, 4)
    assert torch.equal(candidates[:, 0], targets)
    assert not (candidates[:, 1:] == targets[:, None]).any()
    assert set(candidates[:, 1:].flatten().tolist()) == {0, 1, 2}


@pytest.mark.parametrize("negatives", ["all", 10])
@pytest.mark.parametrize("form", ["factorised", "full"])
def test_algorithm_1_with_words_ranks_far_better_than_the_intents_of_behaviour_alone(
    form: str, negatives: int | str
) -> None:
    inputs = people_who_say_what_they_want()
    settings = {"negatives": negatives, "epochs": 8, "batch": 64, "learning_rate": 5e-3, "infonce": 0.05}
    report = em_of(inputs, shape={"form": form}, **settings).fit(inputs.train, inputs.valid)
    alone, heard = (report[stage]["validation_ndcg@20"] for stage in ("inference", "em"))
    assert 0 < alone < 0.09 and heard > 0.18
    assert heard >= report["generative"]["validation_ndcg@20"]


def test_with_the_additions_of_the_default_preset_it_ranks_twice_as_well_as_behaviour(inputs: Inputs) -> None:
    em = em_of(inputs, shape={"item_text": True, "skip": True, "popularity": True}, epochs=4)
    em.fit(inputs.train, inputs.valid)
    assert valid_ndcg(em, inputs.valid) > 2 * ndcg20(inputs.valid.S, inputs.V, inputs.valid)


def valid_ndcg(em: EM, valid: Rows) -> float:
    with torch.inference_mode():
        return ndcg20(em.generative(valid.S, valid.X())[2], em.generative.items(), valid)


def test_a_stage_ends_with_its_best_weights_when_patience_ends(inputs: Inputs) -> None:
    # Steps this large ruin the weights soon.
    em = em_of(inputs, learning_rate=0.3, epochs=15, patience=3)
    report = em.fit(inputs.train, inputs.valid)
    for stage in ("inference", "generative", "em"):
        assert report[stage]["epochs"] == report[stage]["best_epoch"] + 3 < 15
    assert valid_ndcg(em, inputs.valid) == pytest.approx(report["em"]["validation_ndcg@20"], abs=1e-6)
    assert not em.generative.training


class Interrupted(EM):
    """Stopped by Ctrl-C at the `stop_at`-th batch of an M step."""

    stop_at = 0

    def m_loss(self, rows: Rows, batch: Tensor) -> Tensor:
        self.stop_at -= 1
        if self.stop_at == 0:
            raise KeyboardInterrupt
        return super().m_loss(rows, batch)


@pytest.mark.parametrize("round_", [1, 2, 3, 5], ids=["stage 2 begins", "in stage 2", "stage 2 ends", "in stage 3"])
def test_em_that_was_killed_goes_on_and_ends_with_the_weights_of_one_that_was_not(
    inputs: Inputs, round_: int, tmp_path: Path
) -> None:
    whole = em_of(inputs)
    whole_report = whole.fit(inputs.train, inputs.valid)
    killed = em_of(inputs, Interrupted)
    per_epoch = -(-len(inputs.train) // killed.config.batch)
    killed.stop_at = round_ * per_epoch
    with pytest.raises(KeyboardInterrupt):
        killed.fit(inputs.train, inputs.valid, kept(tmp_path, "mark"))
    resumed = em_of(inputs, Interrupted)
    torch.manual_seed(99)  # another process, in another state
    report = resumed.fit(inputs.train, inputs.valid, kept(tmp_path, "mark"))
    assert -resumed.stop_at == (6 - round_ + 1) * per_epoch  # whole epochs were not trained again
    assert same(weights(resumed), weights(whole))
    for stage in ("inference", "generative", "em"):
        assert report[stage] == whole_report[stage]


def test_a_checkpoint_of_other_data_is_not_used(inputs: Inputs, tmp_path: Path) -> None:
    em_of(inputs).fit(inputs.train, inputs.valid, kept(tmp_path, "one"))
    other = em_of(inputs, Interrupted)
    other.fit(inputs.train, inputs.valid, kept(tmp_path, "other"))
    assert -other.stop_at == 6 * -(-len(inputs.train) // other.config.batch)


MEASURE = """
import sys
import torch
from latentcrs.data import Histories
from latentcrs.intent import EM, GenerativeModel, InferenceModel, Rows, Softmax
from latentcrs.intent.config import EMSection, ModelSection

form, negatives, most = sys.argv[1], sys.argv[2], int(sys.argv[3])
K, B, n, d, d_x = 512, 480, 3533, 64, 384
torch.manual_seed(0)
M, V, T = torch.randn(K, d), torch.randn(n, d), torch.randn(n, d_x)
additions = {"item_text": True, "skip": True, "popularity": True}
config = EMSection(negatives=negatives if negatives == "all" else int(negatives), infonce=1, full_softmax_items=most)
nobody = Histories.from_lists([[]] * B)
rows = Rows(torch.randn(B, d), torch.randn(B, d_x), torch.arange(B), torch.randint(n, (B,)), nobody)
generative = GenerativeModel(M, V, T, torch.zeros(n), ModelSection(intents=K, form=form, **additions))
em = EM(InferenceModel(M, V), generative, Softmax(torch.ones(n), config), config)
for loss in (em.m_loss, em.e_loss):
    loss(rows, torch.arange(B)).backward()
with open("/proc/self/status") as status:
    print(next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the peak memory is read from Linux's /proc")
@pytest.mark.parametrize(
    ("form", "negatives", "most"),
    [
        ("factorised", "all", 50_000),
        ("factorised", "all", 1000),
        ("factorised", "10", 50_000),
        ("full", "all", 50_000),
    ],
    ids=["full softmax", "sampled softmax", "ten negatives", "full form"],
)
def test_an_m_and_an_e_step_at_the_papers_size_stay_under_2_gib(form: str, negatives: str, most: int) -> None:
    # 480 x 512 x 3,533 numbers of four bytes would be 3.2 GiB. VmHWM and not ru_maxrss: the latter is inherited from
    # the process that starts this one, so it would measure pytest.
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE, form, negatives, str(most)], capture_output=True, text=True, check=True
    )
    assert 50 < float(ran.stdout) < 2048  # MiB


@pytest.mark.parametrize("negatives", ["all", 10])
@pytest.mark.parametrize(
    "shape", [{"item_text": True, "skip": True, "popularity": True}, {"form": "full"}], ids=["additions", "full form"]
)
def test_a_step_on_a_large_catalogue_computes_the_items_it_needs_and_learns_as_well(
    inputs: Inputs, shape: dict[str, Any], negatives: str | int
) -> None:
    asked: list[int] = []

    class Watched(GenerativeModel):
        def content(self, rows: Tensor | None = None) -> Tensor:
            asked.append(len(self.V) if rows is None else len(rows))
            return super().content(rows)

    settings = {"full_softmax_items": len(inputs.V) - 1, "samples": 50, "negatives": negatives, "epochs": 4}
    em = em_of(inputs, shape=shape, **settings)
    em.generative.__class__ = Watched
    batch = torch.arange(16)
    em.m_loss(inputs.train, batch).backward()
    em.e_loss(inputs.train, batch)
    assert asked and max(asked) <= 16 * 11 < len(inputs.V)
    curve = em.fit(inputs.train, inputs.valid)["generative"]["curve"]
    whole = em_of(inputs, shape=shape, **settings | {"full_softmax_items": 50_000})
    assert max(curve) > 0.7 * max(whole.fit(inputs.train, inputs.valid)["generative"]["curve"])
