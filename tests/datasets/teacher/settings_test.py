"""Settings of teachers: their text, refusals and fingerprints."""

import dataclasses
import json

import hypothesis
from absl.testing import parameterized
from hypothesis import strategies as st

from keras_depthseg.datasets.teacher.settings import TeacherSettings, parse_teacher
from tests.support.tiny_networks import TeacherTestCase, keras_network


class SettingsTest(TeacherTestCase):
    def setUp(self):
        super().setUp()
        self.path = self.folder / "a,b.tflite"
        self.path.write_bytes(b"")

    def test_values(self):
        text = f"{self.path},size=448x640,input=0:1,larger=farther,crop=16"
        settings = parse_teacher(text)
        self.assertEqual(
            settings,
            TeacherSettings(str(self.path), "farther", (448, 640), (0.0, 1.0), crop=16),
        )
        stored = json.loads(json.dumps(dataclasses.asdict(settings)))
        self.assertEqual(stored["size"], [448, 640])
        with self.assertRaises(dataclasses.FrozenInstanceError):
            settings.crop = 2
        preset = parse_teacher("depth_anything_v2_small,larger=nearer")
        self.assertEqual(preset, TeacherSettings("depth_anything_v2_small", "nearer"))

    @hypothesis.given(
        st.tuples(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9)).filter(
            lambda x: x[0] < x[1]
        )
        | st.just("imagenet"),
        st.none() | st.tuples(*[st.integers(1, 9999)] * 2),
        st.none() | st.floats(1e-3, 1e9),
        st.integers(0, 99),
    )
    def test_printed_text_gives_it_again(self, limits, size, scale, crop):
        unit = "relative" if scale is None else "metre"
        settings = TeacherSettings(
            *(str(self.path), "farther", size, limits, None, unit, scale, crop)
        )
        self.assertEqual(parse_teacher(str(settings)), settings)

    @parameterized.parameters(
        ("input=0:1", "no larger", "farther or nearer"),
        ("larger=nearer", "no input", "LOW:HIGH"),
        ("larger=nearer,input=1:0", "input=1:0", "LOW below HIGH"),
        ("larger=nearer,input=0:1,output=imagenet", "'output=imagenet'", "output=0:1"),
        ("larger=nearer,input=0:1,size=448", "'size=448'", "size=448x640"),
        ("larger=nearer,input=0:1,size=0x9", "size=0x9", "HEIGHTxWIDTH"),
        ("larger=nearer,input=0:1,crop=-1", "crop=-1", "0 pixels or more"),
        ("larger=nearer,input=0:1,unit=feet", "unit=feet", "metre or relative"),
        ("larger=farther,input=0:1,unit=metre", "no scale", "scale=METRES"),
        ("larger=farther,input=0:1,unit=metre,scale=0", "scale=0", "more than 0"),
        ("larger=nearer,input=0:1,unit=metre,scale=9", "larger=nearer", "farther"),
        (
            "larger=farther,input=0:1,unit=metre,scale=9,output=0:1",
            *("output=0:1", "no output"),
        ),
        ("larger=nearer,input=0:1,colour=bgr", "'colour=bgr'", "larger, size, input"),
        ("larger=nearer,larger=farther,input=0:1", "larger twice", "once"),
    )
    def test_refused(self, options, *parts):
        self.assert_refused(
            lambda: parse_teacher(f"{self.path},{options}"), self.path, *parts
        )

    def test_missing_file(self):
        text = f"{self.folder}/no/such.onnx,input=0:1,larger=nearer"
        self.assert_refused(lambda: parse_teacher(text), "such.onnx", "no such file")

    def test_unknown_format(self):
        path = self.folder / "model.pth"
        path.write_bytes(b"")
        for name, part in ((path, "unknown format"), (self.folder, "saved_model.pb")):
            text = f"{name},input=0:1,larger=nearer"
            self.assert_refused(lambda text=text: parse_teacher(text), name, part)
        self.assert_refused(lambda: parse_teacher(",larger=nearer"), "no network")

    def test_fingerprint(self):
        saved = self.folder / "saved"
        keras_network().export(saved, verbose=False)
        options = (
            "input=0:1,larger=farther",
            "input=0:1,larger=nearer",
            "input=0:255,larger=farther",
            "input=0:1,larger=farther,crop=1",
            "input=0:1,larger=farther,unit=metre,scale=10",
        )
        texts = [f"{path},{it}" for path in (self.path, saved) for it in options]
        prints = [parse_teacher(text).fingerprint() for text in texts]
        self.assertLen(set(prints), len(texts))
        moved = self.path.rename(self.folder / "moved.tflite")
        again = parse_teacher(f"{moved},larger=farther,input=0.0:1.0").fingerprint()
        self.assertEqual(again, prints[0])
        for file, text in (
            (moved, f"{moved},{options[0]}"),
            (saved / "variables/variables.index", texts[5]),
        ):
            before = parse_teacher(text).fingerprint()
            file.write_bytes(file.read_bytes() + b"\0")
            self.assertNotEqual(parse_teacher(text).fingerprint(), before)

    def test_weights_beside_an_onnx_file_count(self):
        path = self.folder / "net.onnx"
        path.write_bytes(b"graph")
        settings = parse_teacher(f"{path},input=0:1,larger=farther")
        before = settings.fingerprint()
        (self.folder / "net.onnx.data").write_bytes(b"weights")
        self.assertNotEqual(settings.fingerprint(), before)
