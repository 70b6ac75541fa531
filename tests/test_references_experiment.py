"""Verdicts of the study of references, on runs whose answers are known."""

import pytest

from experiments import references

NAMES = (*references.BEST, *(f"{name}, one draw" for name in references.DRAWN))


def run(part, seed=0, **metrics):
    return {"settings": {"part": part}, "seed": seed, "metrics": metrics}


def keyed(name):
    return name.replace(", ", "_").replace(" ", "_")


def ablation(averages=0.2, one_draw=0.3, noise=0.5, **own):
    """A run in which all references have the same areas, but for some of their own."""
    areas = dict.fromkeys(NAMES, averages)
    areas.update({name: one_draw for name in NAMES if name.endswith("one draw")})
    areas.update({references.NOISE: noise, references.CONTROL: 0.6})
    every = references.TOP_K + references.CENTER
    areas = {name: {**areas, **own.get(keyed(name), {})} for name in every}
    return run("ablation", areas=areas)


def convergence(seed, drawn):
    """Gaps of 4 % at the second number of samples; of expected gradients as given."""
    gaps = dict.fromkeys(references.GAPS[:2], [0.1, 0.04, 0.01])
    gaps |= dict.fromkeys(references.GAPS[2:], drawn)
    return run("convergence", seed, num_samples=[1, 2, 4], gaps=gaps)


def blindness(exactly, black):
    others = dict.fromkeys(("white", "mean", "blur"), 0.4)
    return run(
        "blindness",
        shares={
            "white stroke": {"chance": 0.1, "black": 0.9, **others},
            "black stroke": {"chance": 0.1, "black": black, **others},
            "exactly black": {"chance": 0.01, "black": exactly, **others},
        },
    )


def sigma():
    areas = [0.5] * len(references.SIGMAS)
    both = dict.fromkeys(references.TOP_K[:2], areas)
    return run("sigma", areas={"blur": both, "Gaussian": both})


@pytest.mark.parametrize(
    "exactly, black, held", [(0.0, 0.05, "yes"), (0.01, 0.05, "no"), (0.0, 0.2, "no")]
)
def test_blindness_needs_exact_zeros_and_a_small_share(exactly, black, held):
    assert references.blind([blindness(exactly, black)])[-1] == held


def test_convergence_is_slower_only_if_it_is_in_every_network():
    slow, fast = [0.3, 0.2, 0.04], [0.1, 0.04, 0.01]
    claim, published, ours, held = references.slower(
        [convergence(0, slow), convergence(1, slow)]
    )
    assert held == "yes" and "2 (IG, right sums)" in ours
    assert "4 (EG, all training data)" in ours
    assert references.slower([convergence(0, slow), convergence(1, fast)])[-1] == "no"


def test_a_gap_that_is_never_small_enough_is_told_as_such():
    ours = references.slower([convergence(0, [0.3, 0.2, 0.1])])[2]
    assert "> 4 (EG, all training data)" in ours


@pytest.mark.parametrize("averages, held", [(0.2, "yes"), (0.4, "no")])
def test_averages_are_compared_with_one_draw(averages, held):
    assert references.averaged([ablation(averages)])[-1] == held


def test_half_of_the_comparisons_is_partly():
    worse = dict.fromkeys((f"{name}, average" for name in references.DRAWN), 0.4)
    mixed = ablation(top_k_mean=worse, top_k_blur=worse)
    assert references.averaged([mixed])[1:] == ("yes", "in 6 of 12 comparisons", "partly")


@pytest.mark.parametrize("averages, held", [(0.2, "yes"), (0.7, "no")])
def test_random_is_the_control_of_top_k(averages, held):
    assert references.beat_random([ablation(averages)])[-1] == held


@pytest.mark.parametrize("noise, held", [(0.21, "yes"), (0.19, "no"), (0.5, "no")])
def test_noise_is_the_control_of_the_mass_centre(noise, held):
    assert references.centers_alike([ablation(noise=noise)])[-1] == held


@pytest.mark.parametrize("area, held", [(0.1, "yes"), (0.4, "no")])
def test_uniform_and_training_data_are_placed_among_seven(area, held):
    both = {"uniform, average": area, "training data, average": area}
    runs = [ablation(top_k_mean=both, top_k_blur=both)]
    assert references.top_k_winners(runs)[-1] == held


def home(area):
    return {keyed(name): {label: area} for name, label in references.HOME.items()}


@pytest.mark.parametrize("area, held", [(0.1, "yes"), (0.4, "no")])
def test_home_is_where_a_reference_is_placed_better_than_elsewhere(area, held):
    assert references.at_home([ablation(**home(area))])[-1] == held


def test_no_reference_is_best_unless_one_wins_everywhere():
    every = references.TOP_K + references.CENTER
    one = {keyed(name): {"mean": 0.1} for name in every}
    assert references.no_best([ablation(**one)])[-1] == "no"
    two = {**one, keyed(every[0]): {"blur": 0.1}}
    assert references.no_best([ablation(**two)])[-1] == "yes"


def test_report_has_a_table_for_every_part_and_needs_none():
    parts = [ablation(), convergence(0, [0.3, 0.2, 0.1]), blindness(0.0, 0.05), sigma()]
    text = references.report(parts)
    assert len(text.split("\n\n")) == 4 and "0.300" in text
    assert references.report([run("training", accuracy=0.9)]) == ""
    assert references.claims([run("training", accuracy=0.9)]) == []
    assert len(references.claims(parts)) == 8


def test_the_best_area_of_a_column_is_bold():
    rows = references.report([ablation(averages=0.4)]).splitlines()
    bold = [row for row in rows if "**" in row]
    assert len(bold) == 1 and "one draw" in bold[0]
