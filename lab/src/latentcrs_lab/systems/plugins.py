"""The systems as `latentcrs` finds them, by entry point: each is imported when it is opened."""

from __future__ import annotations

from latentcrs.systems.open import Baseline, System, SystemParts


def _crm(parts: SystemParts) -> Baseline:
    from latentcrs_lab.systems.crm import Crm, train_crm

    return Crm(parts.dataset, train_crm(parts.dataset))


def _unicorn(parts: SystemParts) -> Baseline:
    from latentcrs.systems.asking import FacetDialogues
    from latentcrs.systems.facets import Facets
    from latentcrs.systems.hearing import FacetHearing
    from latentcrs_lab.systems.unicorn import train_unicorn

    hearing = FacetHearing(parts.dataset, Facets.of(parts.dataset))
    return FacetDialogues(parts.dataset, hearing, train_unicorn(parts.dataset, hearing))


def _crif(parts: SystemParts) -> Baseline:
    from latentcrs.systems.asking import FacetDialogues
    from latentcrs.systems.facets import Facets
    from latentcrs.systems.hearing import FacetHearing
    from latentcrs_lab.systems.crif import train_crif

    hearing = FacetHearing(parts.dataset, Facets.of(parts.dataset))
    return FacetDialogues(parts.dataset, hearing, train_crif(parts.dataset, hearing))


def _zero_shot(parts: SystemParts) -> Baseline:
    from latentcrs_lab.systems.zero_shot import ZeroShot

    assert parts.model is not None
    return ZeroShot(parts.dataset, parts.recommender, parts.behaviour, parts.model)


def _chat_rec(parts: SystemParts) -> Baseline:
    from latentcrs_lab.systems.chat_rec import ChatRec

    assert parts.model is not None
    return ChatRec(parts.dataset, parts.recommender, parts.behaviour, parts.model)


def _interec(parts: SystemParts) -> Baseline:
    from latentcrs_lab.systems.interec import InteRecAgent

    assert parts.model is not None
    return InteRecAgent(parts.dataset, parts.recommender, parts.behaviour, parts.model)


crm = System(_crm, "CRM")
unicorn = System(_unicorn, "UNICORN")
crif = System(_crif, "CRIF")
zero_shot = System(_zero_shot, "zero-shot LLM", asks=True)
chat_rec = System(_chat_rec, "Chat-Rec", asks=True)
interec = System(_interec, "InteRecAgent", asks=True)
