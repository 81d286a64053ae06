"""The fingerprint of a configuration, and its refusal."""

import dataclasses
from pathlib import Path

from keras_depthseg.datasets.composites import sources
from keras_depthseg.datasets.composites.depth_folder import DepthFolder
from keras_depthseg.datasets.composites.settings import (
    CompositesConfig,
    CompositeSettings,
)
from keras_depthseg.pictures.folders import PictureFile
from tests.support.compositions import CompositesTestCase

# Of version 0.1.0 before its first release.
FINGERPRINTS = {
    None: "d4b23a394c13b76be57bce9e032fe74de8dff6d2739b68107cfc7c4c238c9fc1",
    "rooms": "d9f2fca87a138ab4f6648b6dbcc1d9645f4fcb13ef70ad546e4de71287d02009",
    DepthFolder(Path("x/maps"), 0.001, 10.0): (
        "e63c48898485711ed95224433b9592234fd55dd902cb159dac939ff7b07dde6c"
    ),
}


class SettingsTest(CompositesTestCase):
    def test_settings_change_the_fingerprint(self):
        config = self.config()
        changes = [
            {"placements": 3},
            {"flip": not config.flip},
            {"count": 7},
            {"splitting": "random"},
            {"licences": {"bg": "mine"}},
            {"cutouts": config.cutouts[:-1]},
            {"backgrounds": config.backgrounds[::-1]},
            {"settings": dataclasses.replace(config.settings, seed=1)},
            {"settings": dataclasses.replace(config.settings, shadow=0.5)},
            {"settings": dataclasses.replace(config.settings, variety="rich")},
            {},
        ]
        prints = {dataclasses.replace(config, **c).fingerprint() for c in changes}
        self.assertLen(prints, len(changes))
        same = dataclasses.replace(config, workers=7)
        self.assertEqual(same.fingerprint(), config.fingerprint())

    def test_the_fingerprint_of_earlier_versions(self):
        # An unfinished data set is resumed only with the same fingerprint.
        room = sources.RenderedRoom(seed=3, index=0)
        file = PictureFile("a.png", Path("fg"))
        cutout = sources.FolderCutout("a.png", "0" * 64, "a.png", file)
        config = CompositesConfig(
            name="any", backgrounds=(room,), cutouts=(cutout,), licences={"bg": "mine"}
        )
        for depth, expected in FINGERPRINTS.items():
            config.settings = CompositeSettings(depth=depth, shadow=0.25)
            self.assertEqual(config.fingerprint(), expected)
