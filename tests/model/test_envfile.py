"""The env-file encoder alone; that compose reads its output back is tests/e2e/test_secrets.py's business."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.model import envfile

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
HOSTILE = st.lists(st.sampled_from(list("\\\"'$`{}#= \n\r\tnrt\x1b\x7f\u2028🔑")), max_size=12).map("".join)


def read(text: str) -> dict[str, str]:
    """An env file of double-quoted values, as compose's manual has it; anything ambiguous is an error."""
    found: dict[str, str] = {}
    rest = text
    while rest:
        name, rest = re.split(r'="', rest, maxsplit=1)
        found[name], rest = _quoted(rest)
    return found


def _quoted(text: str) -> tuple[str, str]:
    """The value up to its closing quote, and what follows the line's end."""
    escapes = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "$": "$"}
    value, position = "", 0
    while text[position] != '"':
        assert text[position] not in "$\n\r", f"compose would change {text[position]!r}"
        if text[position] == "\\":
            position += 1
            value += escapes[text[position]]
        else:
            value += text[position]
        position += 1
    assert text[position + 1] == "\n"
    return value, text[position + 2 :]


@given(st.dictionaries(NAMES, TEXTS | HOSTILE, max_size=5))
@example({"A": "${X}", "B": "$$", "C": "\\", "D": '\\"', "E": "\\n", "F": "", "G": "a\r\nb", "H": " #x "})
def test_what_is_encoded_reads_back_the_same(values: dict[str, str]) -> None:
    assert read(envfile.encode(values)) == values


def test_variables_stand_sorted_one_a_line_with_everything_special_escaped() -> None:
    values = {"B": 'say "hi" \\ $HOME', "A": "two\nlines\r", "C": "", "D": "  # no comment  "}
    assert envfile.encode(values) == (
        'A="two\\nlines\\r"\nB="say \\"hi\\" \\\\ \\$HOME"\nC=""\nD="  # no comment  "\n'
    )


@given(TEXTS, TEXTS)
def test_a_nul_is_refused_with_the_variables_name(before: str, after: str) -> None:
    with pytest.raises(envfile.Impossible) as caught:
        envfile.encode({"GOOD": "x", "KEY": f"{before}\0{after}"})
    assert str(caught.value) == "KEY holds a NUL character, which no environment can carry"


@given(TEXTS, st.characters(categories=["Cs"]), TEXTS)
def test_a_lone_surrogate_is_refused_with_the_variables_name(before: str, lone: str, after: str) -> None:
    with pytest.raises(envfile.Impossible) as caught:
        envfile.encode({"KEY": before + lone + after})
    assert str(caught.value) == "KEY holds a lone surrogate, which is no text"


@pytest.mark.parametrize("character", ["x", "é", "🔑"])
def test_one_byte_more_than_the_kernel_takes_is_refused(character: str) -> None:
    room = 131072 - len("KEY=") - 1  # MAX_ARG_STRLEN counts the name, the sign and the final NUL
    size = len(character.encode())
    fitting = character * (room // size) + "x" * (room % size)
    assert read(envfile.encode({"KEY": fitting})) == {"KEY": fitting}
    with pytest.raises(envfile.Impossible) as caught:
        envfile.encode({"KEY": fitting + "x"})
    assert str(caught.value) == "KEY has 131073 bytes; an environment carries at most 131072 in one variable"
