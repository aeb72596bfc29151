"""Texts become the same codes everywhere: in this process, in another, from JSON, and by the library alone."""

import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from automl.data.tokens import KINDS, PADDING, SPECIAL, UNKNOWN, Tokenizer
from automl.errors import ModelError, OptionError

ROOT = Path(__file__).parents[3]
TEXTS = ["The cat sat on the mat.", "A dog sat there, too!", "cats & dogs: 12 of them", "the dog", ""] * 5
FITTED = {kind: Tokenizer.fit(TEXTS, kind) for kind in KINDS}
STRANGE = {
    "empty": "",
    "white space": " \t\n ",
    "control characters": "cat\x00\x01\x1b[0m dog",
    "emoji": "cat 😀👩‍👩‍👧 dog",
    "half of a surrogate pair": "cat \ud800 dog \udc00",
    "a pair in halves": "\ud83d\ude00",
    "names of special tokens": "[PAD] [UNK] <s>",
    "right to left": "مرحبا بالعالم",
    "no spaces": "今日はいい天気ですね。สวัสดี",
    "accents in two forms": "é e\u0301",
    "a megabyte of one letter": "a" * 1_000_000,
    "a megabyte of spaces": " " * 1_000_000,
    "a megabyte of words": "cat dog " * 125_000,
    "a text behind a megabyte of spaces": " " * 1_000_000 + "cat",
}


def tokens(tokenizer, text):
    return [tokenizer.vocabulary[code] for code in tokenizer.encode([text])[0] if code != PADDING]


def test_words_are_lower_case_and_signs_and_digits_stand_alone():
    assert tokens(FITTED["words"], "The CAT's 12 dogs, ok") == ["the", "cat", "[UNK]", "[UNK]", "1", "2", "dogs", ","]
    assert tokens(FITTED["words"], "\uff54\uff48\uff45 \ufb01") == ["the", "[UNK]"]


def test_a_word_that_occurs_once_is_unknown():
    tokenizer = Tokenizer.fit(["cat cat", "dog"])
    assert tokenizer.vocabulary == (*SPECIAL, "cat")
    assert tokenizer.encode(["dog cat"]).tolist() == [[UNKNOWN, 2]]


def test_characters_of_scripts_without_spaces_are_tokens():
    tokenizer = Tokenizer.fit(["今日はいい天気", "天気は"])
    assert tokens(tokenizer, "天気abc") == ["天", "気", "[UNK]"]


def test_pieces_of_words_know_everything():
    assert tokens(FITTED["bpe"], "the dog") == ["Ġthe", "Ġdog"]
    assert UNKNOWN not in FITTED["bpe"].encode(["never seen: żółć 😀"])


def test_bytes_are_their_values():
    assert FITTED["bytes"].encode(["Az é"])[0, :5].tolist() == [2 + byte for byte in "Az é".encode()]


@pytest.mark.parametrize("kind", KINDS)
def test_codes_are_padded_to_one_length(kind):
    codes = FITTED[kind].encode(TEXTS[:5])
    assert codes.dtype == np.int32
    assert codes.shape == (5, FITTED[kind].length)
    assert not codes[4].any()
    assert ((np.diff((codes == PADDING).astype(int), axis=1)) >= 0).all(), "padding stands at the end alone"
    assert codes.max() < len(FITTED[kind].vocabulary)
    assert FITTED[kind].encode([]).shape == (0, FITTED[kind].length)


def test_the_length_keeps_nearly_all_texts_whole_and_says_how_many_it_cuts():
    tokenizer = Tokenizer.fit(["cat"] * 150 + ["cat dog"] * 49 + ["cat " * 90])
    assert (tokenizer.length, tokenizer.cut) == (2, 0.005)
    assert "at most 2; 0.5% of the texts are longer and cut" in tokenizer.describe()
    assert Tokenizer.fit(["cat " * 9000] * 3).length == 256
    assert Tokenizer.fit(["cat " * 9000] * 3, "bytes").length == 512


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("texts", [[], [""], ["", " "], ["cat"]], ids=["no text", "an empty text", "empty texts", "one word"])
def test_little_to_learn_from_is_no_error(kind, texts):
    tokenizer = Tokenizer.fit(texts, kind)
    assert tokenizer.length >= 1
    assert tokenizer.encode(["cat dog"]).shape == (1, tokenizer.length)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", STRANGE)
def test_strange_texts_have_codes(kind, name):
    codes = FITTED[kind].encode([STRANGE[name], "the cat"])
    assert codes.shape == (2, FITTED[kind].length)
    assert codes[0].any() == (name not in {"empty", "white space", "a megabyte of spaces"})
    assert np.array_equal(codes[1:], FITTED[kind].encode(["the cat"]))
    Tokenizer.fit([STRANGE[name]] * 3, kind)


def test_two_forms_of_a_letter_are_one_word():
    composed, apart = "é", unicodedata.normalize("NFD", "é")
    tokenizer = Tokenizer.fit([composed] * 2)
    assert tokenizer.encode([composed]).tolist() == tokenizer.encode([apart]).tolist() == [[2]]


@pytest.mark.parametrize("kind", KINDS)
def test_json_gives_the_same_tokenizer_and_the_library_reads_it_alone(kind):
    from tokenizers import Tokenizer as Library

    written = json.loads(json.dumps(FITTED[kind].to_dict()))
    assert Tokenizer.from_dict(written) == FITTED[kind]
    library = Library.from_str(json.dumps(written["library"]))
    theirs = [encoding.ids for encoding in library.encode_batch(TEXTS)]
    assert np.array_equal(np.array(theirs), FITTED[kind].encode(TEXTS))


@hypothesis.settings(deadline=None, max_examples=40)
@hypothesis.given(st.lists(st.text(max_size=12), max_size=6), st.sampled_from(KINDS))
def test_any_texts_make_a_tokenizer_that_survives_json(texts, kind):
    tokenizer = Tokenizer.fit(texts, kind)
    again = Tokenizer.from_dict(json.loads(json.dumps(tokenizer.to_dict())))
    assert again == tokenizer
    assert np.array_equal(again.encode(texts), tokenizer.encode(texts))


CODE = """
import json, os, sys
from automl.data.tokens import Tokenizer
texts = json.load(sys.stdin)
print(json.dumps([Tokenizer.fit(texts, kind).to_dict() for kind in ("words", "bpe", "bytes")]), flush=True)
if os.fork() == 0:  # the library's threads would be missing here
    Tokenizer.fit(texts).encode(texts)
    os._exit(0)
os._exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_another_process_fits_the_same_and_may_fork():
    kept = {name: value for name, value in os.environ.items() if name != "TOKENIZERS_PARALLELISM"}
    given = json.dumps([f"{text} {i % 7} {i % 3}" for i, text in enumerate(TEXTS * 40)])
    runs = [
        subprocess.run(
            [sys.executable, "-c", CODE],
            input=given,
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            env={**kept, "PYTHONHASHSEED": str(seed)},
        )
        for seed in (1, 2)
    ]
    assert [run.stderr for run in runs] == ["", ""]
    assert runs[0].stdout == runs[1].stdout
    assert len(json.loads(runs[0].stdout)) == 3


def test_the_environment_stays_as_it_was(monkeypatch):
    monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
    FITTED["words"].encode(["cat"])
    assert "TOKENIZERS_PARALLELISM" not in os.environ
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    FITTED["words"].encode(["cat"])
    assert os.environ["TOKENIZERS_PARALLELISM"] == "true"


def test_an_unknown_kind_is_an_option_error():
    with pytest.raises(OptionError, match=r"tokenizer must be one of words, bpe, bytes, got 'wrods'.*'words'"):
        Tokenizer.fit(TEXTS, "wrods")


WRONG = {
    "no library": ("words", lambda data: data.pop("library"), "must be what automl wrote, but KeyError"),
    "no vocabulary": ("words", lambda data: data["library"]["model"].pop("vocab"), "KeyError"),
    "a vocabulary of another type": ("words", lambda data: data["library"]["model"].update(vocab=["[PAD]"]), "TypeError"),
    "codes with a gap": ("words", lambda data: data["library"]["model"]["vocab"].update(cat=99), "must count from 0"),
    "codes that are no numbers": ("words", lambda data: data["library"]["model"]["vocab"].update(cat="x"), "TypeError"),
    "half a surrogate pair": (
        "words",
        lambda data: data["library"]["model"]["vocab"].update({"\ud800": len(data["library"]["model"]["vocab"])}),
        "tokens must have a UTF-8 form",
    ),
    "no padding": ("words", lambda data: data["library"]["model"].update(vocab={"cat": 0}), "must begin with"),
    "an unknown kind": ("words", lambda data: data.update(kind="chars"), "kind must be one of"),
    "no length": ("words", lambda data: data.update(length=0), "length must be a whole number from 1 to 256, got 0"),
    "a huge length": ("words", lambda data: data.update(length=10**12), "length must be"),
    "a length that is true": ("words", lambda data: data.update(length=True), "length must be"),
    "a share above 1": ("words", lambda data: data.update(cut=2), "cut must be a share"),
    "merges of words": ("words", lambda data: data["library"]["model"].update(merges=[["a", "b"]]), "merges must be"),
    "merges of what isn't there": ("bpe", lambda data: data["library"]["model"].update(merges=[["xx", "y"]]), "merges must be"),
    "merges of three": ("bpe", lambda data: data["library"]["model"].update(merges=[["a", "b", "c"]]), "ValueError"),
    "bytes missing": ("bytes", lambda data: data["library"]["model"].update(vocab={"[PAD]": 0, "[UNK]": 1}), "all bytes"),
}


@pytest.mark.parametrize("case", WRONG)
def test_other_json_is_refused(case):
    kind, damage, message = WRONG[case]
    data = json.loads(json.dumps(FITTED[kind].to_dict()))
    damage(data)
    with pytest.raises(ModelError, match=message):
        Tokenizer.from_dict(data)


def test_the_library_is_loaded_for_texts_alone():
    code = "import sys, automl.data.encode, automl.data.tokens; assert 'tokenizers' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
