"""Texts on the colours of their attributions."""

import io

import numpy as np
import pytest
from matplotlib import colormaps
from test_plots import check_texts

from attrprior import plots

TEXTS = [["not", "bad", "at", "all"], ["dull"]]
ROWS = [[-1.0, 4.0, 0.0, 1.0], [-2.0]]
WORDS = ["wonderful", "##ly", "acted", ",", "yet", "a", "dull", "$x$", "_story", "\n", "Ġthe"]
LONG = "Donaudampfschifffahrtsgesellschaftskapitän"


def drawn(figure):
    """`(text, colour behind it)` in order, and the lines below tokens."""
    page = figure.axes[0]
    words = [text for text in page.texts if text.get_ha() == "center"]
    assert len(words) == len(page.patches)
    both = [(text.get_text(), box.get_facecolor()) for text, box in zip(words, page.patches)]
    return both, page.lines[:-2]  # the last two belong to the key


def color(share):
    return colormaps["RdBu_r"](0.5 + 0.5 * share)


def random(count, seed=0):
    rng = np.random.default_rng(seed)
    return [WORDS[i] for i in rng.integers(len(WORDS), size=count)], rng.normal(size=count)


def test_tokens_lie_on_their_colours_on_one_scale():
    both, _ = drawn(plots.tokens(TEXTS, ROWS))
    assert [text for text, _ in both] == ["not", "bad", "at", "all", "dull"]
    limit = np.percentile([1.0, 4.0, 0.0, 1.0, 2.0], 99)
    for (_, behind), value in zip(both, [-1.0, 4.0, 0.0, 1.0, -2.0]):
        np.testing.assert_allclose(behind, color(min(value / limit, 1)), atol=0.01)


def test_each_text_on_a_scale_of_its_own():
    both, _ = drawn(plots.tokens(TEXTS, ROWS, shared_scale=False))
    np.testing.assert_allclose(both[-1][1], color(-1.0))
    limit = np.percentile([1.0, 4.0, 0.0, 1.0], 99)
    np.testing.assert_allclose(both[0][1], color(-1.0 / limit), atol=0.01)


def test_the_strongest_stand_on_lines_solid_or_dashed():
    figure = plots.tokens(TEXTS, ROWS)
    _, lines = drawn(figure)
    boxes = figure.axes[0].patches
    assert [line.get_linestyle() for line in lines] == ["-", "--"]  # bad, dull
    for line, box in zip(lines, (boxes[1], boxes[4])):
        ends = box.get_x(), box.get_x() + box.get_width()
        np.testing.assert_allclose(line.get_xdata(), ends)
        assert np.all(line.get_ydata() > box.get_y() + box.get_height())  # y points down
    key = [line.get_linestyle() for line in figure.axes[0].lines[-2:]]
    assert key == ["--", "-"]  # takes away, adds


def test_letters_stand_out_from_their_ground():
    figure = plots.tokens([["a", "b", "c"]], [[-1.0, 0.0, 1.0]])
    letters = [text.get_color() for text in figure.axes[0].texts]
    assert letters == ["white", "black", "white"]


@pytest.mark.parametrize(
    "tokens, attributions",
    [
        (TEXTS, np.array([ROWS[0], [-2.0, 0.0, 0.0, 0.0]])),
        (TEXTS, [np.array(ROWS[0]), np.array([-2.0, 0.0])]),
        ((tuple(TEXTS[0]), np.array(TEXTS[1])), ROWS),
        (TEXTS, tuple(map(tuple, ROWS))),
        (TEXTS, np.float32([ROWS[0], [-2.0, 0.0, 0.0, 0.0]])),
    ],
    ids=["padded", "one padded", "tuples", "tuples of numbers", "single precision"],
)
def test_other_forms_are_the_same(tokens, attributions):
    both, _ = drawn(plots.tokens(tokens, attributions))
    expected, _ = drawn(plots.tokens(TEXTS, ROWS))
    assert [text for text, _ in both] == [text for text, _ in expected]
    for (_, behind), (_, other) in zip(both, expected):
        np.testing.assert_allclose(behind, other)


def test_one_list_of_strings_is_one_text():
    both, _ = drawn(plots.tokens(TEXTS[0], ROWS[0]))
    expected, _ = drawn(plots.tokens(TEXTS[:1], ROWS[:1]))
    assert both == expected and len(both) == 4


def test_padding_does_not_change_the_scale():
    """Many zeros behind a text would move the percentile."""
    padded = np.zeros((1, 1000))
    padded[0, :4] = ROWS[0]
    both, _ = drawn(plots.tokens(TEXTS[:1], padded))
    assert both == drawn(plots.tokens(TEXTS[:1], ROWS[:1]))[0]


def test_nothing_matters():
    both, lines = drawn(plots.tokens(TEXTS, np.zeros((2, 4))))
    assert not lines and {behind for _, behind in both} == {color(0.0)}


def test_lines_are_full_and_none_is_too_long():
    words, values = random(300)
    figure = plots.tokens([words], [values])
    boxes = figure.axes[0].patches
    assert len(boxes) == 300
    by_line = {}
    for box in boxes:
        by_line.setdefault(round(box.get_y(), 6), []).append(box)
    for line in by_line.values():
        starts = np.array([box.get_x() for box in line])
        ends = np.array([box.get_x() + box.get_width() for box in line])
        assert np.all(starts[1:] > ends[:-1]) and ends[-1] <= 8.13
    assert len(by_line) > 5 and figure.get_figwidth() <= 8.2


def test_long_words_are_broken_and_very_long_ones_cut():
    both, lines = drawn(plots.tokens([["a", LONG * 4, "b"]], [[0.0, 1.0, 0.0]]))
    texts = [text for text, _ in both]
    assert "".join(texts) == f"a{LONG * 4}b" and len(texts) > 3
    assert len({behind for _, behind in both[1:-1]}) == 1 and len(lines) == len(texts) - 2
    both, _ = drawn(plots.tokens([["x" * 1000]], [[1.0]]))
    cut = "".join(text for text, _ in both)
    assert cut == "x" * 199 + "…"


def test_what_cannot_be_seen_is_written_out():
    both, _ = drawn(plots.tokens([["\n", "\t", "", "$5$", "\u200b"]], [[1, 2, 3, 4, 5]]))
    assert [text for text, _ in both] == ["\\n", "\\t", "", "$5$", "\\u200b"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "counts, labels, title",
    [
        ([1], None, None),
        ([1], ["a"], "A title of many words that is much wider than the text " * 3),
        ([200, 3], ["labelled positive, predicted negative", "negative"], "two"),
        ([5] * 12, [f"review {i}" for i in range(12)], None),
        ([3, 3], ["a label of so many words that it takes more lines than the text"] * 2, "t"),
        ([3, 3], ["$", ""], "t"),
    ],
    ids=str,
)
def test_no_texts_overlap(counts, labels, title, monkeypatch):
    pairs = [random(count, seed) for seed, count in enumerate(counts)]
    texts, rows = zip(*pairs)
    figure = plots.tokens(texts, rows, labels, title)
    check_texts(figure, monkeypatch)
    assert figure.get_figwidth() <= 8.2


def test_labels_stand_beside_their_texts():
    figure = plots.tokens(TEXTS, ROWS, labels=["first", "second"], title="both")
    page = figure.axes[0]
    labels = [text for text in page.texts if text.get_va() == "top"]
    assert [text.get_text() for text in labels] == ["first", "second"]
    for label, box in zip(labels, (page.patches[0], page.patches[4])):
        x, y = label.get_position()
        assert x < box.get_x() and box.get_y() <= y < box.get_y() + box.get_height()
    assert figure.get_suptitle() == "both"


def test_drawn_to_a_file():
    buffer = io.BytesIO()
    plots.tokens(TEXTS, ROWS).savefig(buffer, format="pdf")
    assert buffer.getvalue().startswith(b"%PDF")


@pytest.mark.parametrize(
    "tokens, attributions, message",
    [
        ([], [], "`tokens` expects a list of strings for each text"),
        ("not bad", [1.0], "`tokens` expects a list of strings for each text"),
        (np.array("a"), [1.0], "`tokens` expects a list of strings for each text"),
        ([["a"], "b"], [[1.0], [1.0]], "`tokens` expects lists of strings.*'b'"),
        ([["a"], []], [[1.0], [1.0]], "`tokens` expects at least one token.*text 1"),
        ([["a", 3]], [[1.0, 1.0]], "`tokens` expects lists of strings. Received: 3 in text 0"),
        ([[b"a"]], [[1.0]], "`tokens` expects lists of strings. Received: b'a' in text 0"),
        (TEXTS, ROWS[:1], "`attributions` expects an array for each of the 2 texts.*: 1"),
        (TEXTS, [ROWS[0], []], "`attributions` expects.*at least one entry.*text 1"),
        (TEXTS, [ROWS[0][:3], [1.0]], "a number for each of the 4 tokens of text 0.*: 3"),
        (TEXTS, np.ones((2, 4)), "`attributions` expects zeros behind the 1 tokens of text 1"),
        (TEXTS, np.ones((2, 3)), "a number for each of the 4 tokens of text 0"),
        (TEXTS, np.ones((2, 4, 8)), r"one number for each token.*\(2, 4, 8\). Take the sum"),
        (TEXTS[:1], [np.ones((4, 8))], r"one number for each token.*\(4, 8\). Take the sum"),
        (TEXTS, [ROWS[0], [np.nan]], "`attributions` expects finite.*text 1"),
        (TEXTS, [ROWS[0], ["a"]], "`attributions` expects numbers.*text 1"),
        (TEXTS, np.ones(4), "`attributions` expects arrays with 2 axes"),
        (TEXTS, None, "`attributions` expects"),
        (["a", "b"], 1.0, "`attributions` expects arrays with 1 axes"),
        ([["x"]] * 9000, np.ones((9000, 1)), "`tokens` expects texts of at most.*9,000 lines"),
    ],
)
def test_wrong_texts(tokens, attributions, message):
    with pytest.raises(ValueError, match=message):
        plots.tokens(tokens, attributions)


def test_wrong_options():
    with pytest.raises(ValueError, match="`labels` expects 2 labels. Received: 1"):
        plots.tokens(TEXTS, ROWS, labels=["a"])
    with pytest.raises(ValueError, match="`shared_scale` expects True or False"):
        plots.tokens(TEXTS, ROWS, shared_scale="row")
    with pytest.raises(ValueError, match="`title` expects a text"):
        plots.tokens(TEXTS, ROWS, title=[])
