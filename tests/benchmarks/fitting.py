"""Training of the paper's autoencoder beside Keras' own ``fit``, epoch by epoch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from advae.requests import AutoencoderRequest
from tests.benchmarks.rows import Section, Target
from tests.benchmarks.setting import SEED, Setting
from tests.benchmarks.turns import Contender, compare, take_turns

BATCH = 256
MOST = 1000
"""Epochs; more than anybody asks for."""

Prepared = tuple[Callable[[], Any], Callable[[Any], dict[str, float]]]


def _describe(setting: Setting) -> Any:
    from advae.models import purifiers

    request = AutoencoderRequest(type="vanilla", network={"epochs": MOST, "batch_size": BATCH}, seed=SEED)
    return purifiers.make_recipe(request, setting.data)


def prepare_ours(setting: Setting) -> Prepared:
    """Return one more epoch of our training, validation included: it is held after each until it is asked for."""
    from advae.backend import start_tensorflow
    from advae.models import purifiers

    start_tensorflow()
    recipe, asked, done, losses = _describe(setting), threading.Semaphore(0), threading.Semaphore(0), list[float]()

    def hold(epoch: Any) -> None:
        losses.append(epoch.validation_loss)
        done.release()
        asked.acquire()

    def run() -> None:
        asked.acquire()
        purifiers.fit_autoencoder(recipe, purifiers.Lesson(setting.data.x_train, setting.data.y_train, hold))

    threading.Thread(target=run, daemon=True).start()

    def work() -> float:
        asked.release()
        done.acquire()
        return losses[-1]

    return work, lambda loss: {"validation loss": loss}


def prepare_keras(setting: Setting, **options: Any) -> Prepared:
    """Return one more epoch of Keras' ``fit`` of the same network from the same weights on the same images."""
    from advae.backend import start_tensorflow

    start_tensorflow()
    import keras

    from advae.models import purifiers
    from advae.models.autoencoders import build_vanilla
    from advae.models.fitting import split

    keras.utils.set_random_seed(SEED)
    model = keras.Sequential(list(build_vanilla(_describe(setting)).networks))
    model.compile(keras.optimizers.Adam(1e-3), loss=purifiers.LOSSES["categorical-crossentropy"], **options)
    kept, held_out = split(setting.data.y_train, SEED)
    x, fixed = setting.data.x_train[kept], setting.data.x_train[held_out]

    def work() -> float:
        history = model.fit(x, x, batch_size=BATCH, epochs=1, verbose=0, validation_data=(fixed, fixed)).history
        return float(history["val_loss"][-1])

    return work, lambda loss: {"validation loss": loss}


def measure(setting: Setting, *, rounds: int = 6) -> Section:
    """Compare epochs of the vanilla autoencoder, each with its validation."""
    tuned = {"jit_compile": True, "steps_per_execution": 16}
    ours, keras, compiled = take_turns(
        [
            Contender("advae", prepare_ours, {"setting": setting}),
            Contender("Keras fit", prepare_keras, {"setting": setting}),
            Contender("Keras fit, compiled, 16 steps at once", prepare_keras, {"setting": setting, **tuned}),
        ],
        rounds=rounds,
    )
    apart = abs(ours.quality["validation loss"] / keras.quality["validation loss"] - 1)
    return Section(
        "training",
        f"an epoch of the paper's vanilla autoencoder on {setting.dataset}, batch {BATCH}, validation included",
        (ours, keras, compiled),
        (
            Target("Keras fit's time / ours", compare(keras, ours), "at least", 1.6),
            Target(f"difference of losses after {rounds + 1} epochs, relative", apart, "at most", 0.01),
        ),
    )
