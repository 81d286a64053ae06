"""What the processor can do, and whether TensorFlow uses oneDNN on it."""

import os
import sys
import warnings
from unittest import mock

from absl.testing import parameterized

from keras_depthseg import processor

LAPTOP = "fpu sse2 avx fma avx2"
SERVER = f"{LAPTOP} avx512f avx512_vnni avx512_bf16"
CPUINFO = "processor\t: 0\nflags\t\t: {}\nbugs\t: spectre\n\nprocessor\t: 1\n"


class ProcessorTestCase(parameterized.TestCase):
    def use(self, flags="", machine="x86_64", imported=False, **environment):
        """A processor with these features, in a process of its own, as it were."""
        features = processor.parse_cpuinfo(CPUINFO.format(flags))
        modules = {name: sys.modules[name] for name in sys.modules}
        modules.pop("tensorflow", None)
        if imported:
            modules["tensorflow"] = mock.Mock()
        patches = (
            mock.patch.object(processor, "processor_features", lambda: features),
            mock.patch.object(processor, "thread_count", lambda: 2),
            mock.patch("platform.machine", lambda: machine),
            mock.patch.dict(os.environ, environment),
            mock.patch.dict(sys.modules, modules, clear=True),
        )
        for patch in patches:
            self.enter_context(patch)
        if processor.SWITCH not in environment:
            os.environ.pop(processor.SWITCH, None)


class FeaturesTest(ProcessorTestCase):
    def test_of_the_first_processor(self):
        features = processor.parse_cpuinfo(CPUINFO.format("FPU avx2"))
        self.assertEqual(features, {"fpu", "avx2"})
        self.assertEmpty(processor.parse_cpuinfo("Features : fp asimd\n"))

    @parameterized.parameters((SERVER, True), ("sse2 amx_bf16", True), ("avx512f", False))
    def test_bfloat16(self, flags, expected):
        features = processor.parse_cpuinfo(CPUINFO.format(flags))
        self.assertIs(processor.has_bfloat16(features), expected)


class SwitchTest(ProcessorTestCase):
    @parameterized.parameters(
        (LAPTOP, "x86_64", "1"),
        (SERVER, "x86_64", None),  # TensorFlow's own choice
        ("", "aarch64", None),
    )
    def test_set_where_it_is_faster(self, flags, machine, expected):
        self.use(flags, machine)
        processor.switch_on_onednn()
        self.assertEqual(os.environ.get(processor.SWITCH), expected)

    def test_the_users_setting_wins(self):
        self.use(LAPTOP, imported=True, TF_ENABLE_ONEDNN_OPTS="0")
        with warnings.catch_warnings(action="error"):
            processor.switch_on_onednn()
        self.assertEqual(os.environ[processor.SWITCH], "0")

    def test_too_late(self):
        self.use(LAPTOP, imported=True)
        with self.assertWarnsRegex(RuntimeWarning, "before tensorflow and keras, or set"):
            processor.switch_on_onednn()
        self.assertNotIn(processor.SWITCH, os.environ)


class ComputesWithTest(ProcessorTestCase):
    @parameterized.parameters(
        (SERVER, {}, "AVX2, AVX512, AVX512-BF16; oneDNN on"),
        (LAPTOP, {"TF_ENABLE_ONEDNN_OPTS": "1"}, "AVX2; oneDNN on"),
        ("", {}, "x86_64; oneDNN off"),
    )
    def test_one_line(self, flags, environment, expected):
        self.use(flags, **environment)
        self.assertEqual(
            processor.computes_with("float32"), f"{expected}; float32; 2 threads"
        )
