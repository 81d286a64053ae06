import inspect

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from keras_depthseg import DSResNet, losses
from keras_depthseg.networks.original_weights import load_original_weights
from tests.support import reference

CLASSES = (
    *(losses.RMSE, losses.BCE, losses.Dice),
    *(losses.BCEDice, losses.SSIM, losses.MSSSIM),
    *(losses.RMSEPerImage, losses.BCEDicePerImage),
    *(losses.RelativeDepthPerImage, losses.OutlineBCEDicePerImage),
)

FUNCTIONS = [cls.function for cls in CLASSES]


def _side(function):
    return 176 if function is losses.ms_ssim else 32


def _uniform(side, seed=0, batch=2):
    shape = (batch, side, side, 1)
    return np.random.default_rng(seed).uniform(size=shape).astype("float32")


def _hard(side, seed=0):
    return np.round(_uniform(side, seed))


def _logits(side, seed=0):
    return (8.0 * _uniform(side, seed + 100) - 4.0).astype("float32")


def _edge_cases(side):
    """Name: (y_true, logits)."""
    zeros, hard = np.zeros((2, side, side, 1), "float32"), _hard(side)
    ones = zeros + 1.0
    return {
        "empty mask": (zeros, _logits(side)),
        "perfect": (hard, 200.0 * hard - 100.0),
        "perfect empty": (zeros, zeros - 100.0),
        "perfect full": (ones, zeros + 100.0),
        "perfect constant": (0.5 * ones, zeros),
        "wrong everywhere": (hard, 100.0 - 200.0 * hard),
    }


def _numpy_means(x, window=11, sigma=1.5):
    """Gaussian means of a (H, W) image by explicit 2-D windows, in float64."""
    grid = np.arange(window) - window // 2
    kernel = np.exp(-(grid[:, None] ** 2 + grid[None, :] ** 2) / (2 * sigma**2))
    windows = np.lib.stride_tricks.sliding_window_view(x, (window, window))
    return np.einsum("ijkl,kl->ij", windows, kernel / kernel.sum())


def _numpy_ssim(a, b):
    """Mean SSIM and mean contrast-structure term of two (H, W) images."""
    a, b = np.float64(a), np.float64(b)
    c1, c2 = 0.01**2, 0.03**2
    mean_a, mean_b = _numpy_means(a), _numpy_means(b)
    variance_a = _numpy_means(a**2) - mean_a**2
    variance_b = _numpy_means(b**2) - mean_b**2
    covariance = _numpy_means(a * b) - mean_a * mean_b
    contrast = (2 * covariance + c2) / (variance_a + variance_b + c2)
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return (luminance * contrast).mean(), contrast.mean()


def _numpy_ms_ssim(a, b):
    product = 1.0
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        if scale:
            a, b = (
                x[: x.shape[0] // 2 * 2, : x.shape[1] // 2 * 2]
                .reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2)
                .mean(axis=(1, 3))
                for x in (a, b)
            )
        similarity, contrast = _numpy_ssim(a, b)
        product *= (similarity if scale == 4 else contrast) ** weight
    return product


class ReferenceTest(tf.test.TestCase, parameterized.TestCase):
    """Against the losses of the original."""

    @parameterized.parameters(
        (losses.rmse, "depth", "rmse_loss"),
        (losses.bce, "mask", "bce_with_logits"),
        (losses.dice, "mask", "dice_loss"),
        (losses.bce_dice, "mask", "bce_dice_loss"),
        (losses.ssim, "depth", "ssim_loss"),
    )
    def test_one_output(self, function, output, number):
        arrays = reference.arrays()
        value = np.mean(function(arrays[output], arrays[f"loss_{output}_logits"]))
        self.assertAllClose(value, reference.numbers()[number], rtol=1e-5, atol=0)

    @parameterized.parameters("rmse_bce_dice", "ssim_dice", "rmse_bce")
    def test_combination(self, name):
        arrays = reference.arrays()
        arguments = losses.combination(name)
        value = sum(
            arguments["loss_weights"][output]
            * loss(arrays[output], arrays[f"loss_{output}_logits"])
            for output, loss in arguments["loss"].items()
        )
        self.assertAllClose(value, reference.numbers()[name], rtol=1e-5, atol=0)

    def test_ms_ssim(self):
        arrays = reference.arrays()
        value = losses.MSSSIM(from_logits=False)(
            arrays["msssim_true"], arrays["msssim_pred"]
        )
        self.assertAllClose(value, reference.numbers()["ms_ssim_loss"], rtol=1e-4, atol=0)


class IndependentTest(tf.test.TestCase):
    """Against plain NumPy in float64."""

    def test_rmse_bce_and_dice(self):
        y_true, x = np.float64(_uniform(32)), np.float64(_logits(32))
        p = 1 / (1 + np.exp(-x))
        bce = -(y_true * np.log(p) + (1 - y_true) * np.log(1 - p)).mean()
        dice = 1 - (2 * (y_true * p).sum() + 1) / (y_true.sum() + p.sum() + 1)
        for function, expected in (
            (losses.rmse, np.sqrt(((y_true - p) ** 2).mean() + 1e-6)),
            (losses.bce, bce),
            (losses.dice, dice),
            (losses.bce_dice, bce + 2 * dice),
        ):
            self.assertAllClose(function(y_true, x), expected, rtol=1e-5)
            self.assertAllClose(
                function(y_true, p, from_logits=False), expected, rtol=1e-5
            )

    def test_relative_depth_counts_known_pixels(self):
        y_true, logits = _uniform(32), _logits(32)
        y_true[0, :20] = 0
        p = 1 / (1 + np.exp(-logits.astype(np.float64)))
        expected = []
        for true, given in zip(y_true.astype(np.float64), p, strict=True):
            known = true > 1e-4
            errors = true[known] - given[known]
            logs = np.log(true[known]) - np.log(given[known])
            root = np.sqrt(np.mean(errors**2) + 1e-6)
            expected.append(root + np.abs(logs).mean() / 4)
        loss = losses.relative_depth_per_image(y_true, logits)
        self.assertAllClose(loss, expected, rtol=1e-4)
        self.assertAllEqual(losses.relative_depth_per_image(0 * y_true, logits), [0, 0])

    def test_outlines_count_more(self):
        y_true = np.zeros((1, 32, 32, 1), "float32")
        y_true[:, 8:24, 8:24] = 1
        logits = _logits(32)[:1]
        near = np.zeros((32, 32), bool)
        near[6:26, 6:26] = True
        near[10:22, 10:22] = False
        x = logits[0, ..., 0].astype(np.float64)
        entropy = np.log1p(np.exp(x)) - x * y_true[0, ..., 0]
        plain = losses.bce_dice_per_image(y_true, logits)
        extra = (losses.OUTLINE_WEIGHT - 1) * (near * entropy).mean()
        loss = losses.outline_bce_dice_per_image(y_true, logits)
        self.assertAllClose(loss, plain + extra, rtol=1e-4)

    def test_per_image(self):
        y_true, x = np.float64(_uniform(32, batch=3)), np.float64(_logits(32, 1))
        x = np.concatenate([x, x[:1] / 2])
        y_true[0, :20] = 0  # Unknown depth, or no foreground.
        y_true[2] = 0
        p = 1 / (1 + np.exp(-x))
        entropy = -(y_true * np.log(p) + (1 - y_true) * np.log(1 - p))
        rmse, bce_dice = [], []
        for i in range(3):
            known = y_true[i] > 1e-4
            errors = (y_true[i] - p[i])[known] ** 2
            rmse.append(np.sqrt(errors.mean() + 1e-6) if known.any() else 0)
            total = y_true[i].sum() + p[i].sum()
            dice = 1 - (2 * (y_true[i] * p[i]).sum() + 1) / (total + 1)
            bce_dice.append(entropy[i].mean() + 2 * dice)
        for function, expected in (
            (losses.rmse_per_image, rmse),
            (losses.bce_dice_per_image, bce_dice),
        ):
            self.assertAllClose(function(y_true, x), expected, rtol=1e-5)
            self.assertAllClose(
                function(y_true, p, from_logits=False), expected, rtol=1e-5
            )

    def test_ssim(self):
        a = np.stack([_uniform(20)[0], 0.2 * _uniform(20)[1]])[:, :, :13]
        b = np.stack([_uniform(20, seed=1)[0], 0.1 + 0.2 * _uniform(20)[1]])[:, :, :13]
        values = losses.ssim(a, b, from_logits=False)
        expected = [1 - _numpy_ssim(a[i, ..., 0], b[i, ..., 0])[0] for i in (0, 1)]
        self.assertAllClose(values, expected, atol=1e-5)

    def test_ms_ssim(self):
        # An odd side at the second scale too: its last row has no partner.
        a = _uniform(190, batch=1)[:, :, :178]
        b = 0.5 * (a + _uniform(190, seed=1, batch=1)[:, :, :178])
        value = losses.ms_ssim(a, b, from_logits=False)
        expected = 1 - _numpy_ms_ssim(a[0, ..., 0], b[0, ..., 0])
        self.assertAllClose(value, [expected], atol=1e-5)


class PropertiesTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(function=FUNCTIONS, dtype=["float32", "bfloat16", "float16"])
    def test_finite_with_finite_gradients(self, function, dtype):
        for case, (y_true, logits) in _edge_cases(_side(function)).items():
            logits = tf.cast(logits, dtype)
            with tf.GradientTape() as tape:
                tape.watch(logits)
                value = function(y_true, logits)
            gradient = tf.cast(tape.gradient(value, logits), "float32").numpy()
            self.assertEqual(value.dtype, "float32")
            self.assertTrue(np.isfinite(value.numpy()).all(), case)
            self.assertTrue(np.isfinite(gradient).all(), case)

    def test_dice_of_a_large_image_does_not_overflow_half_precision(self):
        y_true = np.ones((2, 256, 256, 1), "float16")
        logits = tf.zeros_like(y_true)
        expected = 1 - (2 * 65536 + 1) / (131072 + 65536 + 1)
        self.assertAllClose(losses.dice(y_true, logits), expected, rtol=1e-5)

    @parameterized.parameters(*CLASSES)
    def test_refuses_to_broadcast(self, cls):
        good = _uniform(_side(cls.function))
        for pair in ((good, good[:1]), (np.repeat(good, 3, axis=-1), good)):
            with self.assertRaisesRegex(ValueError, "nothing is broadcast"):
                cls()(*pair)

    def test_refuses_small_sides(self):
        small = _uniform(10)
        with self.assertRaisesRegex(ValueError, r"at least 11.*\[10, 10\]"):
            losses.ssim(small, small)
        small = _uniform(176)[:, :175]
        with self.assertRaisesRegex(ValueError, r"at least 176.*\[175, 176\]"):
            losses.ms_ssim(small, small)
        losses.ssim(_uniform(11), _uniform(11))


class ClassesTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*CLASSES)
    def test_round_trip(self, cls):
        loss = cls(from_logits=False, reduction="sum", name="other", dtype="float64")
        arguments = set(inspect.signature(cls.__init__).parameters) - {"self"}
        self.assertEqual(set(loss.get_config()), arguments)
        revived = keras.losses.deserialize(keras.losses.serialize(loss))
        self.assertIs(type(revived), cls)
        self.assertEqual(revived.get_config(), loss.get_config())

    @parameterized.parameters(*CLASSES)
    def test_defaults_are_float32_under_a_global_half_policy(self, cls):
        self.addCleanup(keras.config.set_dtype_policy, keras.config.dtype_policy())
        keras.config.set_dtype_policy("mixed_float16")
        self.assertEqual(cls().name, cls.function.__name__)
        y_true, logits = (f(_side(cls.function)) for f in (_uniform, _logits))
        value = cls()(y_true, logits)
        self.assertEqual((cls().dtype, value.dtype), ("float32", "float32"))
        self.assertAllClose(value, np.mean(cls.function(y_true, logits)), rtol=1e-6)

    def test_unknown_combination(self):
        with self.assertRaisesRegex(ValueError, "'dice'. Accepted: rmse_bce_dice"):
            losses.combination("dice")


class TrainingTest(tf.test.TestCase):
    """Weights stay finite; a loss of 0 may hide NaN gradients."""

    def test_weights_stay_finite(self):
        model = DSResNet(width=2, dtype="mixed_bfloat16")
        load_original_weights(model, reference.state_dict(width=2))
        images = (255 * np.random.default_rng(0).uniform(size=(2, 32, 32, 3))).round()
        for name, value, mask_bias, depth_bias in (
            ("rmse_bce_dice", 0, 0, 0),
            ("rmse_bce_dice", 1, -100, 100),
            ("ssim_dice", 0, 100, -100),
        ):
            # Eagerly: tracing takes longer than this step.
            model.compile(
                keras.optimizers.SGD(1e-3), run_eagerly=True, **losses.combination(name)
            )
            model.get_layer("mask").bias.assign([mask_bias])
            model.get_layer("depth").bias.assign([depth_bias])
            target = np.full((2, 32, 32, 1), value, "float32")
            model.train_on_batch(
                {"bg": images, "fg_bg": images}, {"mask": target, "depth": target}
            )
            for variable in model.variables:
                self.assertTrue(np.isfinite(variable.numpy()).all(), variable.path)
