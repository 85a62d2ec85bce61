"""ICLRec: SASRec with a contrast between views of a history and one with its intent (Chen et al., WWW 2022)."""

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from latentcrs.base.group import current_group
from latentcrs.behaviour.kmeans import kmeans, nearest
from latentcrs.behaviour.sasrec import SASRec, SASRecConfig


class ICLRecConfig(SASRecConfig):
    """SASRec's fields, and the published weights of the two contrasts."""

    sequence_contrast: float = Field(0.1, ge=0)
    intent_contrast: float = Field(0.1, ge=0)
    temperature: float = Field(1.0, gt=0)
    clusters: int = Field(256, ge=2)
    """Intents that the K-means of each epoch looks for."""
    crop: float = Field(0.6, gt=0, le=1)
    """Share of a history that a cropped view keeps."""
    mask: float = Field(0.3, ge=0, lt=1)
    """Share of a history that a masked view hides."""
    reorder: float = Field(0.3, ge=0, lt=1)
    """Share of a history that a reordered view shuffles."""


class ICLRec(SASRec):
    """SASRec trained with L_next + a L_sequence + b L_intent."""

    wants_epochs = True
    config: ICLRecConfig

    def __init__(self, items: int, config: ICLRecConfig, training_counts: Tensor | None = None) -> None:
        super().__init__(items, config, training_counts)
        self.centroids: Tensor | None = None

    def begin_epoch(self, embeddings: Tensor, seed: int) -> None:
        """E step: cluster the training histories' S, (users, d), into this epoch's intents."""
        clusters = min(self.config.clusters, max(2, len(embeddings) // 4))
        self.centroids = current_group().same(kmeans(F.normalize(embeddings, dim=1), clusters, seed))

    def loss(self, tokens: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        hidden, lengths = self(tokens), (targets >= 0).sum(1)
        total = self.next_item_loss(hidden, targets, weights)
        whole = F.normalize(hidden[torch.arange(len(hidden)), lengths - 1], dim=1)
        gather = current_group().gather  # a contrast is between the rows of the whole batch
        views = (gather(self._view(tokens, lengths)), gather(self._view(tokens, lengths)))
        if self.config.sequence_contrast:
            total = total + self.config.sequence_contrast * contrast(views[0], views[1], self.config.temperature)
        if self.config.intent_contrast and self.centroids is not None:
            intents = gather(nearest(whole.detach(), self.centroids))
            centres = self.centroids[intents]
            both = sum(contrast(view, centres, self.config.temperature, intents) for view in views)
            total = total + self.config.intent_contrast * both / 2
        return total

    def _view(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Unit vectors (B, d) of one random view each: cropped, masked or reordered."""
        changed, kept = augment(tokens, lengths, self.mask_token, self.config)
        return F.normalize(self(changed)[torch.arange(len(tokens)), kept - 1], dim=1)


def augment(tokens: Tensor, lengths: Tensor, mask_token: int, config: ICLRecConfig) -> tuple[Tensor, Tensor]:
    """One view of each row: a contiguous part, some items hidden, or one stretch shuffled, a third of rows each.

    tokens (B, L) aligned on the left, lengths (B,) -> (tokens (B, L), lengths (B,)).
    """
    B, L = tokens.shape
    place = torch.arange(L, device=tokens.device).expand(B, L)
    kind = torch.randint(3, (B, 1), device=tokens.device)

    def stretch(share: float) -> tuple[Tensor, Tensor]:
        size = (lengths * share).long().clamp_min(1)
        first = (torch.rand(B, device=tokens.device) * (lengths - size + 1)).long()
        return first[:, None], size[:, None]

    first, size = stretch(config.crop)
    cropped = tokens.gather(1, (place + first).clamp_max(L - 1))
    masked = tokens.masked_fill(torch.rand(B, L, device=tokens.device) < config.mask, mask_token)
    begin, span = stretch(config.reorder)
    within = (place >= begin) & (place < begin + span)
    # Sorting by place keeps everything where it is, but for the stretch, whose keys are random inside it.
    key = torch.where(within, begin + span * torch.rand(B, L, device=tokens.device), place.float())
    reordered = tokens.gather(1, key.argsort(1))
    view = torch.where(kind == 0, cropped, torch.where(kind == 1, masked, reordered))
    return view, torch.where(kind[:, 0] == 0, size[:, 0], lengths)


def contrast(views: Tensor, others: Tensor, temperature: float, same: Tensor | None = None) -> Tensor:
    """InfoNCE between paired rows, both directions, other rows of the batch as negatives.

    views, others (B, d), unit length -> scalar. `same` (B,) marks groups: a row of one's own group is no negative
    (ICLRec's false-negative mitigation).
    """
    logits = views @ others.T / temperature
    if same is not None:
        false = (same[:, None] == same[None, :]) & ~torch.eye(len(same), dtype=torch.bool, device=same.device)
        logits = logits.masked_fill(false, float("-inf"))
    pairs = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, pairs) + F.cross_entropy(logits.T, pairs)) / 2
