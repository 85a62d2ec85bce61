"""Which words and phrases the texts of a catalogue say."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

import polars as pl
from rapidfuzz import process
from rapidfuzz.distance import OSA

from latentcrs.language.extract.english import is_english
from latentcrs.language.extract.tokens import stem

_MOST_TEXTS = 400  # in which a phrase is looked for


class Texts:
    """Which words the texts of a catalogue say."""

    def __init__(self, texts: pl.Series) -> None:
        lowered = texts.fill_null("").str.to_lowercase()
        pairs = (
            pl.DataFrame({"word": lowered.str.extract_all(r"[\p{L}\p{N}]+")})
            .with_row_index("row")
            .explode("word")
            .drop_nulls()
            .unique()
            .sort("word", "row")
        )
        words = pairs.group_by("word", maintain_order=True).len()
        ends = words["len"].cum_sum().to_list()
        self._texts = lowered
        self._rows = pairs["row"].to_numpy()
        self._where = dict(zip(words["word"].to_list(), zip([0, *ends[:-1]], ends, strict=True), strict=True))
        self._by_letter: dict[str, list[str]] = defaultdict(list)
        for word in self._where:
            if len(word) > 3:
                self._by_letter[word[0]].append(word)

    def said(self, words: Sequence[str]) -> tuple[str, ...]:
        """The words as the rule wants them: as texts have them, without a plural ending; none where no text does."""
        last = stem(words[-1])
        if len(words) > 1 and last not in self._where and words[-1] in self._where:  # "Indiana Jones"
            last = words[-1]
        if len(words) == 1:
            return (last,) if self._has_word(last) else ()
        if not all(self._has_word(word) for word in (*words[:-1], last)):
            return ()
        for end in dict.fromkeys((last, words[-1])):
            for joint in (" ", "-"):
                if self._has_phrase([*words[:-1], end], joint):
                    return (joint.join([*words[:-1], end]),)
        return ()

    def put_right(self, word: str) -> str | None:
        """The word of the texts that `word` is a slip of."""
        if len(word) < 5 or word in self._where or is_english(word):
            return None
        near = process.extractOne(word, self._by_letter.get(word[0], []), scorer=OSA.distance, score_cutoff=1)
        return str(near[0]) if near else None

    def _has_word(self, word: str) -> bool:
        """Whether a text has `word`, a plural ending apart."""
        base = word.removesuffix("s") or word
        return any(form in self._where for form in (word, base, base + "s", base + "es", base[:-1] + "ies"))

    def _has_phrase(self, words: Sequence[str], joint: str) -> bool:
        """Whether one of the texts with its rarest word has the phrase."""
        spans = [self._where.get(word, (0, 0)) for word in words[:-1]]
        start, end = min(spans, key=lambda span: span[1] - span[0])
        pattern = re.compile(rf"(?:^|\W){re.escape(joint.join(words).removesuffix('s'))}(?:s|es)?(?:\W|$)")
        rows = self._rows[start : min(end, start + _MOST_TEXTS)].tolist()
        return any(pattern.search(self._texts[row]) for row in rows)

    def count(self, word: str) -> int:
        """How many texts have exactly this word."""
        start, end = self._where.get(word, (0, 0))
        return end - start

    def __len__(self) -> int:
        return len(self._texts)
