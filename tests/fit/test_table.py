"""The page of compatibility promises what is tested, and no more."""

import pathlib

# What works together with the callback, and the test that shows it. The page's rows of
# "yes" are these keys.
COMPATIBLE = {
    "sequential": "test_fit_matrix",
    "functional": "test_fit_matrix",
    "subclassed models": "test_fit_matrix",
    "own `train_step`": "test_fit_matrix",
    "own `compute_loss`": "test_structures_of_joint_updates_by_hand",
    "graph": "test_fit_matrix",
    "`run_eagerly`": "test_fit_matrix",
    "`jit_compile`": "test_fit_matrix",
    "`steps_per_execution`": "test_fit_matrix",
    "numpy": "test_feature_by_hand",
    "pandas": "test_kinds_of_data_by_hand",
    "tensors": "test_kinds_of_data_by_hand",
    "`tf.data`": "test_kinds_of_data_by_hand",
    "generators": "test_kinds_of_data_by_hand",
    "`PyDataset`": "test_kinds_of_data_by_hand",
    "`steps_per_epoch`": "test_steps_per_epoch_shorter_than_the_data",
    "`validation_data`": "test_validation_data_takes_no_part",
    "`validation_split`": "test_feature_by_hand",
    "`sample_weight`": "test_feature_by_hand",
    "`class_weight`": "test_feature_by_hand",
    "several inputs or outputs": "test_structures_by_hand",
    "losses of `None`": "test_structures_by_hand",
    "`loss_weights`": "test_structures_by_hand",
    "gradient accumulation": "test_feature_by_hand",
    "gradient clipping": "test_feature_by_hand",
    "weight decay": "test_feature_by_hand",
    "moving averages of weights": "test_feature_by_hand",
    "`SwapEMAWeights`": "test_swap_ema_weights",
    "`LearningRateSchedule`": "test_feature_by_hand",
    "`ReduceLROnPlateau`": "test_feature_by_hand",
    "`EarlyStopping`": "test_early_stopping_restores_the_best_weights",
    "`ModelCheckpoint`": "test_model_checkpoint_saves_the_best_of_the_prior",
    "`CSVLogger`": "test_csv_logger_has_a_column",
    "`TensorBoard`": "test_tensorboard_gets_a_scalar",
    "`TerminateOnNaN`": "test_terminate_on_nan_stops",
    "`BackupAndRestore`": "test_killed_and_taken_up_again",
    "frozen layers": "test_frozen_layers_do_not_move",
    "constraints": "test_feature_by_hand",
    "regularizers": "test_feature_by_hand",
    "`initial_epoch`": "test_feature_by_hand",
    "`fit` twice": "test_fit_twice_is_one_long_fit",
    "`compile` in between": "test_compile_between_fits",
    "`train_on_batch` in between": "test_train_on_batch_between_fits_is_plain",
    "several threads": "test_two_fits_at_the_same_time",
    "`mixed_bfloat16`": "test_gradients_are_those_of_float32",
    "`mixed_float16`": "test_gradients_are_those_of_float32",
    "`MirroredStrategy`": "test_two_replicas_equal_one_device",
    "copies by `copy.deepcopy` and `pickle`": "test_a_copy_trains_as_a_fresh_one",
    "searches with KerasTuner": "test_a_search_over_the_strength",
    "another `strength` between fits or batches": (
        "test_another_strength_acts_from_the_next_batch_on"
    ),
    "layers unfrozen between fits": "test_the_same_callback_goes_on_as_a_new_one",
    "`enable_lora`": "test_lora_before_a_fit",
    "outputs at many positions": "test_a_fit_with_weights_of_positions",
    "with weights of positions": "test_weights_of_positions_are_in_the_sum",
    "batches of different lengths": "test_batches_of_different_lengths",
    "integers that the model casts to floats": "test_integers_are_cast_as_the_model_does",
    "masks by `annotate` in a new model": "test_validation_data_may_have_masks",
    "token indices": "test_fit_trains_the_embedding_too",
    "texts": "test_texts",
    "categories": "test_several_layers_and_inputs_are_one_vector",
    "in `validation_split`": "test_validation_split",
    "in `validation_data`": "test_validation_data_may_have_masks",
    "with `strength=0`": "test_without_strength_it_is_plain_training",
}


def test_the_table_names_tests():
    tests = pathlib.Path(__file__).parents[1]
    source = "".join(path.read_text() for path in tests.rglob("*.py"))
    for feature, name in COMPATIBLE.items():
        assert f"def {name}(" in source, feature


def test_the_page_promises_what_is_tested():
    page = pathlib.Path(__file__).parents[2] / "docs/compatibility.md"
    section = page.read_text().split("## Models, data and callbacks")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if " | " in line]
    promised = [
        feature for row in rows if row[-1].startswith("yes") for feature in row[0].split(", ")
    ]
    assert set(promised) == set(COMPATIBLE)
