from unittest import mock

from absl.testing import parameterized

from keras_depthseg.datasets import locate, opening, original_layout
from keras_depthseg.datasets.pets_in_rooms import pets_in_rooms_dataset_builder
from keras_depthseg.datasets.rooms import rooms_dataset_builder
from keras_depthseg.errors import UserError
from tests.support.tiny_data import RefusalTestCase


class LocateTest(RefusalTestCase):
    def locate(self, data, **options):
        return locate.locate_records(str(data), self.folder / "cache", **options)

    def test_a_folder_of_records_is_taken_as_it_is(self):
        (self.folder / "dataset_info.json").touch()
        self.assertEqual(self.locate(self.folder), self.folder)

    def test_the_original_layout_is_built(self):
        (self.folder / "file_map.txt").touch()
        with mock.patch.object(original_layout, "build", return_value="built") as build:
            self.assertEqual(self.locate(self.folder), "built")
        build.assert_called_once_with(
            self.folder,
            self.folder / "cache",
            splitting="identity",
            seed=0,
            larger="farther",
            skip_damaged=False,
        )

    @parameterized.parameters("nearer", "farther")
    def test_the_meaning_of_depth_in_the_original_layout(self, larger):
        (self.folder / "file_map.txt").touch()
        data = f"{self.folder},larger={larger}"
        with mock.patch.object(original_layout, "build") as build:
            self.locate(data, skip_damaged=True)
        self.assertEqual(build.call_args.args[0], self.folder)
        self.assertEqual(build.call_args.kwargs["larger"], larger)
        self.assertTrue(build.call_args.kwargs["skip_damaged"])
        for text in (f"{data},weight=2", f"{self.folder},weight=2,larger={larger}"):
            self.assertEqual(locate.split_weight(text), (data, 2.0))

    @parameterized.parameters(
        ("{},larger=nearest", "received larger=nearest in"),
        ("{},larger=nearer,larger=farther", "received larger 2 times in"),
        ("{},weight=1,weight=2", "received weight 2 times in"),
        ("rooms,larger=nearer", "received larger=nearer for rooms, which says itself"),
        ("rooms:60,parallax=2,larger=nearer", "received larger=nearer for rooms:60"),
        ("{}/records,larger=farther", "records, which says itself what its depth means"),
    )
    def test_other_meanings_are_refused(self, data, said):
        (self.folder / "file_map.txt").touch()
        (self.folder / "records").mkdir()
        (self.folder / "records/dataset_info.json").touch()
        data = data.format(self.folder)
        self.assert_refused(lambda: locate.check_data(locate.split_weight(data)[0]), said)

    def test_a_folder_with_commas(self):
        folder = self.folder / "a,b=c"
        folder.mkdir()
        (folder / "dataset_info.json").touch()
        self.assertEqual(self.locate(folder), folder)
        self.assertEqual(locate.split_weight(f"{folder},weight=3"), (str(folder), 3.0))

    def test_only_the_original_layout_is_split_here(self):
        (self.folder / "file_map.txt").touch()
        with mock.patch.object(original_layout, "build") as build:
            self.locate(self.folder, split="random")
        self.assertEqual(build.call_args.kwargs["splitting"], "random")
        (self.folder / "dataset_info.json").touch()
        for data in (self.folder, "rooms"):
            with self.assertRaisesRegex(UserError, "`split`: received random"):
                self.locate(data, split="random")

    def test_named_data_sets(self):
        for module, name, count in (
            (rooms_dataset_builder, "rooms", 1200),
            (rooms_dataset_builder, "rooms:77", 77),
            (pets_in_rooms_dataset_builder, "pets_in_rooms:500", 500),
        ):
            with mock.patch.object(module, "build") as build:
                self.locate(name)
            # One size, whatever the resolutions of the schedule are.
            build.assert_called_once_with(
                self.folder / "cache", num_samples=count, size=224, seed=0
            )

    def test_parallax_by_name(self):
        with mock.patch.object(rooms_dataset_builder, "build") as build:
            self.locate("rooms:77,parallax=2.5")
        build.assert_called_once_with(
            self.folder / "cache", num_samples=77, size=224, seed=0, parallax=2.5
        )

    def test_too_few_rooms(self):
        with self.assertRaisesRegex(UserError, "received 3 samples"):
            self.locate("rooms:3")

    def test_a_folder_one_level_too_high_names_those_below(self):
        above = self.folder / "above"
        calls = [
            lambda: self.locate(above),
            lambda: locate.check_data(str(above)),
            lambda: opening.open_records(above),
        ]
        for number, name in enumerate(("records", "layout", *"abcd")):
            (above / name).mkdir(parents=True)
            table = "file_map.txt" if name == "layout" else "dataset_info.json"
            (above / name / table).touch()
            for call in calls:
                self.assert_refused(
                    call, f"{above}: ", above / name if number < 2 else ""
                )
        (above / "pictures").mkdir()
        first = ", ".join(str(above / name) for name in (*"abcd", "layout"))
        for call in calls:
            self.assert_refused(call, f"{first} and 1 more")

    def test_a_folder_one_level_too_low_names_the_one_above(self):
        (self.folder / "fg_bg").mkdir()
        (self.folder / "file_map.txt").touch()
        inside = self.folder / "fg_bg"
        self.assert_refused(
            lambda: locate.check_data(str(inside)), f"{inside}: neither", self.folder
        )
        self.assert_refused(
            lambda: opening.open_records(inside), f"give all of {self.folder}."
        )

    def test_anything_else_is_refused(self):
        with self.assertRaisesRegex(UserError, "neither records"):
            self.locate(self.folder)
        for data in (self.folder / "missing", "room", "rooms:many"):
            for call in (self.locate, lambda data: locate.check_data(str(data))):
                with self.assertRaisesRegex(UserError, "no such folder"):
                    call(data)
        self.assertFalse((self.folder / "cache").exists())
