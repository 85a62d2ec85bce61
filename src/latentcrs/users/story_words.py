"""What a plot or description is about: its nouns and two-word noun phrases, found by how the texts use them.

No tagger is needed: in running English a noun shows itself by standing between a determiner and a function word or a
stop ("the *detective* who", "a *board game* and"). Words that the texts use so often enough are taken for nouns; how
they take "a", "the" or nothing tells how to say them.
"""

from __future__ import annotations

from functools import partial

import polars as pl

from latentcrs.base.words import word_list

_words = partial(word_list, "latentcrs.users", "story")
_DETERMINERS = sorted(_words("determiners"))
_PREPOSITIONS = sorted(_words("prepositions"))
_AFTER = sorted({*".,;:!?()", *_DETERMINERS, *_PREPOSITIONS, *_words("after")})
_NOT_CONTENT = sorted({*_AFTER, *_words("empty")})
_NOT_PLACES = sorted(_words("not_places"))

_TOKEN = r"[A-Za-zÀ-ÿ][A-Za-zÀ-ÿ'’\-]*|[.,;:!?()]"


def story_phrases(texts: pl.DataFrame, items: int) -> pl.DataFrame:
    """The telling phrases of every text.

    `texts` has `item` (the item's index) and `story` (its text, not null); `items`, the size of the catalogue, bounds
    how rare and how common a phrase may be. Returns one row per (item, phrase): item, phrase (lower case,
    as it stands in the text; proper names keep their capitals), shown (with its article), plural, df (items that say
    it).
    """
    least = 1 if items < 300 else 2
    most = max(3, items // 40)
    tokens = _tokens(texts)
    single, double, places = _nouns(tokens), _pairs(tokens), _proper_names(tokens)
    habits = _habits(tokens, single)
    nouns = (
        single.join(habits.filter(pl.col("noun")), left_on="phrase", right_on="word")
        .join(_frequency(single), on="phrase")
        .filter(pl.col("df").is_between(max(least, 1 if items < 300 else 3), most))
    )
    pairs = (
        double.join(habits.filter(pl.col("noun")), left_on="head", right_on="word")
        .join(_frequency(double), on="phrase")
        .filter(pl.col("df").is_between(least, most))
    )
    names = (
        places.join(_frequency(places), on="phrase")
        .filter(pl.col("df").is_between(max(least, 1 if items < 300 else 4), most))
        .with_columns(article=pl.lit(""), plural=pl.lit(False))
    )
    columns = ["item", "phrase", "article", "plural", "df"]
    vowel = pl.col("phrase").str.contains(r"^(?:[aeio]|u(?:[^ns]|n[^i]|s[^eu])|hour|honest|heir|honor)") & ~pl.col(
        "phrase"
    ).str.contains(r"^(?:eu|one\b|once\b)")
    article = (
        pl.when(pl.col("article") != "a")
        .then(pl.col("article"))
        .when(vowel)
        .then(pl.lit("an "))
        .otherwise(pl.lit("a "))
    )
    return (
        pl.concat([nouns.select(columns), pairs.select(columns), names.select(columns)])
        .unique(["item", "phrase"], keep="first", maintain_order=True)
        .with_columns(shown=pl.concat_str(article, "phrase"))
        .sort("item", "phrase")
        .select("item", "phrase", "shown", "plural", "df")
    )


def _tokens(texts: pl.DataFrame) -> pl.DataFrame:
    """Every word of every text with its neighbours: item, token, word (lower case), before, after, after2."""
    # What stands in quotation marks is mostly other works' titles; a full stop keeps neighbours apart.
    plain = pl.col("story").str.replace_all(r'["“][^"”]{0,200}["”]', " . ").str.replace_all(r"-{2,}|[–—/*]", " , ")
    found = (
        texts.select("item", token=pl.concat_str(plain, pl.lit(" . . .")).str.extract_all(_TOKEN))
        .explode("token")
        .with_columns(token=pl.col("token").str.strip_chars("'’-"))
        .filter(pl.col("token") != "")
    )
    lower = pl.col("token").str.to_lowercase()
    capital = pl.col("token").str.contains(r"^[A-ZÀ-Þ]")
    return found.with_columns(
        word=lower,
        capital=capital,
        before=lower.shift(1, fill_value="."),
        after=lower.shift(-1, fill_value="."),
        after2=lower.shift(-2, fill_value="."),
        capital_after=capital.shift(-1, fill_value=False),
    )


def _content(column: str) -> pl.Expr:
    # A vowel is wanted so that abbreviations do not pass; no apostrophes: "boy's" is not a noun on its own.
    shaped = pl.col(column).str.contains(r"^[a-zà-ÿ]+(?:-[a-zà-ÿ]+)?$") & pl.col(column).str.contains(r"[aeiouy]")
    return shaped & (pl.col(column).str.len_chars() >= 3) & ~pl.col(column).is_in(_NOT_CONTENT)


def _nouns(tokens: pl.DataFrame) -> pl.DataFrame:
    """Occurrences of single words in a noun's place: item, phrase."""
    led = pl.col("before").is_in(_DETERMINERS + _PREPOSITIONS)
    return (
        tokens.filter(led & pl.col("after").is_in(_AFTER) & ~pl.col("capital") & _content("word"))
        .select("item", phrase="word")
        .unique()
    )


def _pairs(tokens: pl.DataFrame) -> pl.DataFrame:
    """Occurrences of two words in a noun's place, the second being the head: item, phrase, head."""
    place = pl.col("before").is_in(_DETERMINERS) & pl.col("after2").is_in(_AFTER)
    lower = ~pl.col("capital") & ~pl.col("capital_after")
    return (
        tokens.filter(place & lower & _content("word") & _content("after") & ~pl.col("word").str.ends_with("ly"))
        .select("item", phrase=pl.concat_str("word", "after", separator=" "), head="after")
        .unique()
    )


def _proper_names(tokens: pl.DataFrame) -> pl.DataFrame:
    """Places, by "in" before a capital: item, phrase (with its capital)."""
    alone = tokens.filter((pl.col("before") == "in") & pl.col("capital") & ~pl.col("capital_after"))
    return (
        alone.filter(~pl.col("token").is_in(_NOT_PLACES) & pl.col("token").str.contains(r"^[A-ZÀ-Þ][a-zà-ÿ]{3,}$"))
        .select("item", phrase="token")
        .unique()
    )


def _frequency(occurrences: pl.DataFrame) -> pl.DataFrame:
    return occurrences.group_by("phrase").agg(df=pl.col("item").n_unique())


def _habits(tokens: pl.DataFrame, single: pl.DataFrame) -> pl.DataFrame:
    """How each word is used: word, noun (used as one often enough), article ("a", "the " or ""), plural."""
    words = tokens.filter(~pl.col("capital")).join(single.select(word="phrase").unique(), on="word", how="semi")
    ends = pl.col("after").is_in(_AFTER)
    counts = words.group_by("word").agg(
        total=pl.len(),
        indefinite=(pl.col("before").is_in(["a", "an"]) & ends).sum(),
        definite=((pl.col("before") == "the") & ends).sum(),
        owned=(pl.col("before").is_in(sorted(_words("possessives"))) & ends).sum(),
        led=(pl.col("before").is_in(_DETERMINERS) & ends).sum(),
        bare=(pl.col("before").is_in(_PREPOSITIONS) & ends).sum(),
        verbal=pl.col("before").is_in(sorted(_words("verbal"))).sum(),
    )
    plural = pl.col("word").str.contains(r"[^suxi]s$|ies$") & (pl.col("indefinite") == 0)
    plural = plural | pl.col("word").str.contains(r"(?:children|[^u]men|people|parents|police|folk)$")
    uncountable = pl.col("word").is_in(sorted(_words("uncountable")))
    uncountable = uncountable | pl.col("word").str.contains(r"(?:.ity|ness|dom|[ae]nce|tude|ism|oia)$")
    uncountable = uncountable & ~pl.col("word").is_in(sorted(_words("countable")))
    counted = pl.col("indefinite") > 0.04 * (pl.col("led") + pl.col("bare"))
    # Bare use is what mass nouns do ("of love"); a few are compounds cut short, so it must not be rare.
    mass = pl.col("bare") > pl.col("definite")
    return counts.with_columns(
        noun=((pl.col("led") + pl.col("bare")) >= 0.3 * pl.col("total"))
        & (pl.col("verbal") <= 0.3 * pl.col("total"))
        & (pl.col("led") > 0)
        & ~pl.col("word").str.contains(r"(?:ly|ed)$|.ing$"),
        plural=plural,
        article=pl.when(plural | uncountable)
        .then(pl.lit(""))
        .when(counted)
        .then(pl.lit("a"))
        .when(pl.col("owned") >= pl.max_horizontal("definite", "bare"))  # "her husband": there is a husband
        .then(pl.lit("a"))
        .when(mass)
        .then(pl.lit(""))
        .otherwise(pl.lit("the ")),
    ).select("word", "noun", "article", "plural")
