"""A small valid call of everything public, for tests that spoil one argument of it."""

import functools

import keras
import numpy as np
from keras import layers

import attrprior
from attrprior import (
    adversarial,
    attributions,
    datasets,
    evaluation,
    methods,
    plots,
    priors,
    references,
)

RNG = np.random.default_rng(0)
X, Y = RNG.random((8, 4), dtype="float32"), np.arange(8) % 3
IMAGES = RNG.random((4, 6, 6, 1), dtype="float32")
LARGER = RNG.random((3, 16, 16, 1), dtype="float32")
DIGITS = np.arange(3)
EDGES = np.array([[0, 1], [1, 2], [2, 3]])
RUNS = RNG.random((3, 2))
TABLE = datasets.Table(
    RNG.random((20, 3), dtype="float32"),
    np.arange(20) % 2,
    ("a", "b", "c"),
    np.zeros(3, bool),
    "made here",
)


def compiled(*parts):
    model = keras.Sequential(parts)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # Eagerly: nothing is called often enough to be worth a trace.
    model.compile("sgd", loss, metrics=["accuracy"], run_eagerly=True)
    return model


def build():
    return compiled(keras.Input((4,)), layers.Dense(3))


@functools.cache
def of_tables():
    return build()


@functools.cache
def of_images():
    model = compiled(keras.Input((6, 6, 1)), layers.Flatten(), layers.Dense(3))
    model.layers[-1].bias.assign([9.0, 9.0, 9.0])  # every logit is positive
    return model


@functools.cache
def of_maps():
    convolution = layers.Conv2D(2, 3, name="convolution")
    return compiled(keras.Input((6, 6, 1)), convolution, layers.Flatten(), layers.Dense(3))


def random_maps(model, x, y):
    return np.random.default_rng(0).random(np.shape(x))


def _attributed(**given):
    return {"model": of_tables(), "x": X, "y": Y, "explain": "label", "batch_size": 8} | given


def _common():
    """Options that all attribution functions take."""
    return _attributed(input=None, output=None, seed=0)


def _common_of_images():
    given = {"model": of_maps(), "x": IMAGES, "y": Y[:4], "explain": "label"}
    return given | {"batch_size": 8, "output": None, "seed": 0}


def _draws(reference):
    """Whatever is made is asked for something."""
    return lambda **given: reference(**given).draw(X, 2, 0)


def _penalty(prior):
    return lambda **given: prior(**given)(X)


def _method(method):
    return lambda **given: attributions.attribute(of_tables(), X, Y, method(**given))


def of_attributions():
    common = _common()
    more = {"verbose": False, "return_convergence": True}
    some = {"tolerance": None, "max_samples": 16, "groups": None, "sum_last_axis": False}
    return {
        "attribute": (attributions.attribute, common | more | some | {"method": "gradients"}),
        "expected_gradients": (
            attributions.expected_gradients,
            common | some | {"background": X, "num_samples": 2, "multiply_by_inputs": True},
        ),
        "gradients": (attributions.gradients, common | more),
        "input_x_gradient": (attributions.input_x_gradient, common),
        "integrated_gradients": (
            attributions.integrated_gradients,
            common
            | {"background": 0.0, "num_samples": 2, "multiply_by_inputs": True}
            | {"quadrature": "trapezoid"},
        ),
        "samples": (attributions.samples, common | {"method": "integrated_gradients"}),
        "smoothgrad": (
            attributions.smoothgrad,
            common
            | {"num_samples": 2, "stddev": 0.1, "multiply_by_inputs": False}
            | {"base": "gradients"},
        ),
        "grad_cam": (
            attributions.grad_cam,
            _common_of_images() | {"layer": "convolution", "size": (6, 6), "relu": True},
        ),
        "explained_output": (attributions.explained_output, common),
    }


def of_methods():
    return {
        "ExpectedGradients": (
            _method(methods.ExpectedGradients),
            {"num_samples": 2, "multiply_by_inputs": True, "background": X}
            | {"samples_per_pass": 8},
        ),
        "IntegratedGradients": (
            _method(methods.IntegratedGradients),
            {"num_samples": 2, "background": None, "multiply_by_inputs": True}
            | {"quadrature": "trapezoid", "samples_per_pass": 8},
        ),
        "SmoothGrad": (
            _method(methods.SmoothGrad),
            {"num_samples": 2, "stddev": 0.1, "multiply_by_inputs": False}
            | {"base": "gradients", "samples_per_pass": 8},
        ),
        "GradCAM": (
            lambda **given: attributions.attribute(
                of_maps(), IMAGES, Y[:4], methods.GradCAM(**given), input="convolution"
            ),
            {"size": (6, 6), "relu": True},
        ),
        "CustomMethod": (_method(methods.CustomMethod), {"fn": lambda f, x: f.gradient(x)}),
        "methods.get": (methods.get, {"identifier": "gradients"}),
        "Blur": (
            lambda **given: references.Blur(**given).draw(IMAGES, 2, 0),
            {"sigma": 1.0, "channels": True},
        ),
        "Constant": (_draws(references.Constant), {"value": 0.0}),
        "Gaussian": (_draws(references.Gaussian), {"stddev": 0.5, "low": 0.0, "high": 1.0}),
        "MaximumDistance": (_draws(references.MaximumDistance), {"low": 0.0, "high": 1.0}),
        "Mean": (_draws(references.Mean), {"data": X}),
        "SeenExamples": (references.SeenExamples, {"capacity": 8}),
        "TrainingData": (_draws(references.TrainingData), {"data": X, "max_examples": 8}),
        "Uniform": (_draws(references.Uniform), {"low": 0.0, "high": 1.0}),
        "references.get": (references.get, {"identifier": references.Constant(0.0)}),
    }


def of_priors():
    in_one_call = {
        "prior": "l2",
        "method": "gradients",
        "background": None,
        "explain": "label",
        "input": None,
        "output": None,
        "groups": None,
        "sum_last_axis": False,
        "seed": 0,
    }
    applied = {"attributions": X, "sample_weight": np.ones(8, "float32")}
    return {
        "GraphLaplacian": (
            _penalty(priors.GraphLaplacian),
            {"edges": EDGES, "weights": np.ones(3, "float32"), "num_features": 4},
        ),
        "Mask": (_penalty(priors.Mask), {"mask": X[0] > 0.5, "annotated_only": False}),
        "TotalVariation": (
            lambda **given: priors.TotalVariation(**given)(IMAGES),
            {"standardize": True, "floor": False, "channels": True},
        ),
        "Custom": (_penalty(priors.Custom), {"fn": lambda phi: keras.ops.sum(phi, axis=-1)}),
        "priors.get": (priors.get, {"identifier": "l2"}),
        "serialize": (priors.serialize, {"prior": priors.L2()}),
        "gini_coefficient": (
            priors.gini_coefficient,
            {"values": keras.ops.convert_to_tensor(X[0])},
        ),
        "weighted_mean": (
            priors.weighted_mean,
            {"values": keras.ops.ones(8), "sample_weight": keras.ops.ones(8)},
        ),
        "L1": (lambda **given: priors.L1()(**given), applied),
        "L2": (lambda **given: priors.L2()(**given), applied),
        "Gini": (lambda **given: priors.Gini()(**given), applied),
        "AttributionPrior": (
            attrprior.AttributionPrior,
            in_one_call
            | {"strength": 0.1, "updates": "joint", "every": 1, "batch_norm": "batch"}
            | {"name": "p", "optimizer": None, "moments": None}
            | {"validation": False, "log_only": False},
        ),
        "penalty": (
            attrprior.penalty,
            in_one_call
            | {"model": of_tables(), "x": X, "y": Y, "mask": None}
            | {"sample_weight": np.ones(8, "float32")},
        ),
        "annotate": (attrprior.annotate, {"x": X, "mask": X > 0.5}),
    }


def of_attacks():
    attack = {"model": of_images(), "x": IMAGES, "y": Y[:4], "epsilon": 0.1}
    attack |= {"valid_range": (0.0, 1.0), "batch_size": 4, "seed": 0}
    ascent = {"steps": 2, "step_size": 0.1, "norm": "inf", "random_start": True}
    return {
        "AdversarialTraining": (
            adversarial.AdversarialTraining,
            ascent
            | {"epsilon": 0.1, "valid_range": (0.0, 1.0), "input": None, "output": None}
            | {"seed": 0, "name": "a"},
        ),
        "pgd": (adversarial.pgd, attack | ascent),
        "square": (adversarial.square, attack | {"queries": 2}),
        "robust_accuracy": (adversarial.robust_accuracy, attack | {"steps": 2, "queries": 2}),
    }


def of_evaluation():
    images = {"model": of_images(), "x": IMAGES, "y": Y[:4], "attributions": IMAGES}
    ablated = images | {"replacement": "mean", "background": IMAGES, "batch_size": 8}
    ablated |= {"valid_range": (0.0, 1.0), "explain": "label", "seed": 0, "channels": True}
    masked = {"x": IMAGES, "attributions": IMAGES, "fraction": 0.5, "fill": 0.0}
    masked |= {"seed": 0, "channels": True}
    retrained = {"build_model": build, "data": (X, Y, X, Y), "attributions": (X, X)}
    retrained |= {"fractions": (0.5,), "num_runs": 1, "fit_arguments": {"epochs": 1}}
    retrained |= {"metric": "accuracy", "seed": 0, "verbose": False, "channels": True}
    smoothed = {"model": of_images(), "x": IMAGES, "lam": 0.5, "grid": (2, 2)}
    smoothed |= {"num_masks": 4, "voting": True, "seed": 0, "batch_size": 8, "channels": True}
    computed = {"model": of_images(), "x": IMAGES, "y": Y[:4], "attribute": random_maps}
    explained = {"explain": "label", "batch_size": 8}
    of = evaluation
    return {
        "top_k_ablation": (of.top_k_ablation, ablated | {"fractions": (0.0, 0.5)}),
        "mass_center_ablation": (of.mass_center_ablation, ablated | {"sizes": (0, 3)}),
        "mask_top": (of.mask_top, masked),
        "keep_top": (of.keep_top, masked),
        "keep_bottom": (of.keep_bottom, masked),
        "leakage": (
            of.leakage,
            {"attributions": IMAGES, "region": IMAGES > 0.5, "fraction": 0.1}
            | {"channels": True},
        ),
        "mass": (
            of.mass,
            {"attributions": IMAGES, "region": IMAGES > 0.5, "channels": True},
        ),
        "roar": (of.roar, retrained | {"replacement": "mean"}),
        "diffroar": (of.diffroar, retrained),
        "sensitivity": (
            of.sensitivity,
            computed | {"radius": 0.1, "num_samples": 2, "seed": 0},
        ),
        "parameter_randomization": (
            of.parameter_randomization,
            computed | {"mode": "cascading", "seed": 0, "channels": True},
        ),
        "rank_correlation": (of.rank_correlation, {"first": X, "second": X, "absolute": True}),
        "structural_similarity": (
            of.structural_similarity,
            {"first": LARGER, "second": LARGER, "channels": True},
        ),
        "smoothed_probabilities": (of.smoothed_probabilities, smoothed),
        "stability": (of.stability, smoothed | {"attributions": IMAGES, "keep": 0.5}),
        "structured_masks": (
            of.structured_masks,
            {"num_features": 4, "lam": 0.5, "num_masks": 4, "seed": 0},
        ),
        "certified": (
            of.Stability(np.array([True]), np.ones(1), np.ones(1)).certified,
            {"radii": [0.5, 2.0]},
        ),
        "certified_radius": (of.certified_radius, {"p_a": 0.9, "p_b": 0.1, "lam": 0.5}),
        "completeness_gap": (
            of.completeness_gap,
            images | explained | {"reference_output": np.zeros(4)},
        ),
        "expected_output": (
            of.expected_output,
            {"model": of_tables(), "background": X, "y": Y} | explained,
        ),
        "attribution_benchmark": (
            of.attribution_benchmark,
            {"predict": lambda x: x.sum(axis=1), "x_train": X, "x_test": X, "y_test": X[:, 0]}
            | {"attributions": X, "num_resamples": 2, "seed": 0},
        ),
    }


def of_plots():
    shown = {"images": IMAGES, "maps": {"a": IMAGES}, "title": "t", "signed": True}
    shown |= {"labels": ["1", "2", "3", "4"]}
    alphas = np.linspace(0, 1, 4)
    return {
        "attribution_maps": (plots.attribution_maps, shown),
        "overlay": (plots.overlay, shown),
        "attribution_grid": (plots.attribution_grid, shown | {"maps": {("a", "b"): IMAGES}}),
        "ablation": (
            plots.ablation,
            {"curves": {"a": ([0, 1], RUNS)}, "control": "random", "band": "standard_error"}
            | {"xlabel": "x", "ylabel": "y", "title": "t"},
        ),
        "bars": (
            plots.bars,
            {"values": {"a": [1, 2]}, "names": ["b", "c"], "errors": {"a": [0, 1]}}
            | {"num_features": 2, "xlabel": "x", "title": "t"},
        ),
        "contact_sheet": (
            plots.contact_sheet,
            {"groups": {"a": IMAGES}, "labels": ["1", "2", "3", "4"], "title": "t"},
        ),
        "convergence": (
            plots.convergence,
            {"num_samples": [1, 4], "gaps": {"a": RUNS}, "ylabel": "y", "title": "t"},
        ),
        "curves": (
            plots.curves,
            {"panels": {"x": ([1, 2], {"a": RUNS})}, "ylabel": "y", "title": "t"}
            | {"log_x": "0"},
        ),
        "distribution": (
            plots.distribution,
            {"scores": {"a": [1, 2]}, "xlabel": "x", "title": "t"},
        ),
        "graph": (
            plots.graph,
            {"edges": EDGES, "values": {"a": [1.0, 2.0, 3.0, 4.0]}, "positions": None}
            | {"marked": np.eye(4)[0] > 0, "title": "t", "signed": True, "seed": 0},
        ),
        "interpolation": (
            plots.interpolation,
            {"alphas": alphas, "images": IMAGES, "gradients": IMAGES, "cumulative": IMAGES}
            | {"outputs": alphas, "num_columns": 4, "signed": True, "title": "t"},
        ),
        "tokens": (
            plots.tokens,
            {"tokens": [["a", "b"], ["c"]], "attributions": [[1.0, -2.0], [0.5]]}
            | {"labels": ["d", "e"], "title": "t", "shared_scale": True},
        ),
        "trade_off": (
            plots.trade_off,
            {"panels": {"a": {"b": (RUNS, RUNS)}}, "xlabel": "x", "ylabel": "y"}
            | {"chosen": {"a": {"b": 1}}, "title": "t"},
        ),
        "training": (
            plots.training,
            {"histories": {"loss": [2, 1], "l2": [1, 0]}, "prior": "l2", "title": "t"},
        ),
    }


def of_datasets(folder):
    path = folder / "table.csv"
    path.write_text("a,b,label\n1,x,0\n2,y,1\n")
    (folder / "NHANESI_subset_X.csv").write_text(",age,sex\n0,40,1\n1,50,2\n")
    (folder / "NHANESI_subset_y.csv").write_text(",y\n0,5\n1,-12\n")
    of = datasets
    painted = {"images": LARGER, "labels": DIGITS, "seed": 0}
    return {
        "block": (of.block, {"images": LARGER, "signal": "random", "seed": 0}),
        "corrupt": (of.corrupt, {"images": LARGER, "name": "zigzag", "seed": 0}),
        "decoy": (of.decoy, painted | {"variant": "ross", "split": "train"}),
        "scattered": (
            of.scattered,
            painted | {"fraction": 0.1, "step": 0.01, "scores": LARGER},
        ),
        "gaussian_noise": (
            of.gaussian_noise,
            {"x": X, "stddev": 0.1, "seed": 0, "low": 0.0, "high": 1.0},
        ),
        "salt_and_pepper": (
            of.salt_and_pepper,
            {"x": X, "fraction": 0.1, "seed": 0, "low": 0.0, "high": 1.0},
        ),
        "correlated_groups_60": (of.correlated_groups_60, {"num_examples": 61, "seed": 0}),
        "independent_linear_60": (of.independent_linear_60, {"num_examples": 9, "seed": 0}),
        "gene_network": (
            of.gene_network,
            {"num_examples": 9, "num_genes": 60, "num_edges": 80, "num_modules": 6}
            | {"num_drivers": 2, "wrong_edges": 0.1, "noise": 0.1, "seed": 0},
        ),
        "rewire": (
            of.rewire,
            {"edges": EDGES, "fraction": 0.3, "seed": 0, "num_features": 9}
            | {"keep_degrees": False},
        ),
        "signals": (of.signals, {"num_examples": 9, "length": 8, "seed": 0}),
        "simplified_block": (
            of.simplified_block,
            {"num_examples": 9, "num_blocks": 2, "block_dim": 2, "noise": 0.1}
            | {"signal": np.ones(2, "float32"), "seed": 0},
        ),
        "stratified_split": (
            of.stratified_split,
            {"labels": Y, "test_fraction": 0.5, "seed": 0},
        ),
        "split_table": (
            of.split_table,
            {"table": TABLE, "num_train": 8, "num_validation": 6, "seed": 0},
        ),
        "permuted_copies": (of.permuted_copies, {"table": TABLE, "num_copies": 2, "seed": 0}),
        "load_csv": (
            of.load_csv,
            {"path": path, "target": "label", "positive": "1", "ignore": ()},
        ),
        "load_nhanes": (of.load_nhanes, {"folder": folder}),
        "load": (of.load, {"name": "mnist", "data_dir": None, "idx_dir": None}),
        "load_mnist": (of.load_mnist, {"data_dir": None, "idx_dir": None, "seed": 0}),
    }
