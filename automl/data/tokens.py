"""From texts to rows of codes: a vocabulary that is fitted once, saved as JSON, and usable without us.

The library `tokenizers` does the work, and its JSON is what is saved: anyone who has that library reads the same codes from it.
It is loaded where the first text is met, it never asks a network for anything, and we keep it to one thread.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.data.options import TOKENIZERS
from automl.errors import ModelError, OptionError, nearest

if TYPE_CHECKING:
    import tokenizers
    from numpy.typing import NDArray

KINDS = TOKENIZERS
PADDING, UNKNOWN = 0, 1  # the codes that mean no token and no known one
SPECIAL = ("[PAD]", "[UNK]")  # their names: texts in lower case, and single bytes, have no tokens like these

_MOST = {"words": 20_000, "bpe": 8_000, "bytes": 258}  # codes
_LONGEST = {"words": 256, "bpe": 256, "bytes": 512}  # tokens of a text that are kept
_LEAST = 2  # occurrences of a word, or of a pair that makes a token
_COVERED = 0.99  # share of the texts that are kept whole, unless they are longer than that
_TOGETHER = 1000  # texts that are encoded at once
_CHARACTERS = 30  # of a text that are looked at, for each token that is kept: the rest can hardly matter, and may be megabytes

# Letters and marks up to the next other character, single digits, single signs. Scripts without spaces give single characters.
_ALONE = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD = rf"[\w&&[^\d{_ALONE}]]+|\d|[{_ALONE}]|[^\w\s]"


@dataclass(frozen=True)
class Tokenizer:
    """How texts become codes, which are positions in `vocabulary`: 0 stands behind the end of a text, 1 for unknown.

    kind: "words" (words, digits and signs, in lower case and without differences of form: NFKC), "bpe" (pieces of words by byte
    pair encoding, likewise), or "bytes" (UTF-8, as it is). White space around a text is left out. merges: of "bpe", in order.
    length: tokens of a text that are kept. cut: the share of the texts that it was fitted on that are longer.
    """

    kind: str
    vocabulary: tuple[str, ...]
    merges: tuple[tuple[str, str], ...]
    length: int
    cut: float = 0.0

    @classmethod
    def fit(cls, texts: Sequence[str], kind: str = KINDS[0]) -> Tokenizer:
        """Return the tokenizer of these texts: the same for the same texts.

        Words that occur only once are unknown. Byte pair encoding as of Sennrich et al. 2016 (https://arxiv.org/abs/1508.07909),
        on bytes, so that nothing is unknown. Raises `OptionError` for an unknown kind.
        """
        if kind not in KINDS:
            raise OptionError(f"tokenizer must be one of {', '.join(KINDS)}, got {kind!r}{nearest(kind, KINDS)}")
        longest = _LONGEST[kind]
        kept = [_cleaned(text, longest) for text in texts]
        vocabulary, merges = _learnt(kept, kind)
        whole = cls(kind, vocabulary, merges, longest + 1)
        lengths = np.concatenate([(codes != PADDING).sum(1) for codes in whole._blocks(kept)]) if kept else np.ones(1)
        covered = float(np.quantile(lengths, _COVERED, method="higher"))
        length = int(np.clip(covered, 1, longest))
        return cls(kind, vocabulary, merges, length, round(float((lengths > length).mean()), 6))

    def encode(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Return the codes of texts, `(texts, length)`. A text without a token, such as an empty one, is all 0."""
        kept = [_cleaned(text, self.length) for text in texts]
        return np.concatenate([np.zeros((0, self.length), np.int32), *self._blocks(kept)])

    def _blocks(self, texts: Sequence[str]) -> Iterator[NDArray[np.int32]]:
        for first in range(0, len(texts), _TOGETHER):
            with _single_thread():
                found = self._library.encode_batch_fast(texts[first : first + _TOGETHER])
            yield np.array([encoding.ids for encoding in found], np.int32)

    @cached_property
    def _library(self) -> tokenizers.Tokenizer:
        return _library(self)

    def describe(self) -> str:
        """Return in one line what texts become."""
        what = {"words": "words", "bpe": "pieces of words", "bytes": "bytes"}[self.kind]
        cut = f"; {self.cut:.1%} of the texts are longer and cut" if self.cut else ""
        return f"texts are read as {what}, of which {len(self.vocabulary) - len(SPECIAL)} are known, at most {self.length}{cut}"

    def to_dict(self) -> dict[str, Any]:
        """Return JSON data; "library" is what `tokenizers.Tokenizer.from_str` takes, as text."""
        return {"kind": self.kind, "length": self.length, "cut": self.cut, "library": json.loads(self._library.to_str())}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Tokenizer:
        """Return the tokenizer that `to_dict` wrote. Raises `ModelError` for anything else."""
        try:
            kind, length, cut, model = data["kind"], data["length"], data["cut"], data["library"]["model"]
            vocabulary = _in_order(model["vocab"])
            merges = tuple((str(left), str(right)) for left, right in model.get("merges", ()))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelError(f"tokenizer: must be what automl wrote, but {type(error).__name__}: {error}") from error
        _check(kind, vocabulary, merges, length)
        if isinstance(cut, bool) or not isinstance(cut, int | float) or not 0 <= cut <= 1:
            raise ModelError(f"tokenizer: cut must be a share, from 0 to 1, got {cut!r}")
        return cls(kind, vocabulary, merges, length, float(cut))


def _in_order(codes: Mapping[str, int]) -> tuple[str, ...]:
    """Return the tokens by their codes. Raises `ValueError` unless these count from 0."""
    tokens = sorted(codes, key=codes.__getitem__)
    if any(codes[token] != position or isinstance(codes[token], bool) for position, token in enumerate(tokens)):
        raise ValueError("the codes of the vocabulary must count from 0")
    return tuple(tokens)


def _check(kind: Any, vocabulary: Sequence[str], merges: Sequence[tuple[str, str]], length: Any) -> None:
    """Raise `ModelError` for a state that the library could stumble over, or that no fit gives."""
    if kind not in KINDS:
        raise ModelError(f"tokenizer: kind must be one of {', '.join(KINDS)}, got {kind!r}")
    if tuple(vocabulary[:2]) != SPECIAL or len(vocabulary) > _MOST[kind]:
        raise ModelError(
            f"tokenizer: the vocabulary must begin with {' and '.join(SPECIAL)} and hold at most {_MOST[kind]} tokens"
        )
    if isinstance(length, bool) or not isinstance(length, int) or not 1 <= length <= _LONGEST[kind]:
        raise ModelError(f"tokenizer: length must be a whole number from 1 to {_LONGEST[kind]}, got {length!r}")
    half = next((token for token in vocabulary if not _has_utf8(token)), None)
    if half is not None:
        raise ModelError(f"tokenizer: tokens must have a UTF-8 form, got {half!r}")
    known = set(vocabulary)
    odd = next((pair for pair in merges if not {*pair, "".join(pair)} <= known), None)
    if odd is not None or (merges and kind != "bpe"):
        raise ModelError(f"tokenizer: merges must be those of its vocabulary, got {odd or merges[0]!r}")
    if "" in known or (kind != "words" and not set(_alphabet()) <= known):
        raise ModelError("tokenizer: the vocabulary must hold all bytes, and no empty token")


def _has_utf8(token: str) -> bool:
    try:
        token.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return False
    return True


def _cleaned(text: str, length: int) -> str:
    """Return a text that has a UTF-8 form, without what lies far behind its last token that is kept."""
    text = text.lstrip(" \t\r\n")[: _CHARACTERS * (length + 1)]
    if _has_utf8(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # halves are joined or become U+FFFD


# ------------------------------------------------------------------------------------------------------------- the library


@contextmanager
def _single_thread() -> Iterator[None]:
    """Keep the library to one thread: its threads don't survive a fork, of which it would speak on stderr."""
    name = "TOKENIZERS_PARALLELISM"
    before = os.environ.get(name)
    os.environ[name] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _alphabet() -> tuple[str, ...]:
    """Return for each byte the character that the library writes for it (those of GPT-2: what can be printed is itself)."""
    printed = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = [byte for byte in range(256) if byte not in printed]
    return tuple(chr(byte if byte in printed else 256 + others.index(byte)) for byte in range(256))


def _learnt(texts: Sequence[str], kind: str) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Return the vocabulary and the merges that the library finds in texts."""
    from tokenizers import trainers

    if kind == "bytes":
        return (*SPECIAL, *_alphabet()), ()
    options: dict[str, Any] = {"vocab_size": _MOST[kind], "min_frequency": _LEAST, "special_tokens": list(SPECIAL)}
    if kind == "words":
        trainer: Any = trainers.WordLevelTrainer(show_progress=False, **options)
    else:
        trainer = trainers.BpeTrainer(show_progress=False, initial_alphabet=list(_alphabet()), **options)
    found = _library(Tokenizer(kind, SPECIAL, (), 1), trained=False)
    with _single_thread():
        found.train_from_iterator(iter(texts), trainer)
    model = json.loads(found.to_str())["model"]
    return _in_order(model["vocab"]), tuple((left, right) for left, right in model.get("merges", ()))


def _library(tokenizer: Tokenizer, *, trained: bool = True) -> tokenizers.Tokenizer:
    """Return the library's form of a tokenizer, which cuts and pads to `length`."""
    from tokenizers import Regex, models, normalizers, pre_tokenizers
    from tokenizers import Tokenizer as Library

    padding, unknown = SPECIAL
    codes = {token: code for code, token in enumerate(tokenizer.vocabulary)} if trained else {}
    if tokenizer.kind == "words":
        library = Library(models.WordLevel(codes, unk_token=unknown))
        library.pre_tokenizer = pre_tokenizers.Split(Regex(_WORD), "removed", invert=True)
    else:
        library = Library(models.BPE(codes, list(tokenizer.merges)))
        pieces = tokenizer.kind == "bpe"
        library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=pieces, use_regex=pieces)
    same = [normalizers.NFKC(), normalizers.Lowercase()] if tokenizer.kind != "bytes" else []
    library.normalizer = normalizers.Sequence([*same, normalizers.Strip(left=True, right=True)])
    if trained:
        library.enable_truncation(tokenizer.length)
        library.enable_padding(pad_id=PADDING, pad_token=padding, length=tokenizer.length)
    return library
