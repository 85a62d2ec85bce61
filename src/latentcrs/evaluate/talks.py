"""Opens the systems and the simulated user of a multi-turn evaluation by their names, and lets them talk."""

from collections.abc import Sequence
from pathlib import Path

from latentcrs.base.errors import UserError
from latentcrs.evaluate.conversing import BundleDialogues, recommender_of
from latentcrs.evaluate.multi_turn import SAMPLE, MultiTurnResult, evaluate_multi_turn, talk_rows
from latentcrs.evaluate.opened import WITH_BM25, EvaluationBundle
from latentcrs.hear.hearer import Hearer
from latentcrs.hear.open import RulesBy, open_extractor
from latentcrs.llm import ChatModel
from latentcrs.store.session import Variant
from latentcrs.systems.open import LABORATORY, Conversationalist, find_system, reports_of, system_names
from latentcrs.users.open import check_user, open_user

VARIANTS = ("b", "f", "v", "b-paper", "f-paper")
REFERENCES = ("popularity", "behaviour", "text", "sum", "fusion", *WITH_BM25)
RULED = tuple(f"{name}-f" for name in REFERENCES)
"""References under the hard rules of variant F."""


def multi_turn(
    bundle: str | Path | EvaluationBundle,
    variants: Sequence[str] = ("b", "f"),
    user: str = "attributes",
    model: ChatModel | None = None,
    user_model: ChatModel | None = None,
    n: int | None = None,
    split: str = "test",
    seed: int = 0,
    rules: RulesBy = "lexical",
    dataset: str | Path | None = None,
    device: str = "auto",
    fresh: bool = False,
    transcripts: Path | None = None,
) -> MultiTurnResult:
    """Let the `variants` of a bundle, and other systems by name, talk with a simulated user about held-out items.

    variants: of `VARIANTS`, `REFERENCES`, `RULED`, and other systems (`systems.open`). user: of `USERS`.
    model: judges in variant v, hears the rules where `rules` is "llm", and answers for the systems that ask one.
    user_model: plays the user "llm"; `model` by default. n: conversations, drawn with `seed`; all where no language
    model is asked, else 500.

    Raises:
        UserError: an unknown name, a language model that is missing, or what `EvaluationBundle` refuses.
    """
    own, others = (*VARIANTS, *REFERENCES, *RULED), system_names()
    if unknown := [name for name in variants if name not in (*own, *others)]:
        known = ", ".join((*own, *others))
        raise UserError(f"There is no system {unknown[0]!r}; choose of {known}. {LABORATORY}")
    check_user(user, user_model or model)
    if split not in ("valid", "test"):
        raise UserError(f"--split {split}: choose valid or test.")
    needs = rules == "llm" or any(name == "v" or (name not in own and find_system(name).asks) for name in variants)
    if model is None and needs:
        raise UserError("variant v, rules heard by a language model, and systems that ask one need --llm.")
    opened = bundle if isinstance(bundle, EvaluationBundle) else EvaluationBundle(bundle, dataset, device)
    talker = open_user(user, opened.dataset, seed, user_model or model)
    asks = needs or user == "llm"
    rows = talk_rows(opened.dataset, split, n or (SAMPLE if asks else None), seed)
    systems = [_system(opened, name, rules, model) for name in dict.fromkeys(variants)]
    judge = model.id if model is not None and needs else None
    found = evaluate_multi_turn(
        opened.dataset,
        f"{opened.mark} {rules} {judge}",
        systems,
        talker,
        rows,
        split,
        asks,
        fresh,
        {"seed": seed, "rules": rules, "language_model": judge, "preset": opened.bundle.info.config.preset},
        transcripts,
    )
    found.about["reports"] = reports_of(systems)
    return found


def _system(opened: EvaluationBundle, name: str, rules: str, model: ChatModel | None) -> Conversationalist:
    if name not in (*VARIANTS, *REFERENCES, *RULED):
        return opened.baseline(name, model if find_system(name).asks else None)
    ruled = name.endswith("-f") or name.split("-")[0] in ("f", "v")
    ranks = name.removesuffix("-f") if name not in VARIANTS else "latentcrs-paper" if "paper" in name else "latentcrs"
    shown = f"latentcrs-{name}" if name in VARIANTS else name
    recommender = recommender_of(opened, ranks)
    asked = model if name == "v" or rules == "llm" else None
    hearer = Hearer(opened.bundle.items, opened.bundle.columns)
    hearing = open_extractor(rules, hearer, asked) if ruled else hearer
    variant: Variant = "v" if name == "v" else "f" if ruled else "b"
    return BundleDialogues(shown, recommender, hearing, variant, asked)
