"""Pictures: what is drawn where, and that nothing global is touched."""

import struct
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

import gdjax as gd
from gdjax.diagnostics.plots import plot_curves, plot_schedule

STEP = list(range(10, 410, 10))
DECAY = np.exp(-np.array(STEP) / 100)
HISTORY = {
    "step": STEP,
    "loss": list(DECAY),
    "validation_loss": [x if i % 2 else np.nan for i, x in enumerate(2 * DECAY)],
    "average_validation_loss": list(3 * DECAY),
    "accuracy": list(1 - DECAY / 2),
    "learning_rate": list(0.1 * DECAY),
    "plateau_scale": [0.5] * len(DECAY),
    "grad_norm": list(5 * DECAY),
    "clip_factor": [0.5] * 4 + [1.0] * 36,
}


@pytest.fixture
def figures(monkeypatch):
    """Every figure that is saved."""
    saved, save = [], Figure.savefig

    def keep(figure, *args, **options):
        saved.append(figure)
        save(figure, *args, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    return saved


def curves(axes):
    return {line.get_label(): line.get_xydata() for line in axes.lines}


def test_what_is_drawn_where(figures, tmp_path):
    path = tmp_path / "curves.png"
    plot_curves(HISTORY, path, average_start=200, loss_label="nats", title="a run")
    (figure,) = figures
    loss, accuracy, rate, norm = figure.axes
    header = path.read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", header[16:]) == (1650, 1050)

    drawn = curves(loss)
    np.testing.assert_allclose(drawn["validation"][:, 1], 2 * DECAY[1::2])
    # Of the average only what came after its start.
    average = drawn["validation, averaged weights"]
    np.testing.assert_array_equal(average[:, 0], STEP[20:])
    np.testing.assert_allclose(average[:, 1], 3 * DECAY[20:])
    # Two points wide: the running mean of a twentieth of 40 rows.
    mean = drawn["train (running mean)"][:, 1]
    np.testing.assert_allclose(mean[1:], (DECAY[1:] + DECAY[:-1]) / 2)
    assert mean[0] == DECAY[0]
    assert "averaging from step 200" in drawn

    np.testing.assert_allclose(rate.lines[0].get_ydata(), 0.05 * DECAY)
    assert (loss.get_yscale(), norm.get_yscale()) == ("log", "log")
    assert (accuracy.get_yscale(), rate.get_yscale()) == ("linear", "linear")
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert labels == ["nats", "accuracy [%]", "learning rate", "global gradient norm"]
    assert [axes.get_xlabel() for axes in (rate, norm)] == ["step", "step"]
    assert curves(norm)["clipped"][:, 0].tolist() == STEP[:4]
    assert figure.get_suptitle() == "a run"
    # One legend for all, no name twice.
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(names) == len(set(names)) == 5


def test_the_accuracy_axis_shows_the_end_not_the_start(figures, tmp_path):
    accuracy = [0.1, 0.5] + [0.96 + 0.001 * i for i in range(38)]
    plot_curves({"step": STEP, "accuracy": accuracy}, tmp_path / "curves.svg")
    low, high = figures[0].axes[1].get_ylim()
    assert 90 < low < 96 and 100 < high < 101


def test_what_is_not_there_is_said(figures, tmp_path):
    nothing = {"step": [1], "loss": [np.nan]}
    plot_curves(nothing, tmp_path / "curves.svg")
    texts = [axes.texts[0].get_text() for axes in figures[0].axes]
    assert texts == ["not measured"] * 4
    # A loss that is 0, negative or not finite is drawn without a logarithm.
    history = {"step": [1, 2, 3], "loss": [0.0, -1.0, np.nan]}
    plot_curves(history, tmp_path / "curves.svg", average_start=2)
    loss = figures[1].axes[0]
    assert (
        loss.get_yscale() == "linear" and len(curves(loss)["train (running mean)"]) == 2
    )


@pytest.mark.parametrize(
    "history, name, message",
    [
        (
            {"step": []},
            "curves.pdf",
            r"`path` must end in .png or .svg, got .*curves.pdf",
        ),
        ({"loss": [1.0]}, "curves.png", r"`history` must have `step`, got \['loss'\]"),
    ],
)
def test_mistakes(history, name, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        plot_curves(history, tmp_path / name)


def test_it_does_without_pyplot(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # importing it fails
    plot_curves({"step": [1], "loss": [1.0]}, tmp_path / "curves.svg")
    assert "</svg>" in (tmp_path / "curves.svg").read_text()


LINE, HALF = gd.linear_schedule(1.0, 0.0, 10), lambda step: 0.5


def test_a_schedule_alone(figures, tmp_path):
    path = tmp_path / "schedule.png"
    plot_schedule(LINE, 20, path, title="a line", step_label="epoch")
    (axes,) = figures[0].axes
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), np.arange(21))
    want = np.maximum(1 - np.arange(21) / 10, 0)
    np.testing.assert_allclose(axes.lines[0].get_ydata(), want, atol=1e-7)
    assert axes.get_legend() is None and figures[0].get_suptitle() == "a line"
    labels = figures[0].get_supxlabel(), figures[0].get_supylabel()
    assert labels == ("epoch", "learning rate")
    assert path.read_bytes()[:4] == b"\x89PNG"


def test_curves_in_panels(figures, tmp_path):
    panels = {
        "one": {"z": LINE, "a": HALF},
        "two": {"late": gd.rex_schedule(1.0, 10**6)},
    }
    panels |= {str(i): {"": HALF} for i in range(3)}
    plot_schedule(panels, 10**6, tmp_path / "schedule.svg")
    one, two, *_, last, empty, _, _ = figures[0].axes
    assert [axes.get_title("left") for axes in (one, two)] == ["one", "two"]
    assert [text.get_text() for text in one.get_legend().get_texts()] == ["z", "a"]
    assert [line.get_ydata()[-1] for line in one.lines] == [0.0, 0.5]
    step = two.lines[0].get_xdata()
    assert len(step) == 2000 and step[0] == 0 and step[-1] == 10**6
    assert len(last.lines) == 1 and not empty.lines and not empty.axison


@pytest.mark.parametrize(
    "error, schedules, num_steps, name, message",
    [
        (ValueError, LINE, 9, "s.pdf", "`path` must end in .png or .svg, got"),
        (ValueError, LINE, 0, "s.svg", r"`num_steps` must lie in \[1, "),
        (ValueError, {}, 9, "s.svg", "`schedules` must have a schedule for each"),
        (ValueError, {"a": {}}, 9, "s.svg", "`schedules` must have a schedule for"),
        (TypeError, 0.1, 9, "s.svg", "`schedules` must be a schedule, got 0.1"),
        (TypeError, {"a": 1}, 9, "s.svg", r"`schedules\['a'\]` must be a schedule"),
        (
            TypeError,
            {"a": {"b": LINE, "c": 1}},
            9,
            "s.svg",
            r"`schedules\['a'\]\['c'\]` must be a schedule, got 1",
        ),
        (TypeError, {"a": {"b": LINE}, "c": LINE}, 9, "s.svg", r"`schedules\['a'\]`"),
    ],
)
def test_mistakes_with_schedules(error, schedules, num_steps, name, message, tmp_path):
    with pytest.raises(error, match=message):
        plot_schedule(schedules, num_steps, tmp_path / name)
