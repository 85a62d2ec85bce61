"""Which parts of an utterance ask for nothing: comments on what was seen or named, questions, what others like."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

from latentcrs.language.extract.tokens import Line

# The patterns are written on the shape of a line: "@" stands for titles, "#" for people, "?" for question marks.
_NAME = r"(?:the |an? )?@+"
_STARTS = r"(?:(?<=[.?] )|(?<=^ ))"
_ADVERBS = (
    r"(?:(?:so|really|very|pretty|quite|just|more|all|both|also|actually|always|such|still|even|too|kind of|"
    r"definitely|only|probably|already|not|never) )*"
)
_OPENERS = (
    r"(?:(?:and|but|so|yes|yea|yeah|yep|no|nope|nah|oh|ok|okay|well|because|cause|although|though|i think|i thought|"
    r"i mean|i guess|i heard|i believe|i know|i see|i bet|haha|lol|wow|hmm|true|sure|right|great|cool|nice|thanks|"
    r",) )*"
)
_IT = (
    r"(?:it|this|these|those|they|he|she|both|all of them|all of those|most of them|that one|this one|"
    r"(?:the|that|this) (?:movie|film|game|album|book|show|one|original|sequel|remake|plot|acting|story|first|second|"
    r"last|first one|second one|last one|ending|trailer))"
)
_IS = (
    r"(?:is|was|are|were|isnt|wasnt|arent|werent|looks?|looked|seems?|seemed|sounds?|sounded|feels?|felt|"
    r"(?:has|had)(?! to)|did|didnt|does(?! not have)|made|makes|stars|starred|won|scared|turned out|reminds|reminded|"
    r"will be|would be|might be|may be|can be|could be|got|came out|comes out|come out)(?= )"
)
_NO_COMMENT = (
    r"(?! (?:for|my|from|by|with|directed|starring|about|set|got to|gotta|has to|have to|supposed to|meant to|"
    r"rated|made|released|put out|developed|published|written|"
    r"produced|on|more like|to be|about time|fine if|ok if|okay if|important|essential|time for|time to) )"
)
"""What stands behind "it is" where it is what is asked for: "it is for my kids", "I think it's from 1992"."""
_TURN = (
    r"(?:but|so(?= (?:a|an|the|now|give|show|please|what|how|can|could|do|any|some|something|maybe|lets|i|im) )|"
    r"i|im|ive|id|do you|can you|could you|would you|have you|give me|show me|any|anything|something|"
    r"how about|what about|looking for|please|instead|is there|are there|maybe|lets)"
)
"""Words with which a new request may begin, full stop or not."""
_SENTENCE = rf"(?:(?! {_TURN} )[^.?])*"
_PART = rf"(?:(?! {_TURN} )[^.?,])*"
_SOMEBODY = (
    r"(?:he|she|they|(?:my|his|her|our|the)(?: \w+)? (?:friends?|wife|husband|girlfriend|boyfriend|partner|mother|"
    r"father|mom|mum|dad|sister|brother|son|daughter|roommate|boss|cousin|uncle|aunt|parents|ex|kids?|nephew|niece|"
    r"grandma|grandpa|in laws))"
)

_COMMENTS = (
    # "it was a really good documentary", "those are all PG-13", "that one is funny"
    rf"{_STARTS}{_OPENERS}(?:{_IT} {_ADVERBS}{_IS}|(?:its|thats|theyre|hes|shes)(?= )|that {_IS})"
    rf"{_NO_COMMENT}{_SENTENCE}",
    rf"(?<= )(?:it|they|this|these|those|he|she) {_ADVERBS}(?:was|were|wasnt|werent)(?= ){_NO_COMMENT}{_SENTENCE}",
    rf"(?<= , )(?:(?:it|they) had|hes|shes|(?:he|she) (?:is|has))(?= )(?! to ){_PART}",
    # "Caddyshack is a comedy", "Alien, such a scary film", "Alien, where they ...", "Fletch with Chevy Chase"
    rf"@(?: ,)? (?:which |that )?{_ADVERBS}{_IS}(?! there ){_SENTENCE}",
    r"@(?: ,)? (?:such an?|what an?|where|in which|when|because|cause|since)(?= )[^.?]*",
    r"(?<!like )(?<!like the )(?<!to )(?<!to the )(?<=[ @])@(?: ,)? (?:with|starring|by|featuring|from)(?= )"
    r"(?! (?:no|less|more|a bit|some|anything|something))[^.?,]*",
    # "Titanic from 1997", "the original from 1968", "the 1997 version"
    r"@(?: ,)? (?:the|from|of|in) (?:19|20)\d\d(?= )(?! (?:or|and|to|-))[^.?,]*",
    r"the original (?:one |version |film |movie )?(?:from|of) (?:19|20)\d\d",
    r"(?<= )the one (?:where|with|starring|that has|by)(?= )[^.?,]*",
    r"the (?:19|20)\d\d(?= (?:version|remake|original|adaptation|one|film|movie|@))",
    # "so funny", "very scary!", "I heard it was funny": said of something else; "merry christmas"
    rf"{_STARTS}{_OPENERS}(?:so|very|really|super|pretty|quite|too|kinda|kind of|sort of|a bit|a little|bit|"
    rf"sounds?|looks?|seems?|thats|such)"
    rf"(?! [^.?]*(?:please|movies?|films?|flicks?|ones?|games?|stuff|music|albums?) )(?: \w+){{1,2}} (?=[.?]|$)",
    r"(?<= )(?:merry|happy) \w+(?= )",
    # "Friends, it's a romantic comedy"
    r"(?<= )(?<!if )(?<!as )(?<!sure )(?<!whether )(?<!that )(?<!prefer )(?<!think )(?<!hope )(?<!unless )"
    r"(?<!thing )(?<!one )(?<!movie )(?<!film )"
    rf"(?:its|it is|it was|that was|thats) (?:an?|not an?|such|so|really|very|pretty)(?= ){_SENTENCE}",
    # "maybe it's just one of those horror movies", "you keep showing me accessories", "save that one for the kids"
    rf"(?<= )(?:maybe |perhaps )?(?:its|thats) (?:just |probably )*one of (?:those|these|the)(?= ){_SENTENCE}",
    rf"(?<= )you (?:just )?keep (?:on )?(?:showing|giving|recommending|suggesting|offering|sending)(?= ){_PART}",
    rf"(?<= )save (?:that|this|it|them|those|these)(?: one| ones)? (?:for|until|till)(?= ){_PART}",
    # "I'm stuck in the 90s as far as actors go"
    r"(?<= )(?:stuck|living) in [^.?,]{1,30} as far as (?!movies|films|games|music|albums)\w+ (?:go|goes)(?= )",
    # "that is from Spielberg, right?", "a western classic in my opinion", "I am not sure about the horror"
    r"(?<= )(?:that|it|this|he|she) (?:is|was|has|had) [^.?]* right(?= \?)",
    rf"{_STARTS}[^.?]* (?:in my opinion|imo|imho)(?= )",
    rf"(?<= )not (?:so |too |very |really |quite )*sure (?:about|if|that)(?= ){_PART}",
    # "you must be a big Will Ferrell fan", "you said action", "I look forward to the laughs"
    r"(?<= )(?<!could )(?<!do )(?<!if )(?<!can )you (?:must be|seem|were|are|said|mentioned|suggested|recommended|"
    rf"have (?:said|mentioned|suggested|recommended))(?! (?:able|aware))(?= ){_PART}",
    rf"(?<= )look(?:ing)? forward to(?= ){_PART}",
    # "It is a good one. With Judy Garland.", "that one with Judy Garland", "With Judy Garland?"
    rf"{_STARTS}(?:with|by|starring) #+ \?",
    rf"{_STARTS}{_OPENERS}(?:{_IT} {_IS}|its|thats)(?= ){_NO_COMMENT}{_SENTENCE}\. (?:with|by|starring|from) [^.?]*",
    r"(?<= )that one (?:where|with|starring|that has|by)(?= )[^.?,]*",
    r"(?<= )not so much the (?:one|version|original|remake|sequel|first|second)(?= )[^.?]*",
    # "another good one that is a comedy is Caddyshack", "my favourite horror film is Alien"
    r"(?<= )(?:(?:an|a)?other|the|my|one of|a|our)"
    r"(?: (?!looking|want|need|recommend|find|like|love)[^.?,@ ]+){1,9} "
    rf"(?:is|was|are|were|would be) (?:(?:probably|definitely|the|called|either|still) )*(?={_NAME})",
    # "Tom Hanks is funny", "Tom Hanks was great in that", "such a good movie"
    r"(?<= )#+ (?P<aside>(?:is|are|was|were)(?= )(?! (?:my|in|a must)) [^.?,]*)",
    rf"{_STARTS}{_OPENERS}#+ (?:is|are|was|were) (?!my |one of |among |in |who |what )[^.?,]*",
    rf"{_STARTS}{_OPENERS}#+ (?:made|makes|did|directed|wrote|played|starred) (?:in )?(?:some|a few|many|several|"
    r"lots|plenty|a lot|great|good)(?= )[^.?]*",
    r"(?<= )#+ (?:is|was|were|are|did|played) [^.?,]{0,40}?in (?:@|it|that|this|those|them|both)(?= )",
    r"(?<= )#+ (?:always |usually |just |really )*(?P<aside>(?:makes?|cracks?) me [a-z]+)",
    rf"{_STARTS}(?:with|by|starring|from) [^.?]*? (?:such an?|what an?) (?:good|great|fun|bad|nice|amazing)",
    # "too scary for me", "thanks for the comedy"
    r"(?<= )(?<!not )(?<!nothing )(?<!anything )(?:way |bit |little |kinda |kind of )?too [a-z]+(?= (?:for|[.,?]))",
    r"(?<= )(?:thanks|thank you|thx) (?:so much )?for [^.?,]*",
)
_QUESTIONS = (
    # "is that an action one?", "was it scary", "isn't that with Tom Hanks?"
    r"(?:(?<=[.?,] )|(?<=^ )|(?<= and )|(?<= but )|(?<= so )|(?<= ok )|(?<= oh ))"
    r"(?:is|was|isnt|wasnt|are|were|arent|does|did|doesnt|didnt|it|do|has|had|would) "
    rf"(?:it|that|this|these|those|they|he|she|{_NAME}|"
    r"the (?:first|second|last|movie|film|game|one|original|remake)|any of (?:them|those|these)|either of|"
    r"which (?:one|of them))(?: (?!possible)[^.?]*)?(?= [.?]|$)",
    r"(?<= )(?:is|was) (?:it|that|this|he|she) (?!possible)[^.?]*(?= \?)",
    r"(?:(?<=[.?,] )|(?<=^ ))(?:was|were|wasnt|werent|isnt|arent)(?! (?:there|you)) [^.?]*(?= \?)",
    r"(?<= )do you think (?:that|this|it|its|thats|he|she|[^.?]{1,30}? (?:would|will|might) (?:like|enjoy|love) "
    r"(?:@+|it|that|this|them))(?= )"
    r"[^.?]*(?= \?)",
    r"(?<= )(?:what|which) (?:\w+ )?(?:is|was|are|were) (?:it|that|this|those|they)(?= )[^.?]*",
    # "who is in it?", "how scary is it?", "is Tom Hanks in it?", "is Blues for Allah any good?"
    rf"{_STARTS}(?:who|when|why|whos|whens|how (?:old|long|scary|funny|is|was)|what year|what rating|"
    r"what is (?:it|that|this)|whats (?:it|that|this))(?= )[^.?]*",
    r"(?<= )(?:is|was|isnt|wasnt|are|were|does|did) #+ [^.?]*(?= \?)",
    r"(?<= )(?:is|was|isnt|wasnt)(?: (?!there|it possible)[^ .?]+){1,6} (?:any good|good|worth [a-z]+)(?= \?)",
    # "have you seen any good horror?", "do you like comedies?"
    r"(?<= )(?:have|did|do|are) you (?!seen any [^.?]* (?:recently|lately) )"
    r"(?:ever |also |really |personally )?(?:seen|watched|played|heard|read|like|liked|"
    r"enjoy|enjoyed|love|loved|watch|play|prefer|got round to|see|hear|into|a fan of)(?= )[^.?]*",
)
_MEMORIES = (
    # "I have seen a western", "I have been watching horror", "I remember Pryor", "we used to like horror"
    r"(?<= )(?:i|we|ive|weve|already|just|recently|had)(?: (?!never|not|havent|dont|didnt)\w+){0,2} "
    rf"(?:watched|saw|seen|finished|played|heard|bought|beaten|completed|rewatched|replayed)(?= ){_PART}",
    r"(?<= )(?:havent|have not|never|didnt|did not|dont|do not|not) (?:ever |yet )?(?:seen?|saw|watch|watched|"
    r"heard of|"
    rf"played|read) (?:that|this|those|these|the|any of|all of|either|it|them)(?= ){_PART}",
    r"(?<= )(?:i|we|ive|weve) (?:already )?(?:have|own|got) (?:already|enough|plenty|lots|loads|tons|too (?:many|"
    r"much)|"
    rf"all of|every|so (?:many|much))(?= ){_PART}",
    rf"(?<= )(?:i|we|ive|weve) already (?:have|own|got)(?= ){_PART}",
    rf"(?<= )been (?:watching|playing|seeing|listening to|reading|into)(?= ){_PART}",
    r"(?<= )(?:i|we) (?:\w+ )?(?:remember(?! something| it)|forgot|heard of|know of|"
    r"used to (?:like|love|watch|enjoy)|once (?:liked|loved))(?= )[^.?,]*",
    r"(?<= )did (?:\w+ )?(?:like|love|enjoy) (?:that|this|these|those|it|them)(?= )[^.?]*",
    # "I liked her in Alien", "I loved Tom Hanks in Big"
    r"(?<= )(?:liked|loved|enjoyed|hated|adored|disliked) (?:(?:all|most) (?:of )?)?"
    rf"(?:that|this|these|those|it|her|him|them|his|how|when|the way|everything|all of)(?= ){_PART}",
    r"(?<= )(?:liked|loved|enjoyed|hated|remember) #+ in (?!(?:the|a|any|some|every) )",
    r"(?<= )(?:i|really|just) (?:like|love) #+ in (?:@|it|that|this|those)",
)
_OTHERS = (
    # "my wife loves romance", "he only watches war movies", "I don't have kids", "I prefer this over that"
    rf"(?<= ){_SOMEBODY}"
    r"(?: (?:only|always|just|really|usually|also|never|kind of|absolutely|doesnt|dont|mostly))* "
    r"(?:likes?|loves?|hates?|enjoys?|prefers?|watch|watches|plays?|listens? to|adores?|picked|"
    r"(?:is|are) (?:really |totally |so )?(?:into|mad about|crazy about|a fan of|fans of|obsessed with|not into))"
    rf"(?= ){_PART}",
    r"(?<= )(?:i|we) (?:dont|do not) have (?:any )?(?:kids|children)(?= )",
    r"(?<= )prefer (?:[a-z]+ ){1,3}?(?:over|rather than|than|to(?! (?:be|have|see|watch|play))) "
    r"(?P<aside>[^.?,]*)",
)
_ASIDES = tuple(re.compile(pattern) for pattern in (*_COMMENTS, *_QUESTIONS, *_MEMORIES, *_OTHERS))


class Asides:
    """The places of a line that ask for nothing."""

    def __init__(self, line: Line, titles: Sequence[tuple[int, int]], names: Sequence[tuple[int, int]]) -> None:
        """`titles` and `names`: the tokens of `line` that are titles and people (start, end)."""
        shape = _shape(line, titles, names)
        spans = sorted(_span(match) for pattern in _ASIDES for match in pattern.finditer(shape))
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in spans:
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(end, self._ends[-1])
            else:
                self._starts.append(start)
                self._ends.append(end)

    def cover(self, position: int) -> bool:
        """Whether the character at `position` of the line is in such a place."""
        place = bisect_right(self._starts, position) - 1
        return place >= 0 and position < self._ends[place]


def _span(match: re.Match[str]) -> tuple[int, int]:
    return match.span("aside") if "aside" in match.re.groupindex else match.span()


def _shape(line: Line, titles: Sequence[tuple[int, int]], names: Sequence[tuple[int, int]]) -> str:
    """The line, as long as it is, with "@" all over its titles, "#" over names and "?" for the marks that are so in
    the text.
    """
    shape = list(line.line)
    for place, token in enumerate(line.tokens):
        if token.word == "." and "?" in line.text[token.start : token.end]:
            shape[line.at[place]] = "?"
    for sign, spans in (("#", names), ("@", titles)):
        for start, end in spans:
            first, last = line.at[start], line.at[end - 1] + len(line.tokens[end - 1].word)
            shape[first:last] = sign * (last - first)
    return "".join(shape)
