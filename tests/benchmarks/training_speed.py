"""Training of the paper's autoencoder beside Keras' own ``fit``, epoch by epoch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from advae.requests import AutoencoderRequest
from tests.benchmarks.contenders import Contender, compare, take_turns
from tests.benchmarks.measurements import Section, Target
from tests.benchmarks.workload import SEED, Workload

BATCH = 256
MAX_EPOCHS = 1000
"""Epochs of the recipe; more than are ever timed."""

Prepared = tuple[Callable[[], Any], Callable[[Any], dict[str, float]]]


def _describe(workload: Workload) -> Any:
    from advae.models import purifiers

    request = AutoencoderRequest(type="vanilla", network={"epochs": MAX_EPOCHS, "batch_size": BATCH}, seed=SEED)
    return purifiers.make_autoencoder_recipe(request, workload.data)


def prepare_ours(workload: Workload) -> Prepared:
    """Return one more epoch of our training, validation included: it is held after each until it is asked for."""
    from advae.backend import start_tensorflow
    from advae.models import purifiers

    start_tensorflow()
    recipe, asked, done, losses = _describe(workload), threading.Semaphore(0), threading.Semaphore(0), list[float]()

    def hold(epoch: Any) -> None:
        losses.append(epoch.validation_loss)
        done.release()
        asked.acquire()

    def run() -> None:
        asked.acquire()
        purifiers.fit_autoencoder(recipe, purifiers.TrainingData(workload.data.x_train, workload.data.y_train, hold))

    threading.Thread(target=run, daemon=True).start()

    def work() -> float:
        asked.release()
        done.acquire()
        return losses[-1]

    return work, lambda loss: {"validation loss": loss}


def prepare_keras(workload: Workload, **options: Any) -> Prepared:
    """Return one more epoch of Keras' ``fit`` of the same network from the same weights on the same images."""
    from advae.backend import start_tensorflow

    start_tensorflow()
    import keras

    from advae.models import purifiers
    from advae.models.autoencoders import build_vanilla
    from advae.models.held_out import split

    keras.utils.set_random_seed(SEED)
    model = keras.Sequential(list(build_vanilla(_describe(workload)).networks))
    model.compile(
        keras.optimizers.Adam(1e-3), loss=purifiers.RECONSTRUCTION_LOSSES["categorical-crossentropy"], **options
    )
    kept, held_out = split(workload.data.y_train, SEED)
    x, fixed = workload.data.x_train[kept], workload.data.x_train[held_out]

    def work() -> float:
        history = model.fit(x, x, batch_size=BATCH, epochs=1, verbose=0, validation_data=(fixed, fixed)).history
        return float(history["val_loss"][-1])

    return work, lambda loss: {"validation loss": loss}


def measure(workload: Workload, *, rounds: int = 6) -> Section:
    """Compare epochs of the vanilla autoencoder, each with its validation."""
    tuned = {"jit_compile": True, "steps_per_execution": 16}
    ours, keras, compiled = take_turns(
        [
            Contender("advae", prepare_ours, {"workload": workload}),
            Contender("Keras fit", prepare_keras, {"workload": workload}),
            Contender("Keras fit, compiled, 16 steps at once", prepare_keras, {"workload": workload, **tuned}),
        ],
        rounds=rounds,
    )
    apart = abs(ours.quality["validation loss"] / keras.quality["validation loss"] - 1)
    return Section(
        "training",
        f"an epoch of the paper's vanilla autoencoder on {workload.dataset}, batch {BATCH}, validation included",
        (ours, keras, compiled),
        (
            Target("Keras fit's time / ours", compare(keras, ours), "at least", 1.6),
            Target(f"difference of losses after {rounds + 1} epochs, relative", apart, "at most", 0.01),
        ),
    )
